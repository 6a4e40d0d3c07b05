#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/engine/heads/attention/member_head.hpp"
#include "sim/engine/heads/attention/rotary.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/record_sizes.hpp"

namespace kvr {

/// A codec, which outlives whoever is told of it, and what it is called.
struct NamedCodec {
  const Codec* codec = nullptr;
  std::string name;
};

/// How a system stores entries: keys and values of each head apart, or, where `joint` has a codec, all of a
/// set's side by side.
struct StoreCodecs {
  NamedCodec keys;
  NamedCodec values;
  NamedCodec joint = {};

  bool is_joint() const { return joint.codec != nullptr; }
  bool refers() const;
  /// Whether what a row comes back as depends on others.
  bool has_state() const;
  bool sizes_vary() const;
  /// Of each codec whose sizes vary, whether they are known of an entry before it is stored.
  bool sized_by_place() const;
  /// Whether a codec wants keys as they were before their rotary embedding.
  bool before_rotation() const;
  /// Of an entry of `members` heads, the largest where sizes vary.
  std::int64_t entry_bytes(std::int64_t members, std::int64_t head_dim) const;
  /// The longest of any of them.
  std::int64_t tail() const;
  /// What of one head's rows its store decodes by itself.
  HeadStore store(const CapturedHead& captured) const {
    return is_joint() ? HeadStore(captured, nullptr, nullptr)
                      : HeadStore(captured, *keys.codec, *values.codec);
  }
};

inline bool StoreCodecs::refers() const {
  return is_joint() ? joint.codec->reference_depth() > 0
                    : keys.codec->reference_depth() > 0 || values.codec->reference_depth() > 0;
}

inline bool StoreCodecs::has_state() const {
  const auto of = [](const NamedCodec& one) {
    return one.codec != nullptr && one.codec->each_row() == nullptr;
  };
  return of(keys) || of(values) || of(joint);
}

inline bool StoreCodecs::sizes_vary() const {
  return is_joint() ? joint.codec->sizes_vary() : keys.codec->sizes_vary() || values.codec->sizes_vary();
}

inline bool StoreCodecs::sized_by_place() const {
  const auto of = [](const NamedCodec& one) {
    return one.codec == nullptr || !one.codec->sizes_vary() || one.codec->sized_by_place();
  };
  return of(keys) && of(values) && of(joint);
}

inline bool StoreCodecs::before_rotation() const {
  const auto of = [](const NamedCodec& one) { return one.codec != nullptr && one.codec->before_rotation(); };
  return of(keys) || of(values) || of(joint);
}

inline std::int64_t StoreCodecs::entry_bytes(std::int64_t members, std::int64_t head_dim) const {
  return is_joint() ? joint.codec->row_bytes(2 * members * head_dim)
                    : members * (keys.codec->row_bytes(head_dim) + values.codec->row_bytes(head_dim));
}

inline std::int64_t StoreCodecs::tail() const {
  return is_joint() ? joint.codec->tail() : std::max(keys.codec->tail(), values.codec->tail());
}

/// Whose rows a set's codecs store.
struct RowsOrigin {
  std::int64_t layer_number = 0;  ///< of the model
  std::string_view model_name = {};
  std::span<const std::int64_t> kv_heads = {};  ///< of the model, those captured
  std::optional<Rotary> rotary = {};            ///< of their keys, where a codec wants them without it
};

/// What codecs with state keep of the heads that decide together: they fit, store the rows and put what comes
/// back into the heads' stores. What such a codec does wrong is told as a PolicyFault.
class SetCodec {
 public:
  /// An entry that cannot be decoded without the record of another.
  struct Reference {
    EntryIndex from;
    EntryIndex to;
  };

  /// Of heads whose stores do all there is to do.
  SetCodec() = default;
  /// `entry_bytes`: of the largest records in the model that is timed.
  /// `origin`: for the call alone, but its rotary.
  SetCodec(const StoreCodecs& codecs, HeadId set, std::int64_t members, std::int64_t head_dim,
           std::uint64_t root_seed, std::int64_t entry_bytes, const RowsOrigin& origin = {});

  /// To the prompt, before anything is stored. `window` [positions * heads * group, heads * head_dim]: the
  /// queries of its last positions, as in PromptView.
  void fit(std::span<const MemberHead> members, const EntrySet& live, const MatrixView<float>& window,
           Work& work);
  /// Stores what of the first `entries` is live, outside the tail and not stored yet; returns the entries
  /// whose rows may have changed.
  EntrySet::Interval store(std::span<MemberHead> members, std::int64_t entries, const EntrySet& live,
                           Work& work);

  bool refers() const { return refers_; }
  /// Whether every row comes back as it was.
  bool lossless() const {
    return std::ranges::all_of(planes_, [](const Plane& plane) { return plane.codec.codec->lossless(); });
  }
  const RecordSizes& sizes() const { return sizes_; }
  /// The newest entries that have no record yet, at least one of their planes being as captured.
  std::int64_t tail() const { return tail_; }
  /// All references that were ever made, in the order of being made; no two are equal.
  std::span<const Reference> references() const { return references_; }
  /// Of one entry so far.
  std::span<const EntryIndex> references(EntryIndex from) const {
    const auto at = static_cast<std::size_t>(from);
    return at < of_entry_.size() ? std::span(of_entry_[at]) : std::span<const EntryIndex>();
  }
  std::int64_t dram_bytes(std::int64_t live) const;
  /// To decode one entry, its references being decoded.
  const Work& decode_work() const { return decode_work_; }

 private:
  struct Part {
    std::size_t member;
    bool is_key;
  };
  struct Plane {
    NamedCodec codec;
    std::unique_ptr<HeadCodec> head;
    std::vector<Part> parts;               ///< side by side
    std::vector<Half> rows = {};           ///< [stored, width], as they come back
    std::vector<std::int64_t> depth = {};  ///< [stored]: rows that decoding goes through
    std::int64_t stored = 0;
    std::int64_t announced = 0;  ///< entries whose sizes are known
  };

  void add_plane(const NamedCodec& codec, std::vector<Part> parts, std::uint64_t root_seed,
                 const RowsOrigin& origin);
  std::vector<float> queries_of(const Plane& plane, std::span<const MemberHead> members,
                                const MatrixView<float>& window) const;
  std::int64_t width(const Plane& plane) const { return std::ssize(plane.parts) * head_dim_; }
  /// Appends the entry's row to `row`.
  const Rotary* rotary_of(const Plane& plane) const;
  void gather(const Plane& plane, std::span<const MemberHead> members, std::int64_t entry,
              std::vector<Half>& row) const;
  void scatter(const Plane& plane, std::span<MemberHead> members, EntryIndex entry) const;
  void announce_sizes(Plane& plane, std::int64_t entries);
  void store_next(Plane& plane, std::span<MemberHead> members, const EntrySet& live, Work& work);
  std::vector<Half> round_trip(Plane& plane, std::span<const Half> row, const EntrySet& live, Work& work);
  void check(const Plane& plane, const StoredRow& stored, const EntrySet& live) const;
  void note_references(Plane& plane, std::span<const EntryIndex> references);

  HeadId set_;
  std::int64_t head_dim_ = 0;
  std::optional<Rotary> rotary_;
  RecordSizes sizes_;
  bool refers_ = false;
  std::int64_t tail_ = 0;
  Work decode_work_;
  std::vector<Plane> planes_;
  std::vector<Reference> references_;
  std::vector<std::vector<EntryIndex>> of_entry_;
};

}  // namespace kvr
