// Records by position, in chunks of tokens; within a chunk one head after another:
//
//   chunk = entry / chunk_tokens
//   record = (chunk * kv_heads + head) * chunk_tokens + entry % chunk_tokens
//   offset = record * entry_bytes, as long as nothing is removed
//   interleave_heads: chunks of one token, so that all heads of a token are neighbours
//
// A head's records of a chunk are contiguous. Nothing ever moves; a new chunk is reserved whole for all
// heads.
//
// removed: the records, in their order, fill slots of one block, or of one page where there is a page_buffer,
//          up to whole records. A slot is free once its records have all come and are all removed. A new
//          chunk takes its slots from the lowest free ones, then at the end of the space, so that each slot
//          that is kept has an entry or is still to be filled; offset = slot + place in the slot. What a
//          prompt unit lacks at the beginning is removed.
//
// page_buffer: an entry waits in DRAM until no record is still to come to the page that its record lies in.
//              Interleaved, a page holds all heads of its tokens, and the last head fills it for all. A page
//              on the border of two runs waits for both; there is none where a run is a whole number of
//              pages.
//
// Records of several sizes have no slots. They are a log: each right after the one that came before it, the
// prompt's in the order of their numbers above, later ones as heads write them, step after step. An index in
// DRAM says where each lies. A block, or page, of which all records are removed takes new ones; where there
// is a page_buffer, an entry waits until the log has left the page.
#include <algorithm>
#include <optional>

#include "policies/layout/placing/append_extent.hpp"
#include "policies/layout/placing/page_buffer.hpp"
#include "policies/layout/placing/record_log.hpp"
#include "policies/layout/placing/record_slots.hpp"
#include "policies/layout/placing/removal.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {
namespace {

/// Offset and length of a record in the index of a log, as a phone would keep them.
constexpr std::int64_t kIndexBytes = 8;

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
        slots_(records_in(std::max(context.block_bytes, params.page_buffer))),
        states_(static_cast<std::size_t>(context.kv_heads)),
        index_(states_.size()) {
    if (!context.sizes.empty()) {
      log_.emplace(buffer_.enabled() ? params.page_buffer : context.block_bytes);
    }
  }

  bool takes_sizes() const override { return true; }

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override {
    std::vector<std::vector<EntryIndex>> heads;
    for (const Clustering* clustering : prompt.heads) {
      std::vector<EntryIndex>& entries = heads.emplace_back();
      for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
        const std::span<const EntryIndex> members = clustering->members(unit);
        entries.insert(entries.end(), members.begin(), members.end());
      }
    }
    if (log_) {
      write_in_order(std::move(heads), traffic);
    } else {
      for (std::size_t head = 0; head < heads.size(); ++head) {
        write(static_cast<std::int64_t>(head), std::move(heads[head]), traffic);
      }
    }
    remove_missing(prompt);
    buffer_.write([](const PageBuffer::Page&) { return true; }, traffic);
  }

  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic) override {
    if (is_removal(changes)) {
      for (const Change& change : changes) {
        remove(head, change.entry);
      }
      return;
    }
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
    return log_ ? log_->end_bytes() : slots_.end() * context_.entry_bytes;
  }

  std::int64_t dram_bytes() const override { return log_ ? logged_ * kIndexBytes : 0; }

 private:
  enum class State : std::uint8_t { to_come, placed, removed };

  State& state_of(std::int64_t head, EntryIndex entry) {
    std::vector<State>& states = states_[static_cast<std::size_t>(head)];
    states.resize(std::max(states.size(), static_cast<std::size_t>(entry) + 1), State::to_come);
    return states[static_cast<std::size_t>(entry)];
  }

  std::int64_t records_in(std::int64_t bytes) const {
    return (bytes + context_.entry_bytes - 1) / context_.entry_bytes;
  }

  std::int64_t number_of(std::int64_t head, EntryIndex entry) const {
    const std::int64_t run = entry / chunk_tokens_ * context_.kv_heads + head;
    return run * chunk_tokens_ + entry % chunk_tokens_;
  }

  Extent record(std::int64_t head, EntryIndex entry) const {
    return log_ ? index_[static_cast<std::size_t>(head)][static_cast<std::size_t>(entry)]
                : record(number_of(head, entry));
  }
  Extent record(std::int64_t number) const {
    return {slots_.place_of(number) * context_.entry_bytes, context_.entry_bytes};
  }

  bool is_full(const Extent& page) const {
    if (log_) {
      return !log_->is_open(page);
    }
    return page.end_bytes() <= space_bytes() &&
           to_come_[static_cast<std::size_t>(page.offset_bytes / page.length_bytes)] == 0;
  }

  /// One record `more` is to come to the pages that `record` lies in, or one less.
  void count_to_come(const Extent& record, std::int64_t more) {
    const std::int64_t page_bytes = buffer_.page_bytes();
    const auto last = static_cast<std::size_t>((record.end_bytes() - 1) / page_bytes);
    to_come_.resize(std::max(to_come_.size(), last + 1), 0);
    for (auto page = static_cast<std::size_t>(record.offset_bytes / page_bytes); page <= last; ++page) {
      to_come_[page] += more;
    }
  }

  void log_record(std::int64_t head, EntryIndex entry, RecordLog& log) {
    std::vector<Extent>& index = index_[static_cast<std::size_t>(head)];
    const auto at = static_cast<std::size_t>(entry);
    index.resize(std::max(index.size(), at + 1));
    index[at] = log.append(context_.sizes[static_cast<std::size_t>(head)]->of(entry));
    ++logged_;
  }

  /// `entry` is given its record, for which its chunk is reserved.
  void give_record(std::int64_t head, EntryIndex entry) {
    state_of(head, entry) = State::placed;
    if (log_) {
      log_record(head, entry, *log_);
      return;
    }
    const std::int64_t before = slots_.reserved();
    slots_.reserve((entry / chunk_tokens_ + 1) * chunk_tokens_ * context_.kv_heads);
    if (buffer_.enabled()) {
      for (std::int64_t number = before; number < slots_.reserved(); ++number) {
        count_to_come(record(number), 1);
      }
      count_to_come(record(head, entry), -1);
    }
  }

  /// Gives those of `entries` a record that have none yet; neighbours are written in one piece.
  void write(std::int64_t head, std::vector<EntryIndex> entries, LayoutTraffic& traffic) {
    std::ranges::sort(entries);
    for (const EntryIndex entry : entries) {
      if (state_of(head, entry) != State::to_come) {
        continue;
      }
      give_record(head, entry);
      if (buffer_.enabled()) {
        buffer_.add(head, entry, record(head, entry), 0);
      } else {
        append_extent(record(head, entry), traffic.writes);
        traffic.appended_bytes += record(head, entry).length_bytes;
      }
    }
  }

  /// What all heads have of a chunk before the next one.
  void write_in_order(std::vector<std::vector<EntryIndex>> heads, LayoutTraffic& traffic) {
    std::ranges::for_each(heads, [](auto& entries) { std::ranges::sort(entries, std::ranges::greater{}); });
    for (std::int64_t chunk = 0; std::ranges::any_of(heads, [](auto& left) { return !left.empty(); });
         ++chunk) {
      for (std::size_t head = 0; head < heads.size(); ++head) {
        std::vector<EntryIndex> entries;
        for (auto& left = heads[head]; !left.empty() && left.back() / chunk_tokens_ == chunk;
             left.pop_back()) {
          entries.push_back(left.back());
        }
        write(static_cast<std::int64_t>(head), std::move(entries), traffic);
      }
    }
  }

  /// Uses up the record of `entry`, even if it was pending and had none; of a log it takes none then.
  void remove(std::int64_t head, EntryIndex entry) {
    const State before = state_of(head, entry);
    if (before == State::removed) {
      return;
    }
    if (before == State::placed) {
      buffer_.take(head, entry, record(head, entry));
    }
    if (log_ && before == State::placed) {
      log_->remove(record(head, entry));
      --logged_;
    } else if (!log_) {
      if (before == State::to_come) {
        give_record(head, entry);
      }
      slots_.remove(number_of(head, entry));
    }
    state_of(head, entry) = State::removed;
  }

  /// Entries of the prompt that are in no unit were removed before they had a place.
  void remove_missing(const PromptUnits& prompt) {
    std::vector<std::vector<bool>> found;
    std::size_t entries = 0;
    for (const Clustering* clustering : prompt.heads) {
      found.push_back(held_by(*clustering));
      entries = std::max(entries, found.back().size());
    }
    for (std::size_t head = 0; head < found.size(); ++head) {
      found[head].resize(entries, false);
      for (std::size_t entry = 0; entry < entries; ++entry) {
        if (!found[head][entry]) {
          remove(static_cast<std::int64_t>(head), static_cast<EntryIndex>(entry));
        }
      }
    }
  }

  /// [entry]: whether it is in a unit, pending or not.
  static std::vector<bool> held_by(const Clustering& clustering) {
    std::vector<bool> held;
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      for (const auto entries : {clustering.members(unit), clustering.pending(unit)}) {
        for (const EntryIndex entry : entries) {
          held.resize(std::max(held.size(), static_cast<std::size_t>(entry) + 1), false);
          held[static_cast<std::size_t>(entry)] = true;
        }
      }
    }
    return held;
  }

  std::int64_t chunk_tokens_;
  Context context_;
  PageBuffer buffer_;
  RecordSlots slots_;                       // of records of one size
  std::optional<RecordLog> log_;            // of those of several
  std::vector<std::int64_t> to_come_;       // [page]: records to come, where there is a page buffer
  std::vector<std::vector<State>> states_;  // [head][entry]
  std::vector<std::vector<Extent>> index_;  // [head][entry], of a log
  std::int64_t logged_ = 0;                 // records
};

const Registration<Layout, TokenOrder> registered;

}  // namespace
}  // namespace kvr
