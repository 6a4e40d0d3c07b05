// Keys by a few of their channels, those in which the prompt's last queries are large:
//
//   of each KV head, Q = those queries of all its query heads
//   A         = the right singular vectors of Q, all of them; skew: false   the channels as they are
//   columns   = of A, max(1, floor(share * channels)) with the largest sum of |Q A|
//   kept(key) = (key A)[columns], two bytes an element, once the entry is a member of a unit
//   logit     = attention_scale * (query A)[columns] . kept(key)
//   of a unit:   its members' largest logit, or the log of their summed weights
//
// A is orthogonal, so that with all columns the logits are the true ones up to rounding.
#include <algorithm>
#include <cmath>
#include <vector>

#include "policies/scorer/projected_keys.hpp"
#include "policies/scorer/unit_worth.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/principal_directions.hpp"
#include "sim/kernels/topk.hpp"

namespace kvr {
namespace {

class PartialKey final : public Scorer {
 public:
  static constexpr std::string_view kName = "partial_key";
  static constexpr std::string_view kDoc =
      "Scores entries by the few channels, of queries and keys turned alike, in which the prompt's last "
      "queries are largest; of the keys these channels stay in DRAM.";
  static constexpr std::string_view kSource = "InfiniGen, OSDI'24, sec. 4";

  struct Params {
    double share = 0.2;
    bool skew = true;
    std::int64_t window = 32;
    std::string reduce = "max";
  };
  static ParamTable<Params> params();

  PartialKey(const Params& params, const Context& context)
      : params_(params),
        context_(context),
        dim_(context.query_dim()),
        columns_(std::max<std::int64_t>(
            1, static_cast<std::int64_t>(params.share * static_cast<double>(context.query_dim())))),
        worth_(params.reduce),
        keys_(context.head_dim) {}

  TraceNeeds needs() const override { return {.prompt_window = params_.window}; }

  void begin(const PromptView& prompt, Work& work) override {
    std::vector<float> basis(static_cast<std::size_t>(context_.head_dim * width()), 0.0F);
    const auto of_all = matrix_ref(basis.data(), context_.head_dim, width());
    for (std::int64_t head = 0; head < context_.heads; ++head) {
      place(head, window_of(head, prompt), of_all, work);
    }
    keys_.take_basis(std::move(basis));
  }

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    work += static_cast<double>(keys_.follow(changes, clustering, view)) * key_work();
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    worth_.score(keys_.dots(queries), static_cast<float>(context_.attention_scale), clustering, scores);
    work += score_work(static_cast<double>(queries.rows));
  }

  /// The kept channels, and either the columns of A or the channels' numbers.
  std::int64_t dram_bytes() const override {
    return 2 * width() * keys_.count() + (params_.skew ? 2 * dim_ : 4) * width();
  }

 private:
  static constexpr double kBytes = 2.0;  // an element in fp16
  static constexpr double kIndexBytes = 4.0;

  /// Channels that are kept of an entry, of all heads that decide together.
  std::int64_t width() const { return context_.heads * columns_; }

  /// The window's queries of one KV head, [rows, dim].
  std::vector<float> window_of(std::int64_t head, const PromptView& prompt) const {
    const std::int64_t group = context_.group / context_.heads;
    const auto positions = static_cast<std::int64_t>(std::ssize(prompt.window_positions));
    std::vector<float> rows;
    for (std::int64_t t = std::max<std::int64_t>(0, positions - params_.window); t < positions; ++t) {
      for (std::int64_t query = 0; query < group; ++query) {
        const auto row = prompt.window_queries.row(t * context_.group + head * group + query)
                             .subspan(static_cast<std::size_t>(head * dim_), static_cast<std::size_t>(dim_));
        rows.insert(rows.end(), row.begin(), row.end());
      }
    }
    return rows;
  }

  /// Finds the columns of a KV head and writes them where they belong in the basis of all.
  void place(std::int64_t head, const std::vector<float>& queries, const MatrixRef<float>& basis,
             Work& work) const {
    const auto window = matrix_view(queries.data(), std::ssize(queries) / dim_, dim_);
    const std::vector<float> turned = params_.skew ? skew_of(window, work) : as_they_are();
    const auto a = matrix_view(turned.data(), dim_, dim_);
    std::vector<std::int32_t> columns;
    kernels::top_k(sums_of(window, a, work), columns_, columns);
    for (std::int64_t channel = 0; channel < dim_; ++channel) {
      const std::span<float> row = basis.row(head * dim_ + channel);
      for (std::size_t i = 0; i < columns.size(); ++i) {
        row[static_cast<std::size_t>(head * columns_) + i] =
            to_float(to_half(a.row(channel)[static_cast<std::size_t>(columns[i])]));
      }
    }
  }

  std::vector<float> as_they_are() const {
    std::vector<float> unit(static_cast<std::size_t>(dim_ * dim_), 0.0F);
    for (std::int64_t channel = 0; channel < dim_; ++channel) {
      unit[static_cast<std::size_t>(channel * (dim_ + 1))] = 1.0F;
    }
    return unit;
  }

  /// The products of all pairs of channels, and the decomposition, about nine times the cube of the channels.
  std::vector<float> skew_of(const MatrixView<float>& window, Work& work) const {
    kernels::RowProducts products(dim_);
    products.add(window);
    const auto d = static_cast<double>(dim_);
    const auto n = static_cast<double>(window.rows);
    work += {n * d * d + 9.0 * d * d * d, kBytes * n * d};
    return products.directions(dim_, false).basis;
  }

  /// Of each column of `a`: the summed magnitudes of the window's queries in it.
  std::vector<float> sums_of(const MatrixView<float>& window, const MatrixView<float>& a, Work& work) const {
    std::vector<float> turned(static_cast<std::size_t>(window.rows * dim_));
    const auto rows = matrix_ref(turned.data(), window.rows, dim_);
    kernels::multiply(window, a, rows);
    std::vector<float> sums(static_cast<std::size_t>(dim_), 0.0F);
    for (std::int64_t row = 0; row < window.rows; ++row) {
      std::ranges::transform(sums, rows.row(row), sums.begin(),
                             [](float sum, float element) { return sum + std::abs(element); });
    }
    const auto d = static_cast<double>(dim_);
    const auto n = static_cast<double>(window.rows);
    work += {(params_.skew ? 2.0 * d : 0.0) * n * d + n * d, kBytes * (n * d + (params_.skew ? d * d : 0.0))};
    return sums;
  }

  /// To turn a key and keep its columns: each is a product over the channels of its own head, or one of them.
  Work key_work() const {
    const auto w = static_cast<double>(width());
    const auto d = static_cast<double>(dim_);
    const auto all = static_cast<double>(context_.head_dim);
    return params_.skew ? Work{2.0 * d * w, kBytes * (all + d * w + w)}
                        : Work{0.0, (2.0 * kBytes + kIndexBytes) * w};
  }

  /// A query is turned over the channels that it has, then multiplied with the columns of its own head.
  Work score_work(double queries) const {
    const auto c = static_cast<double>(columns_);
    const auto w = static_cast<double>(width());
    const auto d = static_cast<double>(dim_);
    const auto n = static_cast<double>(keys_.count());
    const Work products = {2.0 * queries * c * n, kBytes * w * n};
    return products +
           (params_.skew ? Work{2.0 * queries * c * d, kBytes * d * w} : Work{0.0, kIndexBytes * w});
  }

  Params params_;
  Context context_;
  std::int64_t dim_;      // channels of one head
  std::int64_t columns_;  // that are kept of them
  UnitWorth worth_;
  ProjectedKeys keys_;
};

ParamTable<PartialKey::Params> PartialKey::params() {
  return {
      {"share",
       &Params::share,
       {.doc = "channels of a head that are kept, as a share of all, rounded down but at least one",
        .min = 0,
        .max = 1,
        .above_min = true,
        .source = "InfiniGen: 0.2 (partial weight ratio); KVSwap's comparison: 0.125"}},
      {"skew",
       &Params::skew,
       {.doc = "turns queries and keys first, into the directions of the prompt's last queries",
        .source = "InfiniGen, whose directions are those of another text; false: its ablation"}},
      {"window",
       &Params::window,
       {.doc = "last queries of the prompt that say which channels",
        .unit = "entries",
        .min = 1,
        .max = bounds::kEntries,
        .source = "ours; InfiniGen: all of the prompt"}},
      {"reduce", &Params::reduce, UnitWorth::doc()},
  };
}

const Registration<Scorer, PartialKey> registered;

}  // namespace
}  // namespace kvr
