// A unit is worth what its newest entry is worth, less what its age costs:
//
//   score(unit) = attention_scale * q . key(newest member) - age_cost * (entries since) / 1000
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"

namespace {

class NewestKey final : public kvr::Scorer {
 public:
  static constexpr std::string_view kName = "newest_key";
  static constexpr std::string_view kDoc = "Scores a unit by the key of its newest entry, and less with age.";
  static constexpr std::string_view kSource = "an example";

  struct Params {
    double age_cost = 0.1;
  };
  static kvr::ParamTable<Params> params() {
    return {{"age_cost",
             &Params::age_cost,
             {.doc = "taken off a score for every thousand entries after the unit's newest",
              .unit = "logits",
              .min = 0,
              .max = 1000,
              .source = "assumed"}}};
  }

  static std::vector<kvr::FigureInfo> figures() {
    return {{"mean_age", "entries", "mean age of the units' newest entries",
             "mean over the units of the entries since their newest", kvr::FigureDims::step_layer_head}};
  }

  NewestKey(Params params, const Context& context) : params_(params), context_(context) {}

  void update(std::span<const kvr::Change> changes, const kvr::Clustering& clustering,
              const kvr::HeadView& view, kvr::Work& work) override {
    newest_.resize(static_cast<std::size_t>(clustering.unit_count()), -1);
    keys_.resize(newest_.size() * static_cast<std::size_t>(context_.head_dim));
    for (const kvr::Change& change : changes) {
      const bool all = change.kind == kvr::ChangeKind::regrouped;
      for (kvr::UnitId unit = 0; all && unit < clustering.unit_count(); ++unit) {
        look_at(unit, clustering, view, work);
      }
      if (!all) {
        look_at(change.unit, clustering, view, work);
      }
      if (change.kind == kvr::ChangeKind::split) {
        look_at(change.other, clustering, view, work);
      }
    }
  }

  void score(const kvr::MatrixView<float>& queries, const kvr::Clustering&, const kvr::HeadView&,
             const kvr::MatrixRef<float>& scores, kvr::Work& work) override {
    kvr::kernels::dot_rows(queries, kvr::matrix_view<float>(keys_.data(), units(), context_.head_dim),
                           scores);
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      std::ranges::transform(
          scores.row(query), newest_, scores.row(query).begin(), [&](float dot, auto entry) {
            const double age_cost = params_.age_cost * static_cast<double>(last_ - entry) / 1000.0;
            return static_cast<float>(dot * context_.attention_scale - age_cost);
          });
    }
    const auto elements = static_cast<double>(units() * context_.head_dim);
    work += {2.0 * static_cast<double>(queries.rows) * elements, 2.0 * elements};
  }

  std::int64_t dram_bytes() const override { return units() * (2 * context_.head_dim + 4); }
  void report(kvr::Report& report) const override {
    const double newest = std::accumulate(newest_.begin(), newest_.end(), 0.0);
    report.add("mean_age", static_cast<double>(last_) - newest / static_cast<double>(units()));
  }

 private:
  void look_at(kvr::UnitId unit, const kvr::Clustering& clustering, const kvr::HeadView& view,
               kvr::Work& work) {
    const kvr::EntryIndex entry = std::ranges::max(clustering.members(unit));
    newest_[static_cast<std::size_t>(unit)] = entry;
    last_ = std::max<std::int64_t>(last_, entry);
    kvr::to_float(view.keys.row(entry), kvr::matrix_ref(keys_.data(), units(), context_.head_dim).row(unit));
    work += {0.0, 4.0 * static_cast<double>(context_.head_dim)};  // an fp16 key is read and written
  }

  std::int64_t units() const { return std::ssize(newest_); }

  Params params_;
  Context context_;
  std::vector<std::int64_t> newest_;  // [units]
  std::vector<float> keys_;           // [units, head_dim]
  std::int64_t last_ = 0;
};

const kvr::Registration<kvr::Scorer, NewestKey> registered;

}  // namespace
