// The matching of largest weight of a graph, for comparison with other software.
//
//   heaviest_matching VERTICES < EDGES
//
// EDGES: three whole numbers each, two vertices and a weight. Prints the partner of every vertex, -1 for
// none.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "policies/layout/placing/matching.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: heaviest_matching VERTICES < EDGES\n");
    return 2;
  }
  std::vector<kvr::WeightedEdge> edges;
  for (kvr::WeightedEdge edge{}; std::cin >> edge.a >> edge.b >> edge.weight;) {
    edges.push_back(edge);
  }
  for (const std::int32_t partner : kvr::maximum_weight_matching(std::stoi(argv[1]), edges)) {
    fmt::print("{}\n", partner);
  }
  return 0;
}
