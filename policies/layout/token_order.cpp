// Records by position, in chunks of tokens; within a chunk one head after another:
//
//   chunk = entry / chunk_tokens
//   offset = ((chunk * kv_heads + head) * chunk_tokens + entry % chunk_tokens) * entry_bytes
//   interleave_heads: chunks of one token, so that all heads of a token are neighbours
//
// A head's records of a chunk are contiguous. Nothing ever moves; a new chunk is reserved whole for all
// heads.
#include <algorithm>

#include "policies/layout/placing/append_extent.hpp"
#include "sim/interfaces/layout.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

class TokenOrder final : public Layout {
 public:
  static constexpr std::string_view kName = "token_order";
  static constexpr std::string_view kDoc =
      "Keeps entries in the order of their tokens, whatever units they belong to.";
  static constexpr std::string_view kSource =
      "PQCache, SIGMOD'25 (interleaved); DynaKV's layout by token (sec. 5, fig. 12)";

  struct Params {
    bool interleave_heads = false;
    std::int64_t chunk_tokens = 1024;
  };
  static ParamTable<Params> params() {
    return {{"interleave_heads",
             &Params::interleave_heads,
             {.doc = "all heads of a token side by side; false: runs of chunk_tokens tokens of one head"}},
            {"chunk_tokens",
             &Params::chunk_tokens,
             {.doc = "tokens of one head in one run, where heads are not interleaved",
              .unit = "tokens",
              .min = 1,
              .max = 1 << 20,
              .source = "assumed"}}};
  }

  static std::vector<IdleParam> idle(const Params& params) {
    return params.interleave_heads ? std::vector<IdleParam>{{"chunk_tokens", "interleave_heads is true"}}
                                   : std::vector<IdleParam>{};
  }

  TokenOrder(Params params, const Context& context)
      : chunk_tokens_(params.interleave_heads ? 1 : params.chunk_tokens),
        context_(context),
        placed_(static_cast<std::size_t>(context.kv_heads)) {}

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override {
    std::int64_t head = 0;
    for (const Clustering* clustering : prompt.heads) {
      std::vector<EntryIndex> entries;
      for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
        const std::span<const EntryIndex> members = clustering->members(unit);
        entries.insert(entries.end(), members.begin(), members.end());
      }
      write(head++, std::move(entries), traffic);
    }
  }

  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic) override {
    std::vector<EntryIndex> entries;
    const auto add = [&](UnitId unit) {
      const std::span<const EntryIndex> members = clustering.members(unit);
      entries.insert(entries.end(), members.begin(), members.end());
    };
    for (const Change& change : changes) {
      if (change.kind == ChangeKind::appended) {
        entries.push_back(change.entry);
      } else if (change.kind == ChangeKind::created) {
        add(change.unit);
      } else if (change.kind == ChangeKind::split) {  // entries stay, but pending ones get their place
        add(change.unit);
        add(change.other);
      }
    }
    write(head, std::move(entries), traffic);
  }

  void locate(std::int64_t head, UnitId, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const override {
    for (const EntryIndex entry : entries) {
      extents.push_back(record(head, entry));
    }
  }

  std::int64_t space_bytes() const override {
    return chunks_ * chunk_tokens_ * context_.kv_heads * context_.entry_bytes;
  }

 private:
  Extent record(std::int64_t head, EntryIndex entry) const {
    const std::int64_t run = entry / chunk_tokens_ * context_.kv_heads + head;
    return {(run * chunk_tokens_ + entry % chunk_tokens_) * context_.entry_bytes, context_.entry_bytes};
  }

  /// Writes those of `entries` that have no record yet; neighbours in one piece.
  void write(std::int64_t head, std::vector<EntryIndex> entries, LayoutTraffic& traffic) {
    std::vector<bool>& placed = placed_[static_cast<std::size_t>(head)];
    std::ranges::sort(entries);
    for (const EntryIndex entry : entries) {
      const auto index = static_cast<std::size_t>(entry);
      placed.resize(std::max(placed.size(), index + 1), false);
      if (placed[index]) {
        continue;
      }
      placed[index] = true;
      chunks_ = std::max(chunks_, entry / chunk_tokens_ + 1);
      append_extent(record(head, entry), traffic.writes);
      traffic.appended_bytes += context_.entry_bytes;
    }
  }

  std::int64_t chunk_tokens_;
  Context context_;
  std::vector<std::vector<bool>> placed_;  // [head][entry]
  std::int64_t chunks_ = 0;
};

const Registration<Layout, TokenOrder> registered;

}  // namespace
}  // namespace kvr
