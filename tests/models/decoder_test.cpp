#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "sim/error.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/language_model.hpp"
#include "sim/registry.hpp"
#include "tests/models/shipped_config.hpp"

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

TEST_CASE("decoding a token of Llama-2-7B size takes as long as reading its weights") {
  // 4096 hidden, 11008 ffn, 32 layers and heads: 3.8 GB in Q4_0, 12.8 to 13.2 tokens/s measured on the CPU of
  // a phone with the SoC of the OnePlus Ace5 Pro, from which its bandwidth was derived.
  const auto model = make({{"layers", std::int64_t{32}},
                           {"query_heads", std::int64_t{32}},
                           {"kv_heads", std::int64_t{32}},
                           {"head_dim", std::int64_t{128}},
                           {"hidden", std::int64_t{4096}},
                           {"ffn", std::int64_t{11008}},
                           {"vocab", std::int64_t{32000}},
                           {"weight_bytes", 0.5625}});
  const auto phone = Registry<ComputeModel>::instance().create(
      "roofline", test::shipped_values("phone", "phones/oneplus_ace5_pro.yaml"), {});
  double token_s = phone->time_s(model->output_head());
  for (std::int64_t layer = 0; layer < 32; ++layer) {
    token_s += phone->time_s(model->query_projection()) + phone->time_s(model->key_value_projection()) +
               phone->time_s(model->output_projection()) + phone->time_s(model->feed_forward());
  }
  CHECK(1.0 / token_s == Approx(13.0).epsilon(0.05));
}

}  // namespace
}  // namespace kvr
