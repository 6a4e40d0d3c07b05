// Records by position, in chunks of tokens; within a chunk one head after another:
//
//   chunk = entry / chunk_tokens
//   offset = ((chunk * kv_heads + head) * chunk_tokens + entry % chunk_tokens) * entry_bytes
//   interleave_heads: chunks of one token, so that all heads of a token are neighbours
//
// A head's records of a chunk are contiguous. Nothing ever moves; a new chunk is reserved whole for all
// heads.
//
// page_buffer: an entry waits in DRAM until the page that its record lies in is full of records. Interleaved,
//              a page holds all heads of its tokens, and the last head fills it for all. A page on the border
//              of two runs waits for both; there is none where a run is a whole number of pages.
#include <algorithm>

#include "policies/layout/placing/append_extent.hpp"
#include "policies/layout/placing/page_buffer.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/layout.hpp"

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
    std::int64_t page_buffer = 0;
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
              .source = "assumed"}},
            {"page_buffer",
             &Params::page_buffer,
             {.doc = "page that new entries wait in DRAM to complete; 0: all are written at once",
              .quantity = Quantity::bytes,
              .min = 0,
              .max = bounds::kBytes,
              .source = "ours: flash is written in pages, and the newest entries are in DRAM anyway"}}};
  }

  static std::vector<IdleParam> idle(const Params& params) {
    return params.interleave_heads ? std::vector<IdleParam>{{"chunk_tokens", "interleave_heads is true"}}
                                   : std::vector<IdleParam>{};
  }

  TokenOrder(Params params, const Context& context)
      : chunk_tokens_(params.interleave_heads ? 1 : params.chunk_tokens),
        context_(context),
        buffer_(params.page_buffer, context.kv_heads),
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
    buffer_.write([](const PageBuffer::Page&) { return true; }, traffic);
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
      } else if (change.kind == ChangeKind::regrouped) {  // likewise
        for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
          add(unit);
        }
      }
    }
    write(head, std::move(entries), traffic);
    buffer_.write([this](const PageBuffer::Page& page) { return is_full(page.at); }, traffic);
  }

  std::span<const EntryIndex> unwritten(std::int64_t head) const override { return buffer_.waiting(head); }

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

  bool is_full(const Extent& page) const {
    return filled_[static_cast<std::size_t>(page.offset_bytes / page.length_bytes)] == page.length_bytes;
  }

  /// Adds the bytes of `record` to the pages that it lies in.
  void fill(const Extent& record) {
    const std::int64_t page_bytes = buffer_.page_bytes();
    for (std::int64_t at = record.offset_bytes; at < record.end_bytes();) {
      const std::int64_t page = at / page_bytes;
      const std::int64_t end = std::min(record.end_bytes(), (page + 1) * page_bytes);
      filled_.resize(std::max(filled_.size(), static_cast<std::size_t>(page) + 1), 0);
      filled_[static_cast<std::size_t>(page)] += end - at;
      at = end;
    }
  }

  /// Gives those of `entries` a record that have none yet; neighbours are written in one piece.
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
      if (buffer_.enabled()) {
        fill(record(head, entry));
        buffer_.add(head, entry, record(head, entry), 0);
      } else {
        append_extent(record(head, entry), traffic.writes);
        traffic.appended_bytes += context_.entry_bytes;
      }
    }
  }

  std::int64_t chunk_tokens_;
  Context context_;
  PageBuffer buffer_;
  std::vector<std::int64_t> filled_;       // [page]: bytes of records, where there is a page buffer
  std::vector<std::vector<bool>> placed_;  // [head][entry]
  std::int64_t chunks_ = 0;
};

const Registration<Layout, TokenOrder> registered;

}  // namespace
}  // namespace kvr
