#include "sim/engine/heads/prompt/prompt_queries.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/engine/heads/prompt/co_retrieval.hpp"

namespace kvr {

PromptQueries::PromptQueries(BatchWalk& walk, std::span<const std::int64_t> sequences)
    : walk_(&walk), count_(kMost) {
  positions_.resize(static_cast<std::size_t>(walk.sequences()));
  for (const std::int64_t sequence : sequences) {
    TraceWalk& one = walk.sequence(sequence);
    std::vector<std::int64_t>& positions = positions_[static_cast<std::size_t>(sequence)];
    positions = one.feed().query_positions_before(one.steps().first_position, kMost);
    count_ = std::min(count_, std::ssize(positions));
  }
  for (const std::int64_t sequence : sequences) {
    std::vector<std::int64_t>& positions = positions_[static_cast<std::size_t>(sequence)];
    positions.erase(positions.begin(), positions.end() - count_);
  }
}

std::vector<std::vector<CoRetrieval>> PromptQueries::co_retrieval(std::int64_t layer,
                                                                  std::span<HeadPolicies> heads,
                                                                  const Stages& stages, Workers& workers) {
  const auto of_layers = [&](std::int64_t first, std::int64_t last) {
    const auto in = [&](const HeadPolicies& head) {
      return head.id().layer >= first && head.id().layer <= last;
    };
    const auto begin = std::ranges::find_if(heads, in);
    return std::span(begin, std::find_if_not(begin, heads.end(), in));
  };
  const std::span<HeadPolicies> own = of_layers(layer, layer);
  const std::span<HeadPolicies> asked = of_layers(stages.lowest_for(layer), layer);
  const std::vector<std::int64_t> speculating = stages.speculating_layers();
  std::vector<CoRetrievalCount> counts(own.size());
  for (std::size_t query = 0; query < static_cast<std::size_t>(count_); ++query) {
    for (HeadPolicies& head : asked) {
      if (head.resting()) {
        continue;
      }
      ask(head, query, std::ranges::find(speculating, head.id().layer) != speculating.end());
    }
    stages.select(asked, workers);
    workers.for_each(std::ssize(own), [&](std::int64_t head) {
      const auto h = static_cast<std::size_t>(head);
      if (!own[h].resting()) {
        counts[h].add(own[h].demanded().units);
      }
    });
  }
  std::vector<std::vector<CoRetrieval>> pairs;
  for (CoRetrievalCount& count : counts) {
    pairs.push_back(count.pairs());
  }
  return pairs;
}

void PromptQueries::ask(HeadPolicies& head, std::size_t query, bool speculates) {
  const auto sequence = static_cast<std::size_t>(head.id().sequence);
  const std::int64_t position = positions_[sequence][query];
  TraceFeed& feed = walk_->sequence(head.id().sequence).feed();
  // The feed has room for one row, so each is kept.
  const auto kept = [](std::span<const Half> row) { return std::vector<Half>(row.begin(), row.end()); };
  const std::int64_t members = std::ssize(head.members());
  std::vector<std::vector<Half>> own;
  std::vector<std::vector<Half>> speculated;
  for (std::int64_t member = 0; member < members; ++member) {
    const HeadId id{head.id().layer, head.id().head * members + member};
    own.push_back(kept(feed.queries(id, position)));
    speculated.push_back(speculates ? kept(feed.speculated(id, position)) : std::vector<Half>());
  }
  std::vector<HeadQueries> queries;
  for (std::size_t member = 0; member < own.size(); ++member) {
    queries.push_back({own[member], speculated[member]});
  }
  head.ask(queries);
}

std::string PromptQueries::note() const {
  return fmt::format(
      "co-retrieval: counted over {} queries of the prompt, all or the last of those that the trace keeps, "
      "each asked of the whole prompt; of a query's selection the best {} units count",
      count_, CoRetrievalCount::kMostUnits);
}

}  // namespace kvr
