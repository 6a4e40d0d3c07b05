#include "tests/engine/reporting_policies.hpp"

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr::test {
namespace {

using enum FigureDims;

class Reporting final : public Clustering {
 public:
  static constexpr std::string_view kName = kReporting;
  static constexpr std::string_view kDoc = "Single entries, with figures, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {
    std::string fault = "none";
  };
  static ParamTable<Params> params() {
    return {{"fault",
             &Params::fault,
             {.doc = "what is wrong with a report", .choices = "none|undeclared|twice|nan|place|throws"}}};
  }
  static std::vector<FigureInfo> figures() {
    return {{"entries", "entries", "entries handed over", "count", step_layer_head},
            {"code", "1", "a number of the head", "10 * layer + head", step_layer},
            {"appended", "entries", "entries appended", "count", step, FigureKind::total},
            {"seldom", "1", "one, now and then", "1 where the entries are even", step_layer_head}};
  }

  Reporting(Params params, const Context& context) : params_(std::move(params)), head_(context.head) {}

  void build(const HeadView& prompt, const EntrySet&, ChangeList& changes, Work&) override {
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      add(entry, changes);
    }
  }
  void append(EntryIndex entry, const HeadView&, const ResidentUnits&, ChangeList& changes, Work&) override {
    add(entry, changes);
    ++appended_;
  }
  std::int64_t unit_count() const override { return std::ssize(entries_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return std::span(entries_).subspan(static_cast<std::size_t>(unit), 1);
  }
  std::int64_t dram_bytes() const override { return 0; }

  void report(Report& report) const override {
    report.add("entries", static_cast<double>(unit_count()));
    report.add("code", static_cast<double>(10 * head_.layer + head_.head));
    report.add("appended", static_cast<double>(appended_));
    if (unit_count() % 2 == 0) {
      report.add("seldom", 1.0);
    }
    if (appended_ == 3) {  // in the third step
      report_wrongly(report);
    }
  }

 private:
  void add(EntryIndex entry, ChangeList& changes) {
    entries_.push_back(entry);
    changes.push_back({.kind = ChangeKind::created, .unit = static_cast<UnitId>(entries_.size() - 1)});
  }
  void report_wrongly(Report& report) const {
    if (params_.fault == "undeclared") {
      report.add("secret", 1.0);
    } else if (params_.fault == "twice") {
      report.add("code", 1.0);
    } else if (params_.fault == "nan") {
      report.add("seldom", {head_.layer, head_.head}, std::numeric_limits<double>::quiet_NaN());
    } else if (params_.fault == "place") {
      report.add("seldom", {7, 0}, 1.0);
    }
    KVR_CHECK(params_.fault != "throws", "the report's own fault");
  }

  Params params_;
  HeadId head_;
  std::vector<EntryIndex> entries_;
  std::int64_t appended_ = 0;
};

class ReportingBudget final : public Budget {
 public:
  static constexpr std::string_view kName = kReportingBudget;
  static constexpr std::string_view kDoc = "Eight entries, with figures, for tests.";
  static constexpr std::string_view kSource = "ours";

  struct Params {};
  static ParamTable<Params> params() { return {}; }
  static std::vector<FigureInfo> figures() {
    return {{"code", "1", "a number of the head", "100 * layer + head", step_layer_head},
            {"asked", "1", "times that a head was allotted", "count", step_layer, FigureKind::total}};
  }

  ReportingBudget(Params, const Context& context) : context_(context) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    for (std::size_t i = 0; i < heads.size(); ++i) {
      entries[i] = 8;
      ++asked_[heads[i].layer];
    }
  }
  void report(Report& report) const override {
    for (std::int64_t layer = 0; layer < context_.layers; ++layer) {
      report.add("asked", {layer, -1}, static_cast<double>(asked_[layer]));
      for (std::int64_t head = 0; head < context_.kv_heads; ++head) {
        report.add("code", {layer, head}, static_cast<double>(100 * layer + head));
      }
    }
  }

 private:
  Context context_;
  mutable std::map<std::int64_t, std::int64_t> asked_;  ///< by layer
};

const Registration<Clustering, Reporting> registered;
const Registration<Budget, ReportingBudget> registered_budget;

}  // namespace
}  // namespace kvr::test
