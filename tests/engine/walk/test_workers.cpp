#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "sim/engine/walk/workers.hpp"

namespace kvr {
namespace {

TEST_CASE("every index is worked on once, whatever the number of threads and of indices") {
  for (const std::int64_t threads : {1, 2, 3, 8}) {
    Workers workers(threads);
    for (const std::int64_t count : {0, 1, 2, 7, 100}) {
      CAPTURE(threads);
      CAPTURE(count);
      std::vector<int> times(static_cast<std::size_t>(count), 0);
      workers.for_each(count, [&](std::int64_t i) { ++times[static_cast<std::size_t>(i)]; });
      CHECK(times == std::vector<int>(static_cast<std::size_t>(count), 1));
    }
  }
}

TEST_CASE("500 loops in a row of the same threads see what the loop before has written") {
  Workers workers(4);
  std::vector<std::int64_t> values(16, 0);
  for (std::int64_t round = 0; round < 500; ++round) {
    workers.for_each(16, [&](std::int64_t i) {
      auto& value = values[static_cast<std::size_t>((i + round) % 16)];
      value += value == round ? 1 : 1000;
    });
  }
  CHECK(values == std::vector<std::int64_t>(16, 500));
}

TEST_CASE("the caller gets the exception of the lowest index that throws, with any number of threads") {
  for (const std::int64_t threads : {1, 2, 5}) {
    CAPTURE(threads);
    Workers workers(threads);
    for (int round = 0; round < 50; ++round) {
      CHECK_THROWS_WITH(workers.for_each(40,
                                         [](std::int64_t i) {
                                           if (i % 13 == 7) {
                                             throw std::runtime_error("index " + std::to_string(i));
                                           }
                                         }),
                        "index 7");
    }
  }
}

TEST_CASE("workers work on after a loop that threw") {
  Workers workers(3);
  CHECK_THROWS(workers.for_each(9, [](std::int64_t) { throw std::logic_error("always"); }));
  std::atomic<std::int64_t> sum = 0;
  workers.for_each(10, [&](std::int64_t i) { sum += i; });
  CHECK(sum == 45);
}

}  // namespace
}  // namespace kvr
