#include "sim/engine/heads/attention/set_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"

namespace kvr {
namespace {

RecordSizes sizes_of(const StoreCodecs& codecs, std::int64_t members, std::int64_t head_dim,
                     std::int64_t entry_bytes) {
  if (!codecs.sizes_vary()) {
    return RecordSizes(entry_bytes);
  }
  const auto fixed = [&](const NamedCodec& one) {
    return one.codec == nullptr || one.codec->sizes_vary() ? 0 : members * one.codec->row_bytes(head_dim);
  };
  return RecordSizes::varying(entry_bytes, codecs.entry_bytes(members, head_dim),
                              codecs.is_joint() ? 0 : fixed(codecs.keys) + fixed(codecs.values));
}

}  // namespace

SetCodec::SetCodec(const StoreCodecs& codecs, HeadId set, std::int64_t members, std::int64_t head_dim,
                   std::uint64_t root_seed, std::int64_t entry_bytes, const RowsOrigin& origin)
    : set_(set),
      head_dim_(head_dim),
      rotary_(origin.rotary),
      sizes_(sizes_of(codecs, members, head_dim, entry_bytes)) {
  if (codecs.is_joint()) {
    std::vector<Part> parts;
    for (const bool is_key : {true, false}) {
      for (std::size_t member = 0; member < static_cast<std::size_t>(members); ++member) {
        parts.push_back({member, is_key});
      }
    }
    add_plane(codecs.joint, std::move(parts), root_seed, origin);
    return;
  }
  for (std::size_t member = 0; member < static_cast<std::size_t>(members); ++member) {
    for (const bool is_key : {true, false}) {
      const NamedCodec& codec = is_key ? codecs.keys : codecs.values;
      if (codec.codec->each_row() == nullptr) {
        add_plane(codec, {{member, is_key}}, root_seed, origin);
      }
    }
  }
}

void SetCodec::add_plane(const NamedCodec& codec, std::vector<Part> parts, std::uint64_t root_seed,
                         const RowsOrigin& origin) {
  KVR_CHECK(!codec.codec->before_rotation() || rotary_, "keys cannot be turned back");
  const RowsOf alone = parts.front().is_key ? RowsOf::keys : RowsOf::values;
  const std::int64_t elements = std::ssize(parts) * head_dim_;
  refers_ = refers_ || codec.codec->reference_depth() > 0;
  tail_ = std::max(tail_, codec.codec->tail());
  decode_work_ += codec.codec->decode_work(elements);
  planes_.push_back({codec,
                     codec.codec->of_head({.width = elements,
                                           .head = set_,
                                           .plane = std::ssize(planes_),
                                           .root_seed = root_seed,
                                           .rows = parts.size() > 1 ? RowsOf::both : alone,
                                           .layer_number = origin.layer_number,
                                           .model_name = origin.model_name,
                                           .kv_heads = origin.kv_heads}),
                     std::move(parts)});
}

std::int64_t SetCodec::dram_bytes(std::int64_t live) const {
  std::int64_t bytes = 0;
  for (const Plane& plane : planes_) {
    const std::int64_t stored = std::max<std::int64_t>(0, live - plane.codec.codec->tail());
    bytes += plane.head->dram_bytes() + stored * plane.codec.codec->kept_bytes(width(plane));
  }
  return bytes;
}

/// Null where the plane's keys are stored as they are met.
const Rotary* SetCodec::rotary_of(const Plane& plane) const {
  if (!plane.codec.codec->before_rotation()) {
    return nullptr;
  }
  KVR_CHECK(rotary_.has_value(), "'{}' stores keys without a rotation that nobody gave", plane.codec.name);
  return rotary_ ? &*rotary_ : nullptr;
}

void SetCodec::gather(const Plane& plane, std::span<const MemberHead> members, std::int64_t entry,
                      std::vector<Half>& row) const {
  const Rotary* const rotary = rotary_of(plane);
  const Rotary::Turn back = rotary != nullptr ? rotary->turn(-entry) : Rotary::Turn{};
  for (const Part& part : plane.parts) {
    const HeadView view = members[part.member].store().view(entry + 1);
    const auto own = (part.is_key ? view.keys : view.values).row(entry);
    row.insert(row.end(), own.begin(), own.end());
    if (rotary != nullptr && part.is_key) {
      rotary->move(own, back, std::span(row).last(own.size()));
    }
  }
}

void SetCodec::scatter(const Plane& plane, std::span<MemberHead> members, EntryIndex entry) const {
  auto row = std::span(plane.rows).last(static_cast<std::size_t>(width(plane)));
  const Rotary* const rotary = rotary_of(plane);
  const Rotary::Turn forth = rotary != nullptr ? rotary->turn(entry) : Rotary::Turn{};
  std::vector<Half> key(static_cast<std::size_t>(head_dim_));
  for (const Part& part : plane.parts) {
    HeadStore& store = members[part.member].store();
    const auto own = row.first(key.size());
    if (rotary != nullptr && part.is_key) {
      rotary->move(own, forth, key);
      store.replace_key(entry, key);
    } else {
      part.is_key ? store.replace_key(entry, own) : store.replace_value(entry, own);
    }
    row = row.subspan(own.size());
  }
}

/// What of `window` asks the keys of `plane`, [positions * group, head_dim], where its codec wants that.
std::vector<float> SetCodec::queries_of(const Plane& plane, std::span<const MemberHead> members,
                                        const MatrixView<float>& window) const {
  std::vector<float> own;
  const auto member = static_cast<std::int64_t>(plane.parts.front().member);
  const std::int64_t group = members.front().group();
  const std::int64_t of_set = std::ssize(members) * group;
  const std::int64_t asked = std::min(window.rows, plane.codec.codec->prompt_window() * of_set);
  for (std::int64_t row = window.rows - asked; row < window.rows; ++row) {
    if (row % of_set / group == member) {
      const auto columns = window.row(row).subspan(static_cast<std::size_t>(member * head_dim_),
                                                   static_cast<std::size_t>(head_dim_));
      own.insert(own.end(), columns.begin(), columns.end());
    }
  }
  return own;
}

void SetCodec::fit(std::span<const MemberHead> members, const EntrySet& live, const MatrixView<float>& window,
                   Work& work) {
  for (Plane& plane : planes_) {
    const std::int64_t entries = members.front().store().entries();
    std::vector<Half> rows;
    for (std::int64_t entry = 0; entry < entries; ++entry) {
      gather(plane, members, entry, rows);
    }
    const std::vector<float> queries = queries_of(plane, members, window);
    const std::int64_t asked = std::ssize(queries) / width(plane);
    plane.head->fit({matrix_view<Half>(rows.data(), entries, width(plane)), live,
                     matrix_view<float>(queries.data(), asked, width(plane))},
                    work);
  }
}

EntrySet::Interval SetCodec::store(std::span<MemberHead> members, std::int64_t entries, const EntrySet& live,
                                   Work& work) {
  const auto end = static_cast<EntryIndex>(entries);
  EntrySet::Interval changed{end, end};
  for (Plane& plane : planes_) {
    changed.begin = std::min(changed.begin, static_cast<EntryIndex>(plane.stored));
    announce_sizes(plane, entries);
    while (plane.stored < entries - plane.codec.codec->tail()) {
      store_next(plane, members, live, work);
    }
  }
  return changed;
}

void SetCodec::announce_sizes(Plane& plane, std::int64_t entries) {
  if (!plane.codec.codec->sizes_vary() || !plane.codec.codec->sized_by_place()) {
    return;
  }
  for (; plane.announced < entries; ++plane.announced) {
    const auto entry = static_cast<EntryIndex>(plane.announced);
    sizes_.add(entry, plane.head->bytes_at(entry));
  }
}

void SetCodec::store_next(Plane& plane, std::span<MemberHead> members, const EntrySet& live, Work& work) {
  const auto entry = static_cast<EntryIndex>(plane.stored);
  std::vector<Half> row;
  gather(plane, members, entry, row);
  plane.depth.push_back(0);
  if (live.contains(entry)) {
    row = round_trip(plane, row, live, work);
  }
  plane.rows.insert(plane.rows.end(), row.begin(), row.end());
  scatter(plane, members, entry);
  ++plane.stored;
}

std::vector<Half> SetCodec::round_trip(Plane& plane, std::span<const Half> row, const EntrySet& live,
                                       Work& work) {
  const std::int64_t elements = width(plane);
  const auto known = matrix_view<Half>(plane.rows.data(), plane.stored, elements);
  std::vector<float> floats(row.size());
  std::vector<Half> back(row.size());
  to_float(row, floats);
  blaming(
      Codec::kKind, plane.codec.name,
      [&] { return fmt::format("layer {}, head {}, entry {}", set_.layer, set_.head, plane.stored); },
      [&] {
        StoredRow stored;
        plane.head->encode(floats, {known, live}, stored, work);
        check(plane, stored, live);
        note_references(plane, stored.references);
        if (plane.codec.codec->sizes_vary() && !plane.codec.codec->sized_by_place()) {
          sizes_.add(static_cast<EntryIndex>(plane.stored),
                     std::ssize(stored.blob) - plane.codec.codec->kept_bytes(elements));
        }
        std::vector<float> others(stored.references.size() * row.size());
        const auto count = std::ssize(stored.references);
        const auto decoded = matrix_ref<float>(others.data(), count, elements);
        for (std::int64_t i = 0; i < count; ++i) {
          to_float(known.row(stored.references[static_cast<std::size_t>(i)]), decoded.row(i));
        }
        plane.head->decode(stored.blob, decoded.view(), floats);
      });
  to_half(floats, back);
  return back;
}

void SetCodec::check(const Plane& plane, const StoredRow& stored, const EntrySet& live) const {
  const Codec& codec = *plane.codec.codec;
  const std::int64_t kept = codec.kept_bytes(width(plane));
  const std::int64_t bytes = codec.row_bytes(width(plane)) + kept;
  const std::int64_t least = codec.sizes_vary() ? kept + 1 : bytes;
  KVR_CHECK(std::ssize(stored.blob) >= least && std::ssize(stored.blob) <= bytes,
            "it is stored in {} bytes, a row has {}", stored.blob.size(),
            least < bytes ? fmt::format("{} to {}", least, bytes) : fmt::format("{}", bytes));
  if (codec.sizes_vary() && codec.sized_by_place()) {
    const std::int64_t said = plane.head->bytes_at(static_cast<EntryIndex>(plane.stored)) + kept;
    KVR_CHECK(std::ssize(stored.blob) == said, "it is stored in {} bytes, its place says {}",
              stored.blob.size(), said);
  }
  for (std::size_t i = 0; i < stored.references.size(); ++i) {
    const EntryIndex to = stored.references[i];
    KVR_CHECK(to >= 0 && to < plane.stored, "it refers to entry {}, which is not stored before it", to);
    KVR_CHECK(live.contains(to), "it refers to entry {}, which was removed", to);
    KVR_CHECK(std::ranges::count(stored.references, to) == 1, "it refers to entry {} twice", to);
  }
}

void SetCodec::note_references(Plane& plane, std::span<const EntryIndex> references) {
  const auto from = static_cast<EntryIndex>(plane.stored);
  of_entry_.resize(std::max(of_entry_.size(), static_cast<std::size_t>(from) + 1));
  std::vector<EntryIndex>& known = of_entry_[static_cast<std::size_t>(from)];
  std::int64_t& depth = plane.depth.back();
  for (const EntryIndex to : references) {
    depth = std::max(depth, plane.depth[static_cast<std::size_t>(to)] + 1);
    if (std::ranges::find(known, to) == known.end()) {  // else another plane has made it
      known.push_back(to);
      references_.push_back({from, to});
    }
  }
  const std::int64_t most = plane.codec.codec->reference_depth();
  KVR_CHECK(depth <= most, "decoding goes through {} rows, the codec says {} at most", depth, most);
}

}  // namespace kvr
