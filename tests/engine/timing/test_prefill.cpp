// What it takes to read in prompts and further messages, against closed forms.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "sim/base/registry.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/language_model.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// Tokens that are units themselves, scored as they are: policies keep nothing.
Setup charged(const std::string& turns = "") {
  Setup setup;
  setup.check = "every_step";
  setup.workload = "{prefill: charged" + (turns.empty() ? "" : ", turns: " + turns) + "}";
  return setup;
}

/// Seconds that the processor takes to read `tokens` in, beside `before` entries, counted by hand: a matrix
/// is read once and multiplied with every token, token i attends to before + i entries, each read once.
double computed_s(const Setup& setup, std::int64_t tokens, std::int64_t before) {
  const RunConfig config = fixture().config(setup);
  const trace::Reader reader(fixture().trace_path());
  const trace::Geometry& g = reader.header().geometry;
  const LanguageModel::Context context{
      {g.layers, g.query_heads, g.kv_heads, g.head_dim, g.hidden_size, g.ffn_size, g.vocab_size}, tokens};
  const auto model = Registry<LanguageModel>::instance().create("decoder", config.model.values, context);
  const auto one =
      Registry<LanguageModel>::instance().create("decoder", config.model.values, {context.trace, 1});
  const auto phone = Registry<ComputeModel>::instance().create("roofline", config.phone.values, {});
  double pairs = 0.0;
  for (std::int64_t i = 1; i <= tokens; ++i) {
    pairs += static_cast<double>(before + i);
  }
  const double d = static_cast<double>(g.head_dim);
  const Work attention{4.0 * static_cast<double>(g.query_heads) * d * pairs,
                       static_cast<double>(g.kv_heads * (before + tokens)) * 4.0 * d};
  const WeightFormat format = model->weight_format();
  const double layer_s =
      phone->time_s(model->query_projection(), format) +
      phone->time_s(model->key_value_projection(), format) + phone->time_s(attention, WeightFormat::f16) +
      phone->time_s(model->output_projection(), format) + phone->time_s(model->feed_forward(), format);
  return static_cast<double>(g.layers) * layer_s + phone->time_s(one->output_head(), one->head_format());
}

TEST_CASE("reading in computes what matrices and attention come to, and writes what the layout places") {
  const Setup setup = charged("[{decode: 6}, {prefill: 11}, {decode: 9}]");
  const PointResult result = fixture().run(setup);
  REQUIRE(result.data.prefills() == 2);
  CHECK(values(result, Metric::prefill_tokens)[0] == 65.0);
  CHECK(values(result, Metric::prefill_tokens)[1] == 11.0);
  CHECK(values(result, Metric::prefill_compute_s)[0] ==
        doctest::Approx(computed_s(setup, 65, 0)).epsilon(1e-9));
  CHECK(values(result, Metric::prefill_compute_s)[1] ==
        doctest::Approx(computed_s(setup, 11, 71)).epsilon(1e-9));
  const auto whole_blocks = [](std::int64_t bytes) { return (bytes + 4095) / 4096 * 4096; };
  // Token order: a layer's heads beside one another, each with room to grow.
  const double prompt_bytes = values(result, Metric::prefill_write_bytes)[0];
  CHECK(prompt_bytes >= static_cast<double>(test::kHeads * 65 * test::kEntryBytes));
  CHECK(prompt_bytes <= static_cast<double>(test::kHeads * whole_blocks(66 * test::kEntryBytes)));
  CHECK(values(result, Metric::prefill_read_bytes)[0] == 0.0);
  // Pins and what waits to be written are in DRAM; everything else is read, once.
  const double read_bytes = values(result, Metric::prefill_read_bytes)[1];
  CHECK(read_bytes >= static_cast<double>(test::kHeads * (71 - 2 - 5 - 6) * test::kEntryBytes));
  CHECK(read_bytes <= static_cast<double>(test::kHeads * whole_blocks(72 * test::kEntryBytes)));
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const double compute_s = values(result, Metric::prefill_compute_s)[i];
    const double io_s = values(result, Metric::prefill_io_s)[i];
    CHECK(io_s > 0.0);
    CHECK(values(result, Metric::prefill_s)[i] >= std::max(compute_s, io_s));
    CHECK(values(result, Metric::prefill_s)[i] <= compute_s + io_s + 1e-12);
  }
}

TEST_CASE(
    "a message right behind the prompt reads what the prompt has left on flash, and comes before the first "
    "token") {
  Setup setup = charged("[{prefill: 4}, {prefill: 4}, {decode: 1}]");
  setup.sinks = 0;
  setup.recent = 0;
  const PointResult result = fixture().run(setup);
  const auto read_bytes = values(result, Metric::prefill_read_bytes);
  CHECK(read_bytes[0] == 0.0);
  CHECK(read_bytes[1] >= static_cast<double>(test::kHeads * 64 * test::kEntryBytes));
  CHECK(read_bytes[2] >= read_bytes[1]);
  const auto summary =
      std::ranges::find(summary_table(), "time_to_first_token", &SummaryInfo::name)->compute(result.data);
  const auto prefill_s = values(result, Metric::prefill_s);
  CHECK(summary ==
        doctest::Approx(prefill_s[0] + prefill_s[1] + prefill_s[2] + values(result, Metric::latency_s)[0])
            .epsilon(1e-12));
}

TEST_CASE("steps come to the same whether reading in is charged or not") {
  Setup setup = charged("[{decode: 6}, {prefill: 11}, {decode: 9}]");
  setup.clustering = "{type: kmeans, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.replacement = "lru";
  setup.cache_bytes = 60 * test::kEntryBytes;
  const PointResult counted = fixture().run(setup);
  setup.threads = 3;
  CHECK(test::same_bits(counted, fixture().run(setup)));
  setup.threads = 1;
  setup.workload = "{turns: [{decode: 6}, {prefill: 11}, {decode: 9}]}";
  const PointResult free = fixture().run(setup);
  CHECK_FALSE(free.data.recorded(Metric::prefill_s));
  for (const MetricInfo& metric : metric_table()) {
    if (metric.origin == Origin::simulated && metric.dims != Dims::prefill) {
      CAPTURE(metric.name);  // times are differences from the run's begin
      CHECK(std::ranges::equal(values(counted, metric.id), values(free, metric.id), [](double a, double b) {
        return (std::isnan(a) && std::isnan(b)) || a == doctest::Approx(b).epsilon(1e-9);
      }));
    }
  }
  REQUIRE(counted.data.figures().size() == free.data.figures().size());
  for (std::size_t i = 0; i < counted.data.figures().size(); ++i) {
    CAPTURE(counted.data.figures()[i].name);  // what the device counts while it reads in is no step's
    CHECK(counted.data.figures()[i].values == free.data.figures()[i].values);
  }
  CHECK_FALSE(counted.data.figures().empty());
  // Clusters and centroids of the prompt are made by the processor too.
  CHECK(values(counted, Metric::prefill_compute_s)[0] > computed_s(setup, 65, 0));
  const auto note = [](const PointResult& result, const std::string& part) {
    return std::ranges::any_of(result.notes,
                               [&](const std::string& one) { return one.find(part) != std::string::npos; });
  };
  CHECK(note(counted, "prefill: counted are"));
  CHECK(note(free, "left out: time and traffic of the 11 tokens"));
}

TEST_CASE("copies and further sequences read in together, with weights read once for all") {
  Setup setup = charged();
  setup.steps = 2;
  setup.workload = "{prefill: charged, sequences: [{}, {offset: 3}]}";
  setup.sequences = 2;
  const PointResult four = fixture().run(setup);
  CHECK(values(four, Metric::prefill_tokens)[0] == 2.0 * (65.0 + 68.0));
  const Setup alone = charged();
  CHECK(values(four, Metric::prefill_compute_s)[0] > computed_s(alone, 65, 0));
  CHECK(values(four, Metric::prefill_compute_s)[0] <
        2.0 * (computed_s(alone, 65, 0) + computed_s(alone, 68, 0)));
}

TEST_CASE("the first token comes after the prompt and a step") {
  const PointResult result = fixture().run(charged());
  const auto summary =
      std::ranges::find(summary_table(), "time_to_first_token", &SummaryInfo::name)->compute(result.data);
  CHECK(summary == values(result, Metric::prefill_s)[0] + values(result, Metric::latency_s)[0]);
}

}  // namespace
}  // namespace kvr
