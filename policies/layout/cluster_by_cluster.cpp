// Every unit exactly contiguous, without room to grow, as a naive store of clusters would be:
//
//   place:   one unit after another, head by head
//   growth:  into the bytes behind the unit where they are free; where its neighbour begins, the unit is
//            moved as a whole into the first hole that takes it, else to the end
//   split:   the old unit is closed up where it is, the new one goes into the first hole that takes it;
//            bytes left are free again
#include "policies/layout/placing/contiguous_units.hpp"
#include "policies/layout/placing/free_space.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

class ClusterByCluster final : public ContiguousUnits {
 public:
  static constexpr std::string_view kName = "cluster_by_cluster";
  static constexpr std::string_view kDoc =
      "Keeps units exactly contiguous, one after another; a unit that meets its neighbour is moved as a "
      "whole.";
  static constexpr std::string_view kSource =
      "the naive layout that DynaKV, arXiv 2511.07427, compares with (fig. 13); first fit is assumed";

  using Params = BufferParams;
  static ParamTable<Params> params() { return buffer_params(); }

  ClusterByCluster(const Params& params, const Context& context)
      : ContiguousUnits(params, context), runs_(static_cast<std::size_t>(context.kv_heads)) {}

  std::int64_t space_bytes() const override { return space_.end_bytes(); }

 private:
  void arrange(const PromptUnits& prompt) override {
    LayoutTraffic nothing;
    for (std::int64_t head = 0; head < std::ssize(prompt.heads); ++head) {
      const Clustering& clustering = *prompt.heads[static_cast<std::size_t>(head)];
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        resize(head, unit, std::ssize(clustering.members(unit)), nothing);
      }
    }
  }

  void resize(std::int64_t head, UnitId unit, std::int64_t records, LayoutTraffic& traffic) override {
    Extent& run = run_at(head, unit);
    const std::int64_t more = records * entry_bytes() - run.length_bytes;
    if (more < 0) {
      run.length_bytes += more;
      space_.release({run.end_bytes(), -more});
    } else if (run.length_bytes == 0 && more > 0) {
      run = {space_.take(more), more};
    } else if (space_.take_at(run.end_bytes(), more)) {
      run.length_bytes += more;
    } else {
      move(head, unit, run.length_bytes + more, traffic);
    }
  }

  void move(std::int64_t head, UnitId unit, std::int64_t bytes, LayoutTraffic& traffic) {
    Extent& run = run_at(head, unit);
    const Extent old = run;
    run = {space_.take(bytes), bytes};
    space_.release(old);
    std::int64_t at = 0;
    for (const EntryIndex entry : entries_of(head, unit)) {
      if (entry != kHole) {
        write(entry, Extent{old.offset_bytes + at, entry_bytes()}, {run.offset_bytes + at, entry_bytes()},
              traffic);
      }
      at += entry_bytes();
    }
    ++traffic.outgrown;
  }

  Extent record(std::int64_t head, UnitId unit, std::int64_t index) const override {
    const Extent& run = runs_[static_cast<std::size_t>(head)][static_cast<std::size_t>(unit)];
    return {run.offset_bytes + index * entry_bytes(), entry_bytes()};
  }

  std::int64_t to_page_end(std::int64_t head, UnitId unit, std::int64_t page_bytes) const override {
    const Extent& run = runs_[static_cast<std::size_t>(head)][static_cast<std::size_t>(unit)];
    return page_bytes - run.end_bytes() % page_bytes;
  }

  Extent& run_at(std::int64_t head, UnitId unit) {
    std::vector<Extent>& runs = runs_[static_cast<std::size_t>(head)];
    runs.resize(std::max(runs.size(), static_cast<std::size_t>(unit) + 1));
    return runs[static_cast<std::size_t>(unit)];
  }

  std::vector<std::vector<Extent>> runs_;  // [heads][units]
  FreeSpace space_;
};

const Registration<Layout, ClusterByCluster> registered;

}  // namespace
}  // namespace kvr
