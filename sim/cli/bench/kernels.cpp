#include "sim/cli/bench/kernels.hpp"

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/cli/bench/peers.hpp"
#include "sim/kernels/attention.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/kmeans.hpp"
#include "sim/kernels/running_variance.hpp"
#include "sim/kernels/topk.hpp"

namespace kvr::bench {
namespace {

constexpr std::int64_t kGroup = 4;
constexpr std::int64_t kDim = 128;
constexpr std::int64_t kEntries = 65536;
constexpr std::int64_t kSelected = kEntries / 10;
constexpr std::int64_t kBest = 64;
constexpr std::int64_t kPoints = 16384;
constexpr std::int64_t kClusters = 256;
constexpr int kIterations = 10;
constexpr int kRuns = 15;
constexpr int kSlowRuns = 3;
constexpr std::int64_t kHalfBytes = sizeof(Half);
constexpr std::int64_t kFloatBytes = sizeof(float);
constexpr std::int64_t kDoubleBytes = sizeof(double);

/// A kernel and its peer on the same data. Both return a digest of their results; the digests may differ by
/// `tolerance`, relative to the larger.
struct Case {
  std::string name;
  std::string shape;
  std::string peer;
  std::int64_t bytes;
  double flops;
  int runs;
  double tolerance;
  Work run_kernel;
  Work run_peer;
};

std::vector<float> random_floats(std::int64_t count, std::string_view stream) {
  Rng rng = Rng::stream(1, stream);
  std::vector<float> values(static_cast<std::size_t>(count));
  std::ranges::generate(values, [&rng] { return static_cast<float>(rng.normal()); });
  return values;
}

/// fp16 rows and the same as floats.
struct Rows {
  explicit Rows(std::string_view stream)
      : floats(random_floats(kEntries * kDim, stream)), halves(floats.size()) {
    to_half(floats, halves);
    to_float(halves, floats);
  }
  MatrixView<Half> half_view() const { return matrix_view(halves.data(), kEntries, kDim); }
  MatrixView<float> float_view() const { return matrix_view(floats.data(), kEntries, kDim); }

  std::vector<float> floats;
  std::vector<Half> halves;
};

/// The queries of a group, the rows that they meet and room for results.
struct Attention {
  MatrixView<float> query_view() const { return matrix_view(queries.data(), kGroup, kDim); }
  MatrixRef<float> out_ref() { return matrix_ref(out.data(), kGroup, kDim); }

  float scale = 1.0F / std::sqrt(static_cast<float>(kDim));
  std::vector<float> queries = random_floats(kGroup * kDim, "bench.queries");
  Rows keys{"bench.keys"};
  Rows values{"bench.values"};
  std::vector<std::int32_t> entries = random_entries();
  std::vector<float> out = std::vector<float>(static_cast<std::size_t>(kGroup * kDim));
  std::vector<kernels::AttentionResult> results = std::vector<kernels::AttentionResult>(kGroup);

 private:
  static std::vector<std::int32_t> random_entries() {
    std::vector<std::int32_t> best;
    kernels::top_k(random_floats(kEntries, "bench.entries"), kSelected, best);
    return best;
  }
};

double norm(std::span<const float> values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

/// A thousandth of the values or so, because summing all would be timed too.
double sample_norm(std::span<const float> values) {
  constexpr std::size_t kStride = 997;
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); i += kStride) {
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return std::sqrt(sum);
}

/// Multiplications and additions of the logits and of the weighted sum; exponentials are not counted.
double attention_flops(std::int64_t entries) {
  return 4.0 * static_cast<double>(kGroup * entries * kDim);
}

Case attend_all_case() {
  auto data = std::make_shared<Attention>();
  return {"attend_all",
          fmt::format("{} queries, {} entries of {}, fp16", kGroup, kEntries, kDim),
          "Eigen GEMMs, float",
          2 * kEntries * kDim * kHalfBytes,
          attention_flops(kEntries),
          kRuns,
          1e-3,
          [data] {
            kernels::attend_all(data->query_view(), data->keys.half_view(), data->values.half_view(),
                                data->scale, data->out_ref(), data->results);
            return norm(data->out);
          },
          [data] {
            eigen_attend_all(data->query_view(), data->keys.float_view(), data->values.float_view(),
                             data->scale, data->out_ref());
            return norm(data->out);
          }};
}

Case attend_selected_case() {
  auto data = std::make_shared<Attention>();
  return {"attend_selected",
          fmt::format("{} queries, {} of {} entries of {}, fp16", kGroup, kSelected, kEntries, kDim),
          "gather, Eigen GEMMs, float",
          2 * kSelected * kDim * kHalfBytes,
          attention_flops(kSelected),
          kRuns,
          1e-3,
          [data] {
            kernels::attend_selected(data->query_view(), data->keys.half_view(), data->values.half_view(),
                                     data->entries, data->scale, data->out_ref(), data->results);
            return norm(data->out);
          },
          [data] {
            eigen_attend_selected(data->query_view(), data->keys.float_view(), data->values.float_view(),
                                  data->entries, data->scale, data->out_ref());
            return norm(data->out);
          }};
}

Case dot_rows_case() {
  auto data = std::make_shared<Attention>();
  auto scores = std::make_shared<std::vector<float>>(static_cast<std::size_t>(kGroup * kEntries));
  const MatrixRef<float> out = matrix_ref(scores->data(), kGroup, kEntries);
  return {"dot_rows",
          fmt::format("{} queries, {} entries of {}, fp16", kGroup, kEntries, kDim),
          "Eigen GEMM, float",
          kEntries * kDim * kHalfBytes + kGroup * kEntries * kFloatBytes,
          2.0 * static_cast<double>(kGroup * kEntries * kDim),
          kRuns,
          1e-3,
          [data, scores, out] {
            kernels::dot_rows(data->query_view(), data->keys.half_view(), out);
            return sample_norm(*scores);
          },
          [data, scores, out] {
            eigen_dot_rows(data->query_view(), data->keys.float_view(), out);
            return sample_norm(*scores);
          }};
}

double sum_of(std::span<const std::int32_t> indices) {
  return std::accumulate(indices.begin(), indices.end(), 0.0);
}

Case top_k_case() {
  auto scores = std::make_shared<std::vector<float>>(random_floats(kEntries, "bench.scores"));
  return {"top_k",
          fmt::format("{} of {}", kBest, kEntries),
          "std::nth_element, std::sort",
          kEntries * kFloatBytes,
          0.0,
          kRuns,
          0.0,
          [scores] {
            std::vector<std::int32_t> best;
            kernels::top_k(*scores, kBest, best);
            return sum_of(best);
          },
          [scores] { return sum_of(nth_element_top_k(*scores, kBest)); }};
}

Case kmeans_case() {
  auto data = std::make_shared<std::vector<float>>(random_floats(kPoints * kDim, "bench.points"));
  const MatrixView<float> points = matrix_view<float>(data->data(), kPoints, kDim);
  const MatrixView<float> initial = points.slice(0, kClusters);
  return {"kmeans",
          fmt::format("{} points of {}, k = {}, {} iterations", kPoints, kDim, kClusters, kIterations),
          "Eigen GEMM, maximum per row",
          kPoints * kDim * kFloatBytes,
          2.0 * kIterations * static_cast<double>(kPoints * kClusters * kDim),
          kSlowRuns,
          1e-2,
          [data, points, initial] {
            const auto result =
                kernels::kmeans_from(points, initial, {.clusters = kClusters, .max_iterations = kIterations});
            KVR_CHECK(result.iterations == kIterations, "{} iterations", result.iterations);
            return result.inertia;
          },
          [data, points, initial] { return eigen_kmeans(points, initial, kIterations); }};
}

Case to_float_case() {
  auto rows = std::make_shared<Rows>("bench.halves");
  auto out = std::make_shared<std::vector<float>>(rows->floats.size());
  return {"to_float",
          fmt::format("{} x {} fp16", kEntries, kDim),
          "Eigen::half cast",
          kEntries * kDim * (kHalfBytes + kFloatBytes),
          0.0,
          kRuns,
          0.0,
          [rows, out] {
            to_float(rows->halves, *out);
            return sample_norm(*out);
          },
          [rows, out] {
            eigen_to_float(rows->halves, *out);
            return sample_norm(*out);
          }};
}

/// Every row goes to the next of `clusters`, around and around; returns the sum of their variances.
template <class Cluster>
double add_in_turns(MatrixView<float> rows, std::vector<Cluster> clusters) {
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    clusters[static_cast<std::size_t>(i % kClusters)].add(rows.row(i));
  }
  return std::accumulate(clusters.begin(), clusters.end(), 0.0,
                         [](double sum, const Cluster& cluster) { return sum + cluster.variance(); });
}

Case running_variance_case() {
  constexpr double kOperations = 5.0;  // per channel: difference, product and sum, product and sum
  auto data = std::make_shared<std::vector<float>>(random_floats(kPoints * kDim, "bench.points"));
  const MatrixView<float> rows = matrix_view<float>(data->data(), kPoints, kDim);
  return {"RunningCluster::add",
          fmt::format("{} rows of {} to {} clusters", kPoints, kDim, kClusters),
          "plain Welford loop, double",
          kPoints * kDim * kFloatBytes + kClusters * kDim * kDoubleBytes,
          2.0 * kOperations * static_cast<double>(kPoints * kDim),
          kRuns,
          1e-9,
          [data, rows] { return add_in_turns(rows, std::vector(kClusters, kernels::RunningCluster(kDim))); },
          [data, rows] { return add_in_turns(rows, std::vector(kClusters, PlainVariance(kDim))); }};
}

/// A peer that does other work would be none.
void check_agreement(const Case& c) {
  const double kernel = c.run_kernel();
  const double peer = c.run_peer();
  KVR_CHECK(std::abs(kernel - peer) <= c.tolerance * std::max(std::abs(kernel), std::abs(peer)),
            "{}: kernel {}, peer {}", c.name, kernel, peer);
}

KernelResult measure(const Case& c, double peak) {
  check_agreement(c);
  const BufferReader reader(c.bytes);
  const std::array<Work, 3> works = {c.run_kernel, c.run_peer, std::cref(reader)};
  const std::vector<Timing> timings = time_in_turns(works, c.runs);
  return {c.name, c.shape, c.peer, c.bytes, c.flops, timings[0], timings[1], timings[2], peak};
}

}  // namespace

std::string kernel_instruction_set() {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (__builtin_cpu_supports("x86-64-v4")) {
    return "x86-64-v4 (AVX-512)";
  }
  return __builtin_cpu_supports("x86-64-v3") ? "x86-64-v3 (AVX2)" : "x86-64";
#else
  return "the build's";
#endif
}

std::vector<KernelResult> measure_kernels() {
  constexpr std::array kCases = {attend_all_case, attend_selected_case, dot_rows_case,        top_k_case,
                                 kmeans_case,     to_float_case,        running_variance_case};
  const double peak = peak_flops();
  std::vector<KernelResult> results;
  for (const auto& make_case : kCases) {
    results.push_back(measure(make_case(), peak));
  }
  return results;
}

}  // namespace kvr::bench
