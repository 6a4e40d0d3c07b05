#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/base/origin/own_sources.hpp"
#include "sim/results/writer.hpp"

using namespace kvr;

namespace {

std::ptrdiff_t files_in(const TemporaryFolder& folder) {
  return std::distance(std::filesystem::directory_iterator(folder.path()), {});
}

/// Two points that differ in steps, layers and heads.
std::vector<PointResult> two_points() {
  PointData first("first", 3, 2, 1);
  first.set_layer_numbers({0, 8});
  PointData second("second", 2, 2, 2);
  second.set_layer_numbers({4, 8});
  for (std::int64_t step = 0; step < 3; ++step) {
    first.set(Metric::latency_s, step, 1.0 + static_cast<double>(step));
    first.set(Metric::recall, step, 1, 0, 0.5);
    first.set(Metric::truth_kernel_s, step, 0.1);
  }
  second.set(Metric::latency_s, 1, 9.0);
  second.set(Metric::recall, 1, 0, 1, 0.25);
  second.set(Metric::read_bytes, 0, 1, 4096.0);
  return {{std::move(first), "a: 1\n", {}}, {std::move(second), "a: 2\n", {"extrapolated", "oracle"}}};
}

/// Whether writing is a SystemError where no file can grow beyond `limit_bytes`, as if the disk were full
/// there. In a process of its own, because the limit holds for the whole process and the HDF5 library never
/// frees a file that it could not close.
bool fails_on_full_disk(const std::filesystem::path& out, rlim_t limit_bytes) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{limit_bytes, limit_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_results(out, two_points(), {});
    } catch (const SystemError&) {
      _exit(0);
    }
    _exit(1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<double> read_doubles(const hdf5::Handle& file, const std::string& name,
                                 const hdf5::Shape& shape) {
  const hdf5::Handle dataset = hdf5::open_dataset(file.get(), name);
  REQUIRE(hdf5::shape_of(dataset.get()) == shape);
  hsize_t size = 1;
  for (const hsize_t extent : shape) {
    size *= extent;
  }
  std::vector<double> values(size);
  hdf5::read_block(dataset.get(), H5T_NATIVE_DOUBLE, hdf5::Shape(shape.size(), 0), shape, values.data());
  return values;
}

}  // namespace

TEST_CASE("points of different length, layers and heads share the axes; what one lacks is NaN") {
  const TemporaryFolder folder;
  write_results(folder / "out.h5", two_points(), {});
  const hdf5::Handle file = hdf5::open_file(folder / "out.h5");

  CHECK(read_doubles(file, "layer", {3}) == std::vector<double>{0, 4, 8});
  CHECK(read_doubles(file, "kv_head", {2}) == std::vector<double>{0, 1});
  CHECK(read_doubles(file, "step", {3}) == std::vector<double>{0, 1, 2});

  const std::vector<double> latency = read_doubles(file, "latency_s", {2, 3});
  CHECK(latency[2] == 3.0);
  CHECK(std::isnan(latency[3]));
  CHECK(latency[4] == 9.0);
  CHECK(std::isnan(latency[5]));

  const std::vector<double> recall = read_doubles(file, "recall", {2, 3, 3, 2});
  const auto at = [&](std::size_t point, std::size_t step, std::size_t layer, std::size_t head) {
    return recall[((point * 3 + step) * 3 + layer) * 2 + head];
  };
  CHECK(at(0, 2, 2, 0) == 0.5);
  CHECK(std::isnan(at(0, 2, 1, 0)));
  CHECK(std::isnan(at(0, 2, 2, 1)));
  CHECK(at(1, 1, 1, 1) == 0.25);
  CHECK(std::isnan(at(1, 2, 1, 1)));

  const std::vector<double> bytes = read_doubles(file, "read_bytes", {2, 3, 3});
  CHECK(std::isnan(bytes[0]));
  CHECK(bytes[9 + 2] == 4096.0);
}

TEST_CASE("a results file holds the summaries, the units, and what is not reproducible apart") {
  const TemporaryFolder folder;
  Provenance provenance;
  provenance.add("seed", "42");
  write_results(folder / "out.h5", two_points(), provenance);
  const hdf5::Handle file = hdf5::open_file(folder / "out.h5");

  CHECK(hdf5::read_string(file.get(), "format") == "kvreplay-results");
  CHECK(hdf5::read_int(file.get(), "version") == kResultsSchemaVersion);
  CHECK(read_doubles(file, "latency_p50", {2}) == std::vector<double>{2.0, 9.0});
  const hdf5::Handle latency = hdf5::open_dataset(file.get(), "latency_s");
  CHECK(hdf5::read_string(latency.get(), "units") == "s");
  CHECK(hdf5::read_string(latency.get(), "long_name") == info(Metric::latency_s).long_name);
  CHECK(hdf5::read_string(latency.get(), "formula") == info(Metric::latency_s).formula);
  CHECK_FALSE(hdf5::has_dataset(file.get(), "truth_kernel_s"));
  CHECK(hdf5::has_dataset(file.get(), "host/truth_kernel_s"));
  CHECK(hdf5::has_dataset(file.get(), "host/policy_kernel_mean"));
  CHECK_FALSE(hdf5::has_dataset(file.get(), "mass"));
  const hdf5::Handle group = hdf5::open_group(file.get(), "provenance");
  CHECK(hdf5::read_string(group.get(), "seed") == "42");
  CHECK(hdf5::has_dataset(group.get(), "resolved_config"));
}

TEST_CASE("figures of policies' own stand beside the metrics, NaN for points that do not have them") {
  const TemporaryFolder folder;
  std::vector<PointResult> points = two_points();
  PointData& first = points[0].data;
  const std::size_t splits = first.add_figure({.name = "shy.splits",
                                               .unit = "splits",
                                               .long_name = "units divided",
                                               .formula = "count",
                                               .policy = "clustering 'shy'",
                                               .dims = Dims::step_layer_head,
                                               .adds_up = true});
  first.set_figure(splits, 1, std::vector{3.0, 4.0});  // layers 0 and 8
  PointData& second = points[1].data;
  const std::size_t held = second.add_figure({.name = "bold.held",
                                              .unit = "B",
                                              .long_name = "bytes held",
                                              .formula = "sum",
                                              .policy = "replacement 'bold'"});
  second.set_figure(held, 0, std::vector{1024.0});
  second.set_figure(held, 1, std::vector{3072.0});
  write_results(folder / "out.h5", points, {});
  const hdf5::Handle file = hdf5::open_file(folder / "out.h5");

  const std::vector<double> values = read_doubles(file, "shy.splits", {2, 3, 3, 2});
  const auto at = [&](std::size_t point, std::size_t step, std::size_t layer, std::size_t head) {
    return values[((point * 3 + step) * 3 + layer) * 2 + head];
  };
  CHECK(at(0, 1, 0, 0) == 3.0);
  CHECK(at(0, 1, 2, 0) == 4.0);
  CHECK(std::ranges::count_if(values, [](double value) { return std::isnan(value); }) == 34);
  const std::vector<double> bytes = read_doubles(file, "bold.held", {2, 3});
  CHECK(std::isnan(bytes[0]));
  CHECK(bytes[4] == 3072.0);
  const hdf5::Handle dataset = hdf5::open_dataset(file.get(), "shy.splits");
  CHECK(hdf5::read_string(dataset.get(), "units") == "splits");
  CHECK(hdf5::read_string(dataset.get(), "long_name") == "units divided");
  CHECK(hdf5::read_string(dataset.get(), "formula") == "count");
  CHECK(hdf5::read_string(dataset.get(), "policy") == "clustering 'shy'");

  std::string text = summary_text(outlines_of(points));  // of one step that has values, and of two
  const auto doubled = [](char a, char b) { return a == ' ' && b == ' '; };
  text.erase(std::unique(text.begin(), text.end(), doubled), text.end());
  CAPTURE(text);
  CHECK(text.find("\npolicies' own, mean of a step unit first second\n") != std::string::npos);
  CHECK(text.find("\nshy.splits splits 7.00 -\n") != std::string::npos);
  CHECK(text.find("\nbold.held B - 2.05 kB\n") != std::string::npos);
  CHECK(text.find("0 in every point") == std::string::npos);
  CHECK_THROWS_AS(first.add_figure({.name = "shy.splits"}), InternalError);

  points[0].keep_steps = false;
  write_results(folder / "short.h5", points, {});
  CHECK_FALSE(hdf5::has_dataset(hdf5::open_file(folder / "short.h5").get(), "shy.splits"));
}

TEST_CASE("figures that are 0 in every point are named and have no rows") {
  std::vector<PointResult> points = two_points();
  for (PointResult& point : points) {
    const std::size_t held = point.data.add_figure({.name = "bold.held", .unit = "B", .formula = "sum"});
    const std::size_t lost = point.data.add_figure({.name = "bold.lost", .unit = "B", .formula = "sum"});
    point.data.set_figure(held, 0, std::vector{0.0});
    point.data.set_figure(held, 1, std::vector{0.0});
    point.data.set_figure(lost, 0, std::vector{0.0});
    point.data.set_figure(lost, 1, std::vector{&point == &points[1] ? 8.0 : 0.0});
  }
  const std::string text = summary_text(outlines_of(points));
  CHECK(text.ends_with("\n0 in every point: bold.held\n"));
  CHECK(text.find("\nbold.lost") != std::string::npos);
}

TEST_CASE("the errors of models beside a real device stand by point and model, NaN where a point has none") {
  const TemporaryFolder folder;
  std::vector<PointResult> points = two_points();
  points[1].model_errors = {{"queueing", 7, 0.125, 0.5, 0.75, -0.25}, {"analytic", 7, 0.25, 1.5, 2.0, 0.5}};
  write_results(folder / "out.h5", points, {});
  const hdf5::Handle file = hdf5::open_file(folder / "out.h5");
  const auto read = [&](const std::string& name) {
    return read_doubles(file, "device/model_errors/" + name, {2, 2});
  };
  // By name: analytic, queueing.
  const std::vector<double> median = read("median");
  CHECK(std::isnan(median[0]));
  CHECK(std::isnan(median[1]));
  CHECK(median[2] == 0.25);
  CHECK(median[3] == 0.125);
  CHECK(read("batches")[3] == 7.0);
  CHECK(read("p95")[2] == 1.5);
  CHECK(read("p99")[3] == 0.75);
  CHECK(read("total_time")[3] == -0.25);
  CHECK(hdf5::has_dataset(file.get(), "device/model_errors/model"));
}

TEST_CASE("without a real device there is no group of errors") {
  const TemporaryFolder folder;
  write_results(folder / "out.h5", two_points(), {});
  const hdf5::Handle file = hdf5::open_file(folder / "out.h5");
  CHECK(H5Lexists(file.get(), "device", H5P_DEFAULT) == 0);
}

TEST_CASE("many small points and a chunk's worth of values come back as they were written") {
  const TemporaryFolder folder;
  std::vector<PointResult> points;
  for (int p = 0; p < 5; ++p) {
    PointData data("point " + std::to_string(p), 3000 + p, 2, 2);
    for (std::int64_t step = 0; step < data.steps(); ++step) {
      data.set(Metric::mass, step, step % 2, 1, static_cast<double>(step * 10 + p));
    }
    points.push_back({std::move(data), "", {}});
  }
  write_results(folder / "out.h5", points, {});
  const hdf5::Handle file = hdf5::open_file(folder / "out.h5");
  const std::vector<double> mass = read_doubles(file, "mass", {5, 3004, 2, 2});
  for (std::size_t p = 0; p < 5; ++p) {
    const std::size_t last = 2999 + p;
    CHECK(mass[((p * 3004 + last) * 2 + last % 2) * 2 + 1] == static_cast<double>(last * 10 + p));
  }
}

TEST_CASE("a complete file replaces the one before it and leaves no temporary") {
  const TemporaryFolder folder;
  std::ofstream(folder / "out.h5") << "old";
  write_results(folder / "out.h5", two_points(), {});
  CHECK(files_in(folder) == 1);
  CHECK(hdf5::has_dataset(hdf5::open_file(folder / "out.h5").get(), "latency_s"));
}

TEST_CASE("a folder that does not exist is a system error and is not made") {
  const TemporaryFolder folder;
  CHECK_THROWS_AS(write_results(folder / "missing" / "out.h5", two_points(), {}), SystemError);
  CHECK(files_in(folder) == 0);
}

TEST_CASE("a failure after the first bytes leaves the old file and no temporary") {
  const TemporaryFolder folder;
  std::ofstream(folder / "out.h5") << "old";
  Provenance twice;
  twice.add("seed", "1");
  twice.add("seed", "2");
  CHECK_THROWS_AS(write_results(folder / "out.h5", two_points(), twice), SystemError);
  CHECK(files_in(folder) == 1);
  std::string content;
  std::ifstream(folder / "out.h5") >> content;
  CHECK(content == "old");
}

TEST_CASE("a full disk is a system error that leaves the old file and no temporary, whenever it strikes") {
  const TemporaryFolder folder;
  std::ofstream(folder / "out.h5") << "old";
  for (const rlim_t limit_bytes : {0U, 100U, 4096U, 16384U}) {
    CAPTURE(limit_bytes);
    CHECK(fails_on_full_disk(folder / "out.h5", limit_bytes));
    CHECK(files_in(folder) == 1);
    CHECK(std::filesystem::file_size(folder / "out.h5") == 3);
  }
}

TEST_CASE("two points of one name are a broken invariant") {
  const TemporaryFolder folder;
  std::vector<PointResult> points = two_points();
  points.push_back(points.front());
  CHECK_THROWS_AS(write_results(folder / "out.h5", points, {}), InternalError);
  CHECK(files_in(folder) == 0);
}

TEST_CASE("the build and the host are described completely") {
  const Provenance provenance = describe_build_and_host();
  CHECK(provenance.entries.front() == std::pair<std::string, std::string>("schema_version", "1"));
  for (const auto& [name, value] : provenance.entries) {
    CAPTURE(name);
    CHECK_FALSE(value.empty());
  }
}

TEST_CASE("with sources of somebody's own the program is none of the commit, and names them") {
  const OwnSource own("mine/b.cpp", "beef");
  const OwnSource other("a.hpp", "cafe");
  const Provenance provenance = describe_build_and_host();
  const auto value = [&](std::string_view name) {
    const auto found =
        std::ranges::find(provenance.entries, name, &std::pair<std::string, std::string>::first);
    return found == provenance.entries.end() ? "" : found->second;
  };
  CHECK(value("commit").ends_with("-dirty"));
  CHECK_FALSE(value("commit").ends_with("-dirty-dirty"));
  CHECK(value("uncommitted_sources").ends_with("a.hpp cafe\nmine/b.cpp beef"));
}
