// Hits of every replacement policy over a list of ids, for comparison with other software.
//
//   cache_hits CAPACITY < IDS
//
// IDS: whole numbers, one for each use of an object of one byte; CAPACITY: bytes. Prints "NAME HITS" for
// every policy that caches; `belady` once more as `belady_min`, which must keep newcomers, as the classic MIN
// must.
#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

std::int64_t hits_of(Replacement& policy, std::int64_t capacity, const std::vector<CacheObject>& accesses) {
  std::set<CacheObject> resident;
  std::int64_t hits = 0;
  for (const CacheObject& object : accesses) {
    const bool hit = !resident.insert(object).second;
    hits += hit ? 1 : 0;
    policy.touched(object, 1, hit);
    while (std::ssize(resident) > capacity) {
      const CacheObject victim = policy.victim();
      KVR_CHECK(resident.erase(victim) == 1, "unit {} was given up, which is not resident", victim.unit);
    }
  }
  return hits;
}

void print_hits(std::int64_t capacity, const std::vector<CacheObject>& accesses) {
  const auto print = [&](const std::string& label, const std::string& name, const ParamValues& values) {
    const auto policy = Registry<Replacement>::instance().create(
        name, values, {.capacity_bytes = capacity, .root_seed = 1, .future = accesses});
    if (policy->caches()) {
      fmt::print("{} {}\n", label, hits_of(*policy, capacity, accesses));
    }
  };
  for (const auto& [name, implementation] : Catalogue::instance().kind(Replacement::kKind)) {
    print(name, name, {});
  }
  print("belady_min", "belady", {{"bypass", false}});
}

}  // namespace
}  // namespace kvr

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: cache_hits CAPACITY < IDS\n");
    return 2;
  }
  std::vector<kvr::CacheObject> accesses;
  for (kvr::UnitId id = 0; std::cin >> id;) {
    accesses.push_back({.layer = 0, .head = 0, .unit = id});
  }
  kvr::print_hits(std::stoll(argv[1]), accesses);
  return 0;
}
