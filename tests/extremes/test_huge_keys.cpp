// Keys that a trace may hold, however unlike any model's.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdint>

#include "sim/base/registry.hpp"
#include "sim/interfaces/codec.hpp"
#include "tests/extremes/small_run.hpp"

namespace kvr::test {

namespace {

constexpr float kLargest = 65504.0F;        // of fp16
constexpr float kDenormal = 5.9604645e-8F;  // 2^-24, its smallest

struct Keys {
  const char* name;
  float (*key)(std::int64_t position, std::int64_t head, std::size_t channel);
};

constexpr Keys kKeys[] = {
    {"all largest", [](std::int64_t, std::int64_t, std::size_t) { return kLargest; }},
    {"all smallest", [](std::int64_t, std::int64_t, std::size_t) { return -kLargest; }},
    {"both signs by position", [](std::int64_t position, std::int64_t,
                                  std::size_t) { return position % 2 == 0 ? kLargest : -kLargest; }},
    {"both signs by channel",
     [](std::int64_t position, std::int64_t head, std::size_t channel) {
       return (position * 7 + head + static_cast<std::int64_t>(channel) * 3) % 5 < 2 ? kLargest : -kLargest;
     }},
    {"zero", [](std::int64_t, std::int64_t, std::size_t) { return 0.0F; }},
    {"equal",
     [](std::int64_t, std::int64_t, std::size_t channel) { return 0.5F + static_cast<float>(channel); }},
    {"denormal", [](std::int64_t position, std::int64_t,
                    std::size_t) { return position % 2 == 0 ? kDenormal : -kDenormal; }},
    {"from denormal to largest",
     [](std::int64_t position, std::int64_t, std::size_t channel) {
       const float of[] = {kDenormal, 0.0F, 1.0F, -kDenormal, kLargest, -kLargest};
       return of[(static_cast<std::size_t>(position) + channel) % 6];
     }},
    {"one outlier",
     [](std::int64_t position, std::int64_t, std::size_t channel) {
       return position == 3 && channel == 0 ? kLargest : 0.01F * static_cast<float>(position);
     }},
};

/// Every row is of these keys, so values and queries are as large.
SmallRun run_of(const Keys& keys) {
  return SmallRun([&keys](trace::Field, std::int64_t position, std::int64_t head, std::span<float> row) {
    for (std::size_t channel = 0; channel < row.size(); ++channel) {
      row[channel] = keys.key(position, head, channel);
    }
  });
}

void check_finite(const SmallRun& small, const std::vector<std::string>& sets) {
  CAPTURE(fmt::format("{}", fmt::join(sets, " ")));
  try {
    CHECK(not_finite(small.run(sets)) == "");
  } catch (const std::exception& error) {
    FAIL_CHECK(error.what());
  }
}

std::vector<std::string> types(std::string_view path, std::string_view kind) {
  std::vector<std::string> sets;
  for (const auto& [name, implementation] : Catalogue::instance().kind(kind)) {
    sets.push_back(fmt::format("{}={{type: {}}}", path, name));
  }
  return sets;
}

/// Those that store entries in several sizes with what bears that.
std::vector<std::vector<std::string>> codecs(std::string_view path) {
  std::vector<std::vector<std::string>> sets;
  for (const auto& [name, implementation] : Catalogue::instance().kind(Codec::kKind)) {
    sets.push_back({fmt::format("{}={{type: {}}}", path, name)});
    if (Registry<Codec>::instance().create(name, {}, {16})->sizes_vary()) {
      sets.back().insert(sets.back().end(), {"system.layout=token_order", "system.cache.swap=in_place"});
    }
  }
  return sets;
}

}  // namespace

TEST_CASE("every clustering and every scorer bears every finite key") {
  for (const Keys& keys : kKeys) {
    CAPTURE(std::string(keys.name));
    const SmallRun small = run_of(keys);
    for (const std::string& clustering : types("system.clustering", "clustering")) {
      for (const std::string& scorer : types("system.stages.0.scorer", "scorer")) {
        check_finite(small, {clustering, scorer});
      }
    }
  }
}

TEST_CASE("every codec, layout and replacement bears every finite key") {
  for (const Keys& keys : kKeys) {
    CAPTURE(std::string(keys.name));
    const SmallRun small = run_of(keys);
    for (const std::vector<std::string>& codec : codecs("system.codec.k")) {
      for (const char* norm : {"none", "softmax"}) {
        std::vector<std::string> sets = codec;
        sets.push_back(fmt::format("system.stages.0.norm={}", norm));
        check_finite(small, sets);
      }
    }
    for (const std::vector<std::string>& codec : codecs("system.codec.v")) {
      check_finite(small, codec);
    }
    for (const std::string& layout : types("system.layout", "layout")) {
      check_finite(small, {layout});
    }
    for (const std::string& replacement : types("system.replacement", "replacement")) {
      check_finite(small, {replacement, "system.clustering={type: kmeans}"});
    }
  }
}

TEST_CASE("every choice of the clusterings bears every finite key") {
  for (const Keys& keys : kKeys) {
    CAPTURE(std::string(keys.name));
    const SmallRun small = run_of(keys);
    for (const auto& [name, implementation] : Catalogue::instance().kind("clustering")) {
      for (const ParamSpec& spec : implementation.params) {
        for (std::string_view rest = spec.info.choices; !rest.empty();) {
          const std::size_t bar = rest.find('|');
          check_finite(small, {fmt::format("system.clustering={{type: {}, {}: {}}}", name, spec.name,
                                           rest.substr(0, bar))});
          rest = bar == std::string_view::npos ? "" : rest.substr(bar + 1);
        }
      }
    }
  }
}

}  // namespace kvr::test
