#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "sim/results/compare/rules.hpp"
#include "sim/results/metrics.hpp"

using namespace kvr;
using namespace kvr::compare;

namespace {

std::vector<std::string> summaries() {
  std::vector<std::string> names;
  for (const SummaryInfo& summary : summary_table()) {
    names.emplace_back(summary.name);
  }
  return names;
}

std::vector<std::string> meant_by(std::string_view name) {
  std::vector<std::string> meant;
  for (const std::string& summary : summaries()) {
    if (means(name, summary)) {
      meant.push_back(summary);
    }
  }
  return meant;
}

}  // namespace

TEST_CASE("every summary has a direction, and every direction a summary") {
  std::set<std::string> directions;
  for (const SummaryDirection& row : summary_directions()) {
    CHECK_MESSAGE(directions.insert(std::string(row.name)).second, row.name);
  }
  const std::vector<std::string> names = summaries();
  CHECK(directions == std::set<std::string>(names.begin(), names.end()));
}

TEST_CASE("no family is called like a summary") {
  for (const SummaryDirection& row : summary_directions()) {
    CHECK_MESSAGE(std::ranges::find(summary_directions(), row.family, &SummaryDirection::name) ==
                      summary_directions().end(),
                  row.family);
  }
}

TEST_CASE("stars stand for any characters and question marks for one") {
  CHECK(matches("*", ""));
  CHECK(matches("recall*", "recall_mean"));
  CHECK(matches("*_p9?", "latency_p95"));
  CHECK(matches("a*b*c", "a-b-b-c"));
  CHECK(matches("*ab", "aab"));
  CHECK_FALSE(matches("recall", "recall_mean"));
  CHECK_FALSE(matches("a*b*c", "a-c-b"));
  CHECK_FALSE(matches("?", ""));
  CHECK_FALSE(matches("", "a"));
  CHECK(matches("", ""));
}

TEST_CASE("a name means one summary, a family and a pattern those of theirs") {
  CHECK(meant_by("latency_p95") == std::vector<std::string>{"latency_p95"});
  CHECK(meant_by("latency") ==
        std::vector<std::string>{"latency_mean", "latency_p50", "latency_p95", "latency_p99"});
  CHECK(meant_by("error") == std::vector<std::string>{"output_error_mean"});
  CHECK(meant_by("amplification") == std::vector<std::string>{"read_amplification", "write_amplification"});
  CHECK(meant_by("hit_rate") == std::vector<std::string>{"hit_rate"});
  CHECK(meant_by("hit_rate*") == std::vector<std::string>{"hit_rate", "hit_rate_bytes"});
  CHECK(meant_by("*") == summaries());
  CHECK(meant_by("").empty());
  CHECK(meant_by("recal").empty());
}

TEST_CASE("without rules nothing may move the wrong way") {
  const Limits recall = limits_of("recall_mean", "any", {}, false);
  CHECK((recall.drop && recall.drop->amount == 0.0 && !recall.growth));
  const Limits latency = limits_of("latency_p50", "any", {}, false);
  CHECK((latency.growth && latency.growth->amount == 0.0 && !latency.drop));
  for (const char* undirected : {"selected_mean", "a_summary_to_come"}) {
    const Limits limits = limits_of(undirected, "any", {}, false);
    CHECK((!limits.drop && !limits.growth && !limits.ignored));
    const Limits exact = limits_of(undirected, "any", {}, true);
    CHECK((exact.drop && exact.growth));
  }
}

TEST_CASE("later rules win, and only where they hold") {
  const std::vector<Rule> rules{
      {.metric = "recall", .max_drop = Tolerance{0.01, false}},
      {.metric = "*_mean", .points = "Dyna*", .max_drop = Tolerance{0.02, true}},
      {.metric = "selected", .direction = Direction::same},
      {.metric = "hidden*", .ignore = true},
      {.metric = "hidden_io", .points = "PQCache", .ignore = false},
      {.metric = "latency_p99", .direction = Direction::any},
  };
  const auto limits = [&](const char* summary, const char* variant) {
    return limits_of(summary, variant, rules, false);
  };
  CHECK(limits("recall_mean", "PQCache").drop->amount == 0.01);
  CHECK(limits("recall_mean", "DynaKV").drop->amount == 0.02);
  CHECK(limits("recall_mean", "DynaKV").drop->relative);
  CHECK((limits("selected_mean", "PQCache").drop && limits("selected_mean", "PQCache").growth));
  CHECK(limits("hidden_io_mean", "DynaKV").ignored);
  CHECK_FALSE(limits("hidden_io_mean", "PQCache").ignored);
  CHECK_FALSE(limits("latency_p99", "PQCache").growth);
  CHECK(limits("latency_p95", "PQCache").growth);
}

TEST_CASE("a relative tolerance is of the size of the base's value") {
  CHECK(Tolerance{0.5, true}.allowed(-4.0) == 2.0);
  CHECK(Tolerance{0.5, false}.allowed(-4.0) == 0.5);
}
