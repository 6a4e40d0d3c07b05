// What a point is made of, before its prompt is read: the policies of every head, the memory of every layer.
#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "sim/base/registry.hpp"
#include "sim/engine/codec_refusals.hpp"
#include "sim/engine/heads/attention/head_codecs.hpp"
#include "sim/engine/point_replay.hpp"

namespace kvr {

void PointReplay::make_heads() {
  const auto seed = static_cast<std::uint64_t>(config_.seed);
  const trace::Geometry& g = walk_.header().geometry;
  const std::optional<Rotary> rotary = rotary_of_slots(config_, walk_.header());
  refuse_codecs(config_, machine_.codecs(), layout_context());
  heads_.reserve(reuses_.size());
  for (std::int64_t set = 0; set < std::ssize(reuses_); ++set) {
    const HeadId first = walk_.head_id(set * members_);
    const HeadId id{first.layer, first.head / members_, first.sequence};
    std::vector<MemberHead> members;
    for (std::int64_t member = 0; member < members_; ++member) {
      members.emplace_back(g.group(), g.attention_scale,
                           machine_.codecs().store(walk_.rows(set * members_ + member)), rotary);
    }
    auto clustering = Registry<Clustering>::instance().create(
        config_.system.clustering.type, config_.system.clustering.values, {members_ * g.head_dim, id, seed});
    heads_.emplace_back(id, std::move(members), std::move(clustering), config_.system.clustering.type,
                        stages_.of_head(id),
                        SetCodec(machine_.codecs(), id, members_, g.head_dim, seed, machine_.entry_bytes(),
                                 rows_origin(walk_.header(), id.layer, machine_.codecs())));
    heads_.back().record_span({static_cast<EntryIndex>(config_.recorded_span.first),
                               static_cast<EntryIndex>(config_.recorded_span.end())});
  }
}

void PointReplay::make_layers() {
  memories_.reserve(static_cast<std::size_t>(walk_.layers()));
  for (std::int64_t layer = 0; layer < walk_.layers(); ++layer) {
    std::vector<Cache*> caches;
    for (std::int64_t head = 0; head < sets(); ++head) {
      caches.push_back(&caches_.of(layer, head));
    }
    memories_.emplace_back(layer, heads_of(layer), make_layout(layer), config_.system.layout.type,
                           walk_.most_entries(), machine_.entry_bytes(), machine_.block_bytes(),
                           std::move(caches), tiers_);
  }
  for (LayerMemory& layer : memories_) {
    for (std::int64_t head = 0; head < sets(); ++head) {
      residencies_.push_back(&layer.residency(head));
    }
  }
  std::ranges::transform(heads_, std::back_inserter(clusterings_),
                         [](const HeadPolicies& head) { return &head.clustering(); });
  tiers_.put_under(caches_, residencies_, clusterings_, walk_.most_entries());
}

Layout::Context PointReplay::layout_context() const {
  return {walk_.kv_heads() / members_, machine_.entry_bytes(), machine_.block_bytes(),
          static_cast<std::uint64_t>(config_.seed)};
}

BatchLayout PointReplay::make_layout(std::int64_t layer) {
  if (!config_.system.on_flash) {
    return {};
  }
  const ComponentChoice& choice = config_.system.layout;
  Layout::Context context = layout_context();
  std::vector<std::unique_ptr<Layout>> layouts;
  for (std::int64_t sequence = 0; sequence < walk_.sequences(); ++sequence) {
    if (machine_.codecs().sizes_vary()) {
      context.sizes.clear();
      const auto first = static_cast<std::size_t>(sequence * context.kv_heads);
      for (const HeadPolicies& head :
           heads_of(layer).subspan(first, static_cast<std::size_t>(context.kv_heads))) {
        context.sizes.push_back(&head.codec().sizes());
      }
    }
    layouts.push_back(Registry<Layout>::instance().create(choice.type, choice.values, context));
  }
  return {std::move(layouts), context.kv_heads, machine_.regions_bytes()};
}

}  // namespace kvr
