#include "sim/engine/heads/stages/scorers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/heads/stages/stage_check.hpp"
#include "sim/interfaces/codec.hpp"

namespace kvr {
namespace {

TraceNeeds needs_of(std::size_t index, const RunConfig& config, const trace::Header& header) {
  const StageConfig& stage = config.system.stages[index];
  for (std::int64_t layer = 0; layer < std::ssize(header.captured_layers); ++layer) {
    if (runs_in(stage, layer, header)) {  // a calibration may lack one
      make_scorer(stage, config, header, {.layer = layer});
    }
  }
  const auto scorer = make_scorer(stage, config, header, {});
  if (stage.estimates() && !scorer->sketches()) {
    throw InputError(fmt::format(
        "type: '{}' keeps nothing that could stand for entries that are not read, and the stage estimates "
        "({}); allowed: a scorer that does, or no estimate",
        stage.scorer.type, config.place(fmt::format("system.stages.{}.estimate", index))));
  }
  TraceNeeds needs = scorer->needs();
  if (scorer->asks_queries() && (stage.at_prompt_end || stage.queries == Queries::last_step)) {
    needs.prompt_window = std::max(needs.prompt_window, std::int64_t{1});
  }
  return needs;
}

/// Where codecs are right; check_parts says what is not.
std::int64_t codec_window(const RunConfig& config, const trace::Header& header) {
  const ComponentChoice& keys = config.system.codec.keys;
  if (config.system.codec.joint) {
    return 0;
  }
  try {
    return Registry<Codec>::instance()
        .create(keys.type, keys.values, {header.geometry.head_dim})
        ->prompt_window();
  } catch (const InputError&) {
    return 0;
  }
}

}  // namespace

std::unique_ptr<Scorer> make_scorer(const StageConfig& stage, const RunConfig& config,
                                    const trace::Header& header, HeadId head) {
  const trace::Geometry& g = header.geometry;
  const std::int64_t heads = config.system.set_size(header.kv_heads_captured());
  return Registry<Scorer>::instance().create(
      stage.scorer.type, stage.scorer.values,
      {.head_dim = heads * g.head_dim,
       .group = heads * g.group(),
       .attention_scale = g.attention_scale,
       .head = head,
       .root_seed = static_cast<std::uint64_t>(config.seed),
       .heads = heads,
       .estimates = stage.estimates(),
       .layer_number = header.captured_layers[static_cast<std::size_t>(head.layer)],
       .model_name = header.model_name,
       .kv_heads = header.captured_kv_heads});
}

TraceNeeds check_scorers(const RunConfig& config, const trace::Header& header) {
  TraceNeeds all;
  ProblemList problems;
  for (std::size_t index = 0; index < config.system.stages.size(); ++index) {
    if (config.system.stages[index].takes()) {
      continue;
    }
    try {
      const TraceNeeds needs = needs_of(index, config, header);
      all.prompt_attention_sums |= needs.prompt_attention_sums;
      all.prompt_window = std::max(all.prompt_window, needs.prompt_window);
      all.token_classes |= needs.token_classes;
    } catch (const InputError& error) {
      problems.collect([&] { throw config.placed(fmt::format("system.stages.{}.scorer", index), error); });
    }
  }
  problems.throw_if_any();
  all.prompt_window = std::max(all.prompt_window, codec_window(config, header));
  return all;
}

}  // namespace kvr
