#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/language_model.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr {
namespace {

using doctest::Approx;

constexpr DecoderGeometry kTrace{4, 8, 2, 16, 128, 512, 1000};

std::unique_ptr<LanguageModel> make(const ParamValues& values, const DecoderGeometry& trace = kTrace) {
  return Registry<LanguageModel>::instance().create("decoder", values, {trace});
}

std::unique_ptr<LanguageModel> shipped(const std::string& name) {
  return make(test::shipped_values("model", "models/" + name + ".yaml"));
}

double weights_of(const LanguageModel& model) {
  const Work layer = model.query_projection() + model.key_value_projection() + model.output_projection() +
                     model.feed_forward();
  return (static_cast<double>(model.geometry().layers) * layer.flops + model.output_head().flops) / 2.0;
}

TEST_CASE("a layer of Llama-3.2-1B costs what its matrices say") {
  const auto model = shipped("llama-3.2-1b");
  CHECK(model->query_projection().flops == 2.0 * 2048 * 2048);
  CHECK(model->key_value_projection().flops == 2.0 * 2048 * 1024);
  CHECK(model->output_projection().flops == 2.0 * 2048 * 2048);
  CHECK(model->feed_forward().flops == 2.0 * 3 * 2048 * 8192);
  CHECK(model->output_head().flops == 2.0 * 2048 * 128256);
  // 4194304 weights of 18/32 bytes, 2048 inputs and outputs of 2 bytes.
  CHECK(model->query_projection().bytes == 2359296.0 + 8192.0);
  CHECK(model->feed_forward().bytes == 3 * (2048.0 * 8192 * 0.5625 + 2.0 * (2048 + 8192)));
}

TEST_CASE("the shipped models have the weights they are named after") {
  // Totals of the model cards, the embedding once; norms and biases are left out here.
  CHECK(weights_of(*shipped("llama-3.2-1b")) == Approx(1.236e9).epsilon(0.002));
  CHECK(weights_of(*shipped("llama-3.2-3b")) == Approx(3.213e9).epsilon(0.002));
  CHECK(weights_of(*shipped("qwen2.5-1.5b")) == Approx(1.544e9).epsilon(0.002));
  CHECK(weights_of(*shipped("qwen2.5-3b")) == Approx(3.086e9).epsilon(0.002));
  CHECK(weights_of(*shipped("mistral-7b")) == Approx(7.248e9 - 4096.0 * 32768).epsilon(0.002));
}

TEST_CASE("attention of a group reads each entry once") {
  const auto model = shipped("llama-3.2-1b");
  const Work work = model->attention(100.0, 256.0);
  CHECK(work.flops == 4.0 * 4 * 100 * 64);
  CHECK(work.bytes == 25600.0);
}

TEST_CASE("whatever is zero is the trace's, and only what differs is borrowed") {
  const auto own = shipped("trace");
  CHECK_FALSE(own->borrowed());
  CHECK(own->geometry().hidden == 128);
  CHECK(own->query_projection().bytes == 2.0 * 128 * 128 + 2.0 * 256);
  CHECK_FALSE(make({{"layers", std::int64_t{4}}})->borrowed());
  CHECK(make({{"layers", std::int64_t{5}}})->borrowed());
  CHECK(make({{"vocab", std::int64_t{5}}})->borrowed());
}

TEST_CASE("inconsistent or missing geometry is refused with every problem") {
  CHECK_THROWS_WITH_AS(make({{"name", std::string("odd")}, {"query_heads", std::int64_t{7}}}),
                       "query_heads: is no multiple of kv_heads (7); allowed: multiples of 2", InputError);
  DecoderGeometry hollow = kTrace;
  hollow.ffn = 0;
  hollow.vocab = 0;
  try {
    make({}, hollow);
    FAIL("accepted");
  } catch (const InputError& error) {
    CHECK(error.problems().size() == 2);
  }
}

TEST_CASE("a token takes as long as reading the weights, each format at its own bandwidth") {
  // By hand: 28 layers of 46,792,704 weights in Q4_0 and a head of 233,373,696 in F16.
  const auto model = shipped("qwen2.5-1.5b");
  REQUIRE(model->weight_format() == WeightFormat::q4_0);
  REQUIRE(model->head_format() == WeightFormat::f16);
  const auto phone = Registry<ComputeModel>::instance().create(
      "roofline", {{"gemv_bandwidth", 60e9}, {"q4_0_bandwidth", 30e9}, {"sync_time", 0.0}}, {});
  double layer_s = 0.0;
  for (const Work& work : {model->query_projection(), model->key_value_projection(),
                           model->output_projection(), model->feed_forward()}) {
    layer_s += phone->time_s(work, model->weight_format());
  }
  const double head_s = phone->time_s(model->output_head(), model->head_format());
  constexpr double kVectors = 1.01;  // what vectors add, at most
  const double layer_by_hand_s = 46'792'704 * 0.5625 / 30e9;
  CHECK(layer_s > layer_by_hand_s);
  CHECK(layer_s < kVectors * layer_by_hand_s);
  CHECK(head_s == Approx(233'373'696 * 2.0 / 60e9).epsilon(1e-3));
}

}  // namespace
}  // namespace kvr
