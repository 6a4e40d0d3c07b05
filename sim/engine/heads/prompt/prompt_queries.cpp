#include "sim/engine/heads/prompt/prompt_queries.hpp"

#include <fmt/format.h>

#include "sim/engine/heads/prompt/co_retrieval.hpp"

namespace kvr {

PromptQueries::PromptQueries(TraceFeed& feed, std::int64_t prompt)
    : feed_(&feed), positions_(feed.query_positions_before(prompt, kMost)) {}

std::vector<std::vector<CoRetrieval>> PromptQueries::co_retrieval(std::int64_t layer,
                                                                  std::span<HeadPolicies> heads,
                                                                  const Stages& stages, Workers& workers) {
  const auto kv_heads = std::ssize(heads);
  std::vector<CoRetrievalCount> counts(heads.size());
  for (const std::int64_t position : positions_) {
    for (std::int64_t head = 0; head < kv_heads; ++head) {
      heads[static_cast<std::size_t>(head)].ask(feed_->queries({layer, head}, position));
    }
    stages.select(heads, workers);
    workers.for_each(kv_heads, [&](std::int64_t head) {
      const auto h = static_cast<std::size_t>(head);
      counts[h].add(heads[h].demanded().units);
    });
  }
  std::vector<std::vector<CoRetrieval>> pairs;
  for (CoRetrievalCount& count : counts) {
    pairs.push_back(count.pairs());
  }
  return pairs;
}

std::string PromptQueries::note() const {
  return fmt::format(
      "co-retrieval: counted over {} queries of the prompt, all or the last of those that the trace keeps, "
      "each asked of the whole prompt; of a query's selection the best {} units count",
      positions_.size(), CoRetrievalCount::kMostUnits);
}

}  // namespace kvr
