// Edmonds' blossom method with dual variables (Galil, ACM Computing Surveys 18, 1986), O(n^3):
//
//   every vertex has a dual, at first the largest weight; an edge is tight when the duals of its ends add up
//   to twice its weight; the matching uses tight edges only
//   phase: grow alternating trees from the free vertices along tight edges
//     a tree meets a free-standing node:  node and its partner join the tree
//     two trees meet:                     the path between their roots is augmented; end of the phase
//     a tree meets itself:                the odd cycle becomes a blossom, one node from then on
//     no tight edge:                      shift the duals by the smallest step that makes one, or that lets a
//                                         blossom dissolve; when a free vertex' dual reaches 0: all done
//
// Boost.Graph's maximum_weighted_matching (1.74) is not used: it crashes, does not end or misses the optimum
// on many graphs, as its authors confirm (boostorg/graph, report 399).
#include "policies/layout/placing/matching.hpp"

#include <algorithm>
#include <deque>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// Nodes are numbered from 1: the vertices, then blossoms; 0 stands for none.
class Blossoms {
 public:
  Blossoms(std::int32_t vertices, std::span<const WeightedEdge> edges);
  std::vector<std::int32_t> solve();

 private:
  using Node = std::int32_t;
  enum class Label : std::int8_t { none, even, odd };
  /// Between two nodes: the vertices that it really joins.
  struct Edge {
    Node u = 0;
    Node v = 0;
    std::int64_t weight = 0;
  };

  std::size_t at(Node node) const { return static_cast<std::size_t>(node); }
  Edge& edge(Node a, Node b) { return edges_[at(a) * size_ + at(b)]; }
  Node& child_with(Node blossom, Node vertex) { return child_with_[at(blossom) * size_ + at(vertex)]; }
  bool is_outer(Node node) const { return outer_[at(node)] == node; }
  /// By how much an edge misses being tight.
  std::int64_t slack(const Edge& e) { return dual_[at(e.u)] + dual_[at(e.v)] - 2 * edge(e.u, e.v).weight; }

  bool phase();
  bool plant_trees();
  bool scan_queue();
  bool shift_duals();
  bool take_tight_edges();
  bool follow_tight(const Edge& e);
  std::int64_t dual_step();
  void offer_slack(Node vertex, Node node);
  void find_slack(Node node);
  void enqueue(Node node);
  void set_outer(Node node, Node outer);
  std::size_t walk_to(Node blossom, Node child);
  void match(Node node, Node other);
  void augment(Node node, Node other);
  Node common_ancestor(Node a, Node b);
  void shrink(Node a, Node ancestor, Node b);
  void join_edges(Node blossom);
  void dissolve(Node blossom);

  Node vertices_;
  Node nodes_;                    // numbers in use
  std::size_t size_;              // numbers that there may be
  std::vector<Edge> edges_;       // [size][size]
  std::vector<Node> child_with_;  // [size][size], child of a blossom that holds a vertex
  std::vector<std::int64_t> dual_;
  std::vector<Node> mate_;     // vertex on the other side of a node's matched edge
  std::vector<Node> nearest_;  // even vertex with the edge of least slack to a node
  std::vector<Node> outer_;    // outermost blossom that holds a node; 0: number not in use
  std::vector<Node> parent_;   // vertex on the other side of the edge to a node's parent in the tree
  std::vector<Label> label_;
  std::vector<std::int64_t> visited_;
  std::int64_t visit_ = 0;
  std::vector<std::vector<Node>> cycle_;  // of a blossom, from its base on
  std::deque<Node> queue_;
};

Blossoms::Blossoms(std::int32_t vertices, std::span<const WeightedEdge> edges)
    : vertices_(vertices),
      nodes_(vertices),
      size_(static_cast<std::size_t>(vertices + vertices / 2 + 2)),  // blossoms are nested odd sets
      edges_(size_ * size_),
      child_with_(size_ * size_, 0),
      dual_(size_, 0),
      mate_(size_, 0),
      nearest_(size_, 0),
      outer_(size_, 0),
      parent_(size_, 0),
      label_(size_, Label::none),
      visited_(size_, 0),
      cycle_(size_) {
  for (Node a = 1; a <= vertices_; ++a) {
    for (Node b = 1; b <= vertices_; ++b) {
      edge(a, b) = {a, b, 0};
    }
    child_with(a, a) = a;
    outer_[at(a)] = a;
  }
  std::int64_t heaviest = 0;
  for (const WeightedEdge& one : edges) {
    edge(one.a + 1, one.b + 1).weight = one.weight;
    edge(one.b + 1, one.a + 1).weight = one.weight;
    heaviest = std::max(heaviest, one.weight);
  }
  std::fill_n(dual_.begin() + 1, vertices_, heaviest);
}

std::vector<std::int32_t> Blossoms::solve() {
  while (phase()) {
  }
  std::vector<std::int32_t> partners;
  for (Node vertex = 1; vertex <= vertices_; ++vertex) {
    partners.push_back(mate_[at(vertex)] - 1);
  }
  return partners;
}

/// Whether the matching has one edge more.
bool Blossoms::phase() {
  if (!plant_trees()) {
    return false;
  }
  for (;;) {
    if (scan_queue()) {
      return true;
    }
    if (!shift_duals()) {
      return false;
    }
    if (take_tight_edges()) {
      return true;
    }
    for (Node blossom = vertices_ + 1; blossom <= nodes_; ++blossom) {
      if (is_outer(blossom) && label_[at(blossom)] == Label::odd && dual_[at(blossom)] == 0) {
        dissolve(blossom);
      }
    }
  }
}

/// A tree for every node without a partner; false if there is none.
bool Blossoms::plant_trees() {
  std::ranges::fill(label_, Label::none);
  std::ranges::fill(nearest_, 0);
  queue_.clear();
  for (Node node = 1; node <= nodes_; ++node) {
    if (is_outer(node) && mate_[at(node)] == 0) {
      parent_[at(node)] = 0;
      label_[at(node)] = Label::even;
      enqueue(node);
    }
  }
  return !queue_.empty();
}

bool Blossoms::scan_queue() {
  while (!queue_.empty()) {
    const Node u = queue_.front();
    queue_.pop_front();
    if (label_[at(outer_[at(u)])] == Label::odd) {
      continue;
    }
    for (Node v = 1; v <= vertices_; ++v) {
      if (edge(u, v).weight == 0 || outer_[at(u)] == outer_[at(v)]) {
        continue;
      }
      if (slack(edge(u, v)) > 0) {
        offer_slack(u, outer_[at(v)]);
      } else if (follow_tight(edge(u, v))) {
        return true;
      }
    }
  }
  return false;
}

std::int64_t Blossoms::dual_step() {
  std::int64_t step = std::numeric_limits<std::int64_t>::max();
  for (Node node = 1; node <= nodes_; ++node) {
    if (!is_outer(node)) {
      continue;
    }
    if (node > vertices_ && label_[at(node)] == Label::odd) {
      step = std::min(step, dual_[at(node)] / 2);
    }
    if (nearest_[at(node)] != 0 && label_[at(node)] != Label::odd) {
      const std::int64_t missing = slack(edge(nearest_[at(node)], node));
      step = std::min(step, label_[at(node)] == Label::none ? missing : missing / 2);
    }
  }
  return step;
}

/// False when a free vertex' dual reaches 0: no path makes the matching heavier.
bool Blossoms::shift_duals() {
  const std::int64_t step = dual_step();
  const auto label_of = [this](Node vertex) { return label_[at(outer_[at(vertex)])]; };
  // Before any is shifted: where nothing else limits the step, it is too large to be added to a dual.
  for (Node vertex = 1; vertex <= vertices_; ++vertex) {
    if (label_of(vertex) == Label::even && dual_[at(vertex)] <= step) {
      return false;
    }
  }
  for (Node vertex = 1; vertex <= vertices_; ++vertex) {
    const Label label = label_of(vertex);
    dual_[at(vertex)] += label == Label::even ? -step : label == Label::odd ? step : 0;
  }
  for (Node blossom = vertices_ + 1; blossom <= nodes_; ++blossom) {
    if (is_outer(blossom)) {
      const Label label = label_[at(blossom)];
      dual_[at(blossom)] += label == Label::even ? 2 * step : label == Label::odd ? -2 * step : 0;
    }
  }
  return true;
}

bool Blossoms::take_tight_edges() {
  for (Node node = 1; node <= nodes_; ++node) {
    const Node nearest = nearest_[at(node)];
    if (is_outer(node) && nearest != 0 && outer_[at(nearest)] != node && slack(edge(nearest, node)) == 0 &&
        follow_tight(edge(nearest, node))) {
      return true;
    }
  }
  return false;
}

/// Whether the edge, from an even node, completed a path from root to root.
bool Blossoms::follow_tight(const Edge& found) {
  const Edge e = found;
  const Node u = outer_[at(e.u)];
  const Node v = outer_[at(e.v)];
  if (label_[at(v)] == Label::none) {
    const Node partner = outer_[at(mate_[at(v)])];
    parent_[at(v)] = e.u;
    label_[at(v)] = Label::odd;
    label_[at(partner)] = Label::even;
    nearest_[at(v)] = 0;
    nearest_[at(partner)] = 0;
    enqueue(partner);
  } else if (label_[at(v)] == Label::even) {
    const Node ancestor = common_ancestor(u, v);
    if (ancestor == 0) {
      augment(u, v);
      augment(v, u);
      return true;
    }
    shrink(u, ancestor, v);
  }
  return false;
}

void Blossoms::offer_slack(Node vertex, Node node) {
  Node& nearest = nearest_[at(node)];
  if (nearest == 0 || slack(edge(vertex, node)) < slack(edge(nearest, node))) {
    nearest = vertex;
  }
}

void Blossoms::find_slack(Node node) {
  nearest_[at(node)] = 0;
  for (Node vertex = 1; vertex <= vertices_; ++vertex) {
    if (edge(vertex, node).weight > 0 && outer_[at(vertex)] != node &&
        label_[at(outer_[at(vertex)])] == Label::even) {
      offer_slack(vertex, node);
    }
  }
}

void Blossoms::enqueue(Node node) {
  if (node <= vertices_) {
    queue_.push_back(node);
    return;
  }
  for (const Node child : cycle_[at(node)]) {
    enqueue(child);
  }
}

void Blossoms::set_outer(Node node, Node outer) {
  outer_[at(node)] = outer;
  if (node > vertices_) {
    for (const Node child : cycle_[at(node)]) {
      set_outer(child, outer);
    }
  }
}

/// Turns the cycle so that `child` is an even number of places from the base; returns that number.
std::size_t Blossoms::walk_to(Node blossom, Node child) {
  std::vector<Node>& cycle = cycle_[at(blossom)];
  const auto place = static_cast<std::size_t>(std::ranges::find(cycle, child) - cycle.begin());
  if (place % 2 == 0) {
    return place;
  }
  std::reverse(cycle.begin() + 1, cycle.end());
  return cycle.size() - place;
}

/// Matches `node` to `other` along the edge between them, within blossoms too.
void Blossoms::match(Node node, Node other) {
  const Edge e = edge(node, other);
  mate_[at(node)] = e.v;
  if (node <= vertices_) {
    return;
  }
  const Node child = child_with(node, e.u);
  const std::size_t place = walk_to(node, child);
  std::vector<Node>& cycle = cycle_[at(node)];
  for (std::size_t i = 0; i < place; ++i) {
    match(cycle[i], cycle[i ^ 1U]);
  }
  match(child, other);
  std::rotate(cycle.begin(), cycle.begin() + static_cast<std::ptrdiff_t>(place), cycle.end());
}

/// Swaps matched and unmatched edges from `node` up to the root of its tree.
void Blossoms::augment(Node node, Node other) {
  for (;;) {
    const Node partner = outer_[at(mate_[at(node)])];
    match(node, other);
    if (partner == 0) {
      return;
    }
    const Node above = outer_[at(parent_[at(partner)])];
    match(partner, above);
    node = above;
    other = partner;
  }
}

/// 0 where the trees of the two even nodes differ.
Blossoms::Node Blossoms::common_ancestor(Node a, Node b) {
  ++visit_;
  for (; a != 0 || b != 0; std::swap(a, b)) {
    if (a == 0) {
      continue;
    }
    if (visited_[at(a)] == visit_) {
      return a;
    }
    visited_[at(a)] = visit_;
    a = outer_[at(mate_[at(a)])];
    if (a != 0) {
      a = outer_[at(parent_[at(a)])];
    }
  }
  return 0;
}

/// The cycle ancestor ... a, b ... ancestor becomes a blossom.
void Blossoms::shrink(Node a, Node ancestor, Node b) {
  Node blossom = vertices_ + 1;
  while (blossom <= nodes_ && outer_[at(blossom)] != 0) {
    ++blossom;
  }
  nodes_ = std::max(nodes_, blossom);
  KVR_CHECK(at(blossom) < size_, "{} blossoms of {} vertices", blossom - vertices_, vertices_);
  dual_[at(blossom)] = 0;
  label_[at(blossom)] = Label::even;
  mate_[at(blossom)] = mate_[at(ancestor)];
  parent_[at(blossom)] = parent_[at(ancestor)];
  std::vector<Node>& cycle = cycle_[at(blossom)];
  cycle = {ancestor};
  const auto climb = [&](Node from) {
    for (Node node = from; node != ancestor;) {
      const Node odd = outer_[at(mate_[at(node)])];
      cycle.push_back(node);
      cycle.push_back(odd);
      enqueue(odd);
      node = outer_[at(parent_[at(odd)])];
    }
  };
  climb(a);
  std::reverse(cycle.begin() + 1, cycle.end());
  climb(b);
  set_outer(blossom, blossom);
  join_edges(blossom);
  find_slack(blossom);
}

/// A blossom has, of its children's edges to a node, the one of least slack.
void Blossoms::join_edges(Node blossom) {
  for (Node node = 1; node <= nodes_; ++node) {
    edge(blossom, node).weight = 0;
    edge(node, blossom).weight = 0;
  }
  for (Node vertex = 1; vertex <= vertices_; ++vertex) {
    child_with(blossom, vertex) = 0;
  }
  for (const Node child : cycle_[at(blossom)]) {
    for (Node node = 1; node <= nodes_; ++node) {
      const Edge& one = edge(child, node);
      if (one.weight > 0 && (edge(blossom, node).weight == 0 || slack(one) < slack(edge(blossom, node)))) {
        edge(blossom, node) = one;
        edge(node, blossom) = edge(node, child);
      }
    }
    for (Node vertex = 1; vertex <= vertices_; ++vertex) {
      if (child_with(child, vertex) != 0) {
        child_with(blossom, vertex) = child;
      }
    }
  }
}

/// An odd blossom falls apart: the children on the even way from its base to its parent stay in the tree.
void Blossoms::dissolve(Node blossom) {
  const std::vector<Node>& cycle = cycle_[at(blossom)];
  for (const Node child : cycle) {
    set_outer(child, child);
  }
  const Node entry = child_with(blossom, edge(blossom, parent_[at(blossom)]).u);
  const std::size_t place = walk_to(blossom, entry);
  for (std::size_t i = 0; i < place; i += 2) {
    parent_[at(cycle[i])] = edge(cycle[i + 1], cycle[i]).u;
    label_[at(cycle[i])] = Label::odd;
    label_[at(cycle[i + 1])] = Label::even;
    nearest_[at(cycle[i])] = 0;
    find_slack(cycle[i + 1]);
    enqueue(cycle[i + 1]);
  }
  label_[at(entry)] = Label::odd;
  parent_[at(entry)] = parent_[at(blossom)];
  for (std::size_t i = place + 1; i < cycle.size(); ++i) {
    label_[at(cycle[i])] = Label::none;
    find_slack(cycle[i]);
  }
  outer_[at(blossom)] = 0;
}

}  // namespace

std::vector<std::int32_t> maximum_weight_matching(std::int32_t vertices,
                                                  std::span<const WeightedEdge> edges) {
  return Blossoms(vertices, edges).solve();
}

std::vector<std::int32_t> greedy_matching(std::int32_t vertices, std::span<const WeightedEdge> edges) {
  std::vector<WeightedEdge> heaviest(edges.begin(), edges.end());
  std::ranges::sort(heaviest, [](const WeightedEdge& x, const WeightedEdge& y) {
    return x.weight != y.weight ? x.weight > y.weight : std::pair(x.a, x.b) < std::pair(y.a, y.b);
  });
  std::vector<std::int32_t> partners(static_cast<std::size_t>(vertices), -1);
  for (const WeightedEdge& edge : heaviest) {
    std::int32_t& a = partners[static_cast<std::size_t>(edge.a)];
    std::int32_t& b = partners[static_cast<std::size_t>(edge.b)];
    if (a < 0 && b < 0) {
      a = edge.b;
      b = edge.a;
    }
  }
  return partners;
}

}  // namespace kvr
