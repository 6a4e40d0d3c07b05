#include "sim/engine/walk/trace_demands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {

StepRange step_range(const RunConfig& config, const SequenceConfig& sequence, const trace::Header& header) {
  const std::int64_t available = header.seq_len - header.prefill_len;
  if (available <= 0) {
    throw InputError(
        fmt::format("{}: has no decode steps, so there is nothing to replay", sequence.trace_path.string()));
  }
  const std::int64_t left = available - sequence.first_step;
  if (left <= 0) {
    throw InputError(fmt::format("{}: {} is past the end; {} has {} decode steps, allowed is 0 to {}",
                                 config.place(sequence.first_step_key), sequence.first_step,
                                 sequence.trace_path.string(), available, available - 1));
  }
  if (config.steps > left) {
    throw InputError(fmt::format("{}: {} from step {} on; {} has only {} left, 0 means all of them",
                                 config.place("run.steps"), config.steps, sequence.first_step,
                                 sequence.trace_path.string(), left));
  }
  return {header.prefill_len + sequence.first_step, config.steps == 0 ? left : config.steps};
}

namespace {

/// How many positions before `prompt` have queries without a gap.
std::int64_t queries_before(std::int64_t prompt, const trace::Reader& trace) {
  const std::vector<std::int64_t>& positions = trace.query_positions();
  auto at = std::ranges::lower_bound(positions, prompt);
  std::int64_t count = 0;
  while (at != positions.begin() && *(at - 1) == prompt - count - 1) {
    --at;
    ++count;
  }
  return count;
}

/// A system need not have a name.
std::string who_needs(const RunConfig& config) {
  return config.system.name.empty() ? fmt::format("a scorer or codec ({})", config.place("system.stages"))
                                    : fmt::format("a policy of '{}'", config.system.name);
}

}  // namespace

void check_needs(const TraceNeeds& needs, const RunConfig& config, const SequenceConfig& sequence,
                 std::int64_t prompt, const trace::Reader& trace) {
  std::vector<std::string> problems;
  const auto layers = static_cast<std::int64_t>(trace.header().captured_layers.size());
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    const auto number = trace.header().captured_layers[static_cast<std::size_t>(layer)];
    if (needs.prompt_attention_sums && !trace.has_prompt_attention_sums(layer)) {
      problems.push_back(fmt::format("{}: layer {} has no prompt_attention_sums, which {} needs",
                                     sequence.trace_path.string(), number, who_needs(config)));
    }
  }
  if (needs.prompt_attention_sums && prompt != trace.header().prefill_len) {
    problems.push_back(fmt::format(
        "{}: {}: prompt_attention_sums, which {} needs, are those of the trace's own "
        "prompt; allowed: 0",
        config.place(sequence.first_step_key), prompt - trace.header().prefill_len, who_needs(config)));
  }
  if (needs.token_classes && !trace.has_token_classes()) {
    problems.push_back(fmt::format(
        "{}: has no token_class, which {} needs; kvreplay-token-classes adds it from the model's tokenizer",
        sequence.trace_path.string(), who_needs(config)));
  }
  const std::int64_t window = queries_before(prompt, trace);
  if (needs.prompt_window > window) {
    problems.push_back(fmt::format("{}: has the queries of the last {} entries of the prompt, {} needs {}",
                                   sequence.trace_path.string(), window, who_needs(config),
                                   needs.prompt_window));
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

}  // namespace kvr
