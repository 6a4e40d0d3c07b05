#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/json.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

std::vector<std::string> lines_with(const std::string& text, const std::string& what) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (const std::string line = text.substr(begin, end - begin); line.find(what) != std::string::npos) {
      lines.push_back(line);
    }
    begin = end + 1;
  }
  return lines;
}

double number_after(const std::string& line, const std::string& key) {
  const std::size_t at = line.find("\"" + key + "\":");
  REQUIRE(at != std::string::npos);
  return std::stod(line.substr(at + key.size() + 3));
}

constexpr double kUs = 1e-6;

/// Compute from 10 to 30 us, flash from 30 to 45.5 us.
Timeline one_step(const std::string& point) {
  static const std::vector<IoRequest> requests = {{0, IoKind::read, 0, 0, 4096, 0.0},
                                                  {1, IoKind::read, 0, 40960, 8192, 0.0}};
  OperationGraph graph;
  graph.add({.purpose = Purpose::score, .layer = 3, .resource = Resource::compute, .duration_s = 20 * kUs});
  graph.add({.purpose = Purpose::read,
             .layer = 3,
             .resource = Resource::flash,
             .requests = requests,
             .after = {0}});
  const std::vector<Span> spans = {{10 * kUs, 30 * kUs}, {30 * kUs, 45.5 * kUs, 0}};
  Timeline timeline({5, 2});
  timeline.add_step(timeline.begin_point(point), 5, 105, graph, spans,
                    {10 * kUs, 45.5 * kUs, 20 * kUs, 15.5 * kUs, 15.5 * kUs, 0.0});
  return timeline;
}

TEST_CASE("a timeline shows the steps that were asked for") {
  const TimelineSteps steps = {5, 2};
  CHECK_FALSE(steps.contains(4));
  CHECK(steps.contains(5));
  CHECK(steps.contains(6));
  CHECK_FALSE(steps.contains(7));
}

TEST_CASE("spans add up to their step, on a thread for each resource") {
  const TemporaryFolder folder;
  one_step("demo").write(folder / "t.json");
  const std::string text = test::read_text(folder / "t.json");
  CHECK(Json::accept(text));
  CHECK(text.starts_with("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n"));
  CHECK(lines_with(text, "\"ph\":\"M\"").size() == 4);
  const auto spans = lines_with(text, "\"ph\":\"X\"");
  REQUIRE(spans.size() == 3);
  CHECK(spans[0].find("\"name\":\"score\"") != std::string::npos);
  CHECK(spans[0].find("\"layer\":3") != std::string::npos);
  CHECK(spans[1].find("\"name\":\"read\"") != std::string::npos);
  CHECK(spans[1].find("\"requests\":2,\"bytes\":12288") != std::string::npos);
  CHECK(spans[2].find("\"name\":\"step 5\"") != std::string::npos);
  CHECK(spans[2].find("\"position\":105") != std::string::npos);
  CHECK(number_after(spans[0], "ts") == doctest::Approx(10.0));
  CHECK(number_after(spans[1], "ts") == doctest::Approx(30.0));
  const double sum = number_after(spans[0], "dur") + number_after(spans[1], "dur");
  CHECK(number_after(spans[2], "dur") == doctest::Approx(sum));
  CHECK(number_after(spans[0], "tid") != number_after(spans[1], "tid"));
}

TEST_CASE("spans of the critical path say so, and no others") {
  OperationGraph graph;
  for (int i = 0; i < 3; ++i) {
    graph.add({.purpose = Purpose::score, .layer = i, .resource = Resource::compute, .duration_s = kUs});
  }
  const std::vector<Span> spans = {{0.0, kUs}, {0.0, 2 * kUs}, {2 * kUs, 3 * kUs, 1}};
  Timeline timeline({0, 1});
  timeline.add_step(timeline.begin_point("p"), 0, 7, graph, spans, {0.0, 3 * kUs});
  const TemporaryFolder folder;
  timeline.write(folder / "t.json");
  const std::string text = test::read_text(folder / "t.json");
  CHECK(Json::accept(text));
  const auto shown = lines_with(text, "\"layer\":");
  REQUIRE(shown.size() == 3);
  CHECK(shown[0].find("critical") == std::string::npos);
  CHECK(shown[1].find("\"critical\":true") != std::string::npos);
  CHECK(shown[2].find("\"critical\":true") != std::string::npos);
}

TEST_CASE("flash operations that overlap are on tracks beside one another, each with a name") {
  static const std::vector<IoRequest> requests(1);
  OperationGraph graph;
  for (int i = 0; i < 4; ++i) {
    graph.add({.purpose = Purpose::read, .layer = i, .resource = Resource::flash, .requests = requests});
  }
  const std::vector<Span> spans = {
      {0.0, 4 * kUs}, {kUs, 2 * kUs}, {2 * kUs, 5 * kUs, 1}, {4 * kUs, 5 * kUs, 0}};
  Timeline timeline({0, 1});
  timeline.add_step(timeline.begin_point("p", 2), 0, 7, graph, spans, {0.0, 5 * kUs});
  const TemporaryFolder folder;
  timeline.write(folder / "t.json");
  const std::string text = test::read_text(folder / "t.json");
  const auto shown = lines_with(text, "\"layer\":");
  REQUIRE(shown.size() == 4);
  const double flash = number_after(shown[0], "tid");
  const double beside = number_after(shown[1], "tid");
  CHECK(flash != beside);
  CHECK(number_after(shown[2], "tid") == beside);
  CHECK(number_after(shown[3], "tid") == flash);
  CHECK(lines_with(text, "flash, beside 1").size() == 1);
  CHECK(number_after(lines_with(text, "flash, beside 1").front(), "tid") == beside);
}

TEST_CASE("names with quotes, backslashes and control characters stay JSON") {
  const TemporaryFolder folder;
  const std::string name = "a \"b\" \\ c\n\td";
  one_step(name).write(folder / "t.json");
  const Json events = Json::parse(test::read_text(folder / "t.json"))["traceEvents"];
  CHECK(events[0]["args"]["name"] == name);
}

TEST_CASE("every point is a process of its own") {
  const TemporaryFolder folder;
  Timeline timeline({0, 1});
  timeline.begin_point("one");
  timeline.begin_point("two");
  timeline.write(folder / "t.json");
  const auto names = lines_with(test::read_text(folder / "t.json"), "process_name");
  REQUIRE(names.size() == 2);
  CHECK(number_after(names[0], "pid") != number_after(names[1], "pid"));
}

TEST_CASE("a timeline that cannot be written is a system error and leaves nothing behind") {
  const TemporaryFolder folder;
  const Timeline timeline = one_step("demo");
  CHECK_THROWS_AS(timeline.write(folder / "no such folder" / "t.json"), SystemError);
  std::filesystem::create_directories(folder / "taken" / "by a folder");
  CHECK_THROWS_AS(timeline.write(folder / "taken"), SystemError);
  CHECK_FALSE(std::filesystem::exists(folder / "taken.tmp"));
}

}  // namespace
}  // namespace kvr
