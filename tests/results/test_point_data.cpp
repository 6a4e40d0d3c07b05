#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/results/point_data.hpp"

using kvr::Metric;
using kvr::PointData;

TEST_CASE("values stand in C order: step, then layer, then head") {
  PointData data("p", 2, 3, 4);
  data.set(Metric::mass, 1, 2, 3, 0.5);
  data.set(Metric::read_bytes, 1, 2, 7.0);
  data.set(Metric::latency_s, 1, 0.25);
  CHECK(data.values(Metric::mass).size() == 24);
  CHECK(data.values(Metric::mass)[23] == 0.5);
  CHECK(data.values(Metric::read_bytes).size() == 6);
  CHECK(data.values(Metric::read_bytes)[5] == 7.0);
  CHECK(data.values(Metric::latency_s).size() == 2);
  CHECK(data.at(Metric::mass, 1, 2, 3) == 0.5);
  CHECK(data.at(Metric::read_bytes, 1, 2) == 7.0);
  CHECK(data.at(Metric::latency_s, 1) == 0.25);
}

TEST_CASE("what nobody set is NaN, and a metric nobody set takes no memory") {
  PointData data("p", 2, 1, 1);
  CHECK_FALSE(data.recorded(Metric::latency_s));
  CHECK(std::isnan(data.at(Metric::latency_s, 0)));
  data.set(Metric::latency_s, 0, 1.0);
  CHECK(data.recorded(Metric::latency_s));
  CHECK(std::isnan(data.at(Metric::latency_s, 1)));
  data.record(Metric::latency_s);
  CHECK(data.at(Metric::latency_s, 0) == 1.0);
}

TEST_CASE("indices that do not fit the metric are a broken invariant") {
  PointData data("p", 2, 3, 4);
  CHECK_THROWS_AS(data.set(Metric::mass, 0, 1.0), kvr::InternalError);
  CHECK_THROWS_AS(data.set(Metric::latency_s, 0, 0, 1.0), kvr::InternalError);
  CHECK_THROWS_AS(data.set(Metric::latency_s, 2, 1.0), kvr::InternalError);
  CHECK_THROWS_AS(data.set(Metric::mass, 0, 0, 4, 1.0), kvr::InternalError);
  CHECK_THROWS_AS(data.at(Metric::read_bytes, 0, -1), kvr::InternalError);
  CHECK_THROWS_AS(PointData("p", 0, 1, 1), kvr::InternalError);
}

TEST_CASE("layers and heads are numbered from 0 unless they get the model's numbers") {
  PointData data("p", 1, 2, 2);
  CHECK(data.layer_numbers()[1] == 1);
  data.set_layer_numbers({3, 17});
  data.set_head_numbers({0, 5});
  CHECK(data.layer_numbers()[1] == 17);
  CHECK(data.head_numbers()[1] == 5);
  CHECK_THROWS_AS(data.set_layer_numbers({3}), kvr::InternalError);
  CHECK_THROWS_AS(data.set_head_numbers({5, 5}), kvr::InternalError);
}
