#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/base/sha256.hpp"
#include "tests/traces/sample.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

namespace kvr::trace {
namespace {

using Vector = std::vector<double>;

/// Rows of one head as doubles.
std::vector<Vector> rows_of(const Reader& reader, Field field, std::int64_t layer, std::int64_t head) {
  std::vector<Vector> rows;
  Window window(reader, field, layer, head, 100);
  for (std::int64_t i = 0; i < reader.rows(field); ++i) {
    Vector row;
    for (const Half value : window.row(i)) {
      row.push_back(static_cast<double>(to_float(value)));
    }
    rows.push_back(row);
  }
  return rows;
}

/// One head of /truth/layers/<layer>/<name>.
std::vector<std::int32_t> truth_of(const std::filesystem::path& path, std::int64_t layer, const char* name,
                                   std::int64_t head) {
  const hdf5::Handle file = hdf5::open_file(path);
  const hdf5::Handle dataset =
      hdf5::open_dataset(file.get(), fmt::format("/truth/layers/{}/{}", layer, name));
  const hdf5::Shape shape = hdf5::shape_of(dataset.get());
  std::vector<std::int32_t> labels(shape.at(1));
  hdf5::read_block(dataset.get(), H5T_NATIVE_INT32, {static_cast<hsize_t>(head), 0}, {1, shape[1]},
                   labels.data());
  return labels;
}

double distance(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return std::sqrt(sum);
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

/// Mean row of each label.
std::map<std::int32_t, Vector> centres_of(const std::vector<Vector>& rows,
                                          const std::vector<std::int32_t>& labels) {
  std::map<std::int32_t, Vector> centres;
  std::map<std::int32_t, double> counts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Vector& centre = centres.try_emplace(labels[i], Vector(rows[i].size(), 0.0)).first->second;
    std::transform(centre.begin(), centre.end(), rows[i].begin(), centre.begin(), std::plus<>());
    counts[labels[i]] += 1.0;
  }
  for (auto& [label, centre] : centres) {
    for (double& channel : centre) {
      channel /= counts[label];
    }
  }
  return centres;
}

SynthOptions small_options() {
  SynthOptions options;
  options.layers = 2;
  options.head_dim = 32;
  options.prompt = 500;
  options.steps = 100;
  options.clusters = 6;
  return options;
}

}  // namespace

TEST_CASE("a synthetic trace is a valid trace of the size asked for") {
  const TemporaryFolder folder;
  synthesise(small_options(), folder / "a.h5");
  CHECK(validate(folder / "a.h5") == std::vector<std::string>{});
  const Reader reader(folder / "a.h5");
  const Header& header = reader.header();
  CHECK(header.prefill_len == 500);
  CHECK(header.seq_len == 600);
  CHECK(header.geometry.query_heads == 4);
  CHECK(header.geometry.kv_heads == 2);
  CHECK(header.captured_layers == std::vector<std::int64_t>{0, 1});
  CHECK(header.capture_mode == "synthetic");
  CHECK(reader.query_positions().front() == 468);
  CHECK(reader.query_positions().size() == 132);
  CHECK_FALSE(reader.has(Field::speculated_queries, 0));
  CHECK(reader.has(Field::speculated_queries, 1));
}

TEST_CASE("layers may begin at any number, and are then those of a whole model of that number") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  options.layers = 4;
  synthesise(options, folder / "all.h5");
  options.layers = 2;
  options.first_layer = 2;
  synthesise(options, folder / "last.h5");
  CHECK(validate(folder / "last.h5") == std::vector<std::string>{});
  const Reader last(folder / "last.h5");
  CHECK(last.header().captured_layers == std::vector<std::int64_t>{2, 3});
  CHECK(last.header().geometry.layers == 4);
  CHECK(last.has(Field::speculated_queries, 0));
  const hdf5::Handle whole = hdf5::open_file(folder / "all.h5");
  const hdf5::Handle part = hdf5::open_file(folder / "last.h5");
  CHECK(checksum_of(whole.get(), "/layers/3/keys") == checksum_of(part.get(), "/layers/3/keys"));
}

TEST_CASE("the same seed gives the same bytes and another seed others") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  synthesise(options, folder / "a.h5");
  synthesise(options, folder / "b.h5");
  options.seed = 1;
  synthesise(options, folder / "c.h5");
  CHECK(sha256_of_file(folder / "a.h5") == sha256_of_file(folder / "b.h5"));
  const hdf5::Handle first = hdf5::open_file(folder / "a.h5");
  const hdf5::Handle other = hdf5::open_file(folder / "c.h5");
  for (const char* path : {"/tokens", "/layers/0/keys", "/layers/1/values", "/layers/1/queries"}) {
    CHECK(checksum_of(first.get(), path) != checksum_of(other.get(), path));
  }
}

TEST_CASE("tokens have classes where a share of punctuation is asked for, and nothing else differs") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  synthesise(options, folder / "a.h5");
  CHECK_FALSE(Reader(folder / "a.h5").has_token_classes());
  options.punctuation = 0.25;
  synthesise(options, folder / "b.h5");
  CHECK(validate(folder / "b.h5") == std::vector<std::string>{});
  const Reader reader(folder / "b.h5");
  std::vector<std::uint8_t> classes(static_cast<std::size_t>(reader.header().seq_len));
  reader.read_token_classes(0, std::ssize(classes), classes);
  CHECK(std::ranges::count(classes, 1) == options.sinks);
  CHECK(std::all_of(classes.begin(), classes.begin() + options.sinks,
                    [](std::uint8_t one) { return one == 1; }));
  const auto marks = static_cast<double>(std::ranges::count(classes, 2));
  const double others = static_cast<double>(std::ssize(classes) - options.sinks);
  CHECK(std::abs(marks / others - 0.25) < 3.0 * std::sqrt(0.25 * 0.75 / others));
  const hdf5::Handle plain = hdf5::open_file(folder / "a.h5");
  const hdf5::Handle classed = hdf5::open_file(folder / "b.h5");
  for (const char* path : {"/tokens", "/layers/0/keys", "/layers/1/queries"}) {
    CHECK(checksum_of(plain.get(), path) == checksum_of(classed.get(), path));
  }
}

TEST_CASE("another number of steps leaves the tokens before them as they were") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  synthesise(options, folder / "a.h5");
  options.steps = 10;
  synthesise(options, folder / "b.h5");
  const std::vector<Vector> longer = rows_of(Reader(folder / "a.h5"), Field::keys, 1, 1);
  const std::vector<Vector> shorter = rows_of(Reader(folder / "b.h5"), Field::keys, 1, 1);
  CHECK(std::equal(shorter.begin(), shorter.end(), longer.begin()));
}

TEST_CASE("with a small spread and no drift every key is nearest to the centre of its label") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  options.spread = 0.1;
  options.drift_per_step = 0.0;
  synthesise(options, folder / "a.h5");
  const Reader reader(folder / "a.h5");
  for (std::int64_t head = 0; head < 2; ++head) {
    const std::vector<Vector> keys = rows_of(reader, Field::keys, 0, head);
    const std::vector<std::int32_t> labels = truth_of(folder / "a.h5", 0, "cluster", head);
    const std::map<std::int32_t, Vector> centres = centres_of(keys, labels);
    CHECK(centres.size() == 7);  // 6 clusters and the sinks.
    for (std::size_t i = 0; i < keys.size(); ++i) {
      CHECK((labels[i] == -1) == (i < 4));
      for (const auto& [label, centre] : centres) {
        CAPTURE(i);
        CAPTURE(label);
        CHECK((label == labels[i] || distance(keys[i], centres.at(labels[i])) < distance(keys[i], centre)));
      }
    }
  }
}

TEST_CASE("queries give their topic's keys and the sinks the logits that were asked for") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  options.spread = 0.0;
  options.query_spread = 0.0;
  options.drift_per_step = 0.0;
  options.sharpness_nats = 7.0;
  options.sink_nats = 4.0;
  synthesise(options, folder / "a.h5");
  const Reader reader(folder / "a.h5");
  const double scale = reader.header().geometry.attention_scale;
  for (std::int64_t query_head = 0; query_head < 4; ++query_head) {
    const std::int64_t head = query_head / 2;
    const std::vector<Vector> queries = rows_of(reader, Field::queries, 1, query_head);
    const std::vector<Vector> keys = rows_of(reader, Field::keys, 1, head);
    const std::vector<std::int32_t> clusters = truth_of(folder / "a.h5", 1, "cluster", head);
    const std::vector<std::int32_t> topics = truth_of(folder / "a.h5", 1, "topic", head);
    for (std::size_t i = 0; i < queries.size(); i += 10) {
      for (std::size_t t = 0; t < keys.size(); ++t) {
        const double logit = scale * dot(queries[i], keys[t]);
        if (clusters[t] == -1) {
          CHECK(logit == doctest::Approx(4.0).epsilon(0.01));
        } else if (clusters[t] == topics[i]) {
          CHECK(logit == doctest::Approx(7.0).epsilon(0.01));
        } else {
          CHECK(logit < 6.0);
        }
      }
    }
  }
}

TEST_CASE("drift moves a cluster's late members away from its early ones") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  options.clusters = 1;
  options.spread = 0.0;
  options.sinks = 0;
  options.drift_per_step = 0.02;
  synthesise(options, folder / "a.h5");
  const std::vector<Vector> keys = rows_of(Reader(folder / "a.h5"), Field::keys, 0, 0);
  const double norm = std::sqrt(32.0);
  // One step is drift_per_step norms long; n steps of a random walk about sqrt(n) of them.
  CHECK(distance(keys[0], keys[1]) / norm == doctest::Approx(0.02).epsilon(0.5));
  CHECK(distance(keys[0], keys[100]) / norm == doctest::Approx(0.2).epsilon(0.5));
}

TEST_CASE("with full locality queries aim only at recent topics") {
  const TemporaryFolder folder;
  SynthOptions options = small_options();
  options.locality = 1.0;
  options.recent_tokens = 1;
  options.run_tokens = 1.0;  // Every token and every query choose anew.
  synthesise(options, folder / "a.h5");
  const std::vector<std::int32_t> clusters = truth_of(folder / "a.h5", 0, "cluster", 1);
  const std::vector<std::int32_t> topics = truth_of(folder / "a.h5", 0, "topic", 1);
  CHECK(std::equal(topics.begin(), topics.end(), clusters.end() - std::ssize(topics)));
}

TEST_CASE("bad options are all named, and nothing is written") {
  const TemporaryFolder folder;
  SynthOptions options;
  options.layers = 0;
  options.head_dim = 7;
  options.prompt = 3;
  options.prompt_window = 4;
  options.locality = 1.5;
  options.spread = std::nan("");
  try {
    synthesise(options, folder / "a.h5");
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.problems() ==
          std::vector<std::string>{"layers: 0; expected 1 to 4096", "spread: nan; expected 0 to 100",
                                   "locality: 1.5; expected 0 to 1", "head-dim: 7; expected an even number",
                                   "prompt-window: 4 contradicts prompt 3; expected at most that many tokens",
                                   "sinks: 4 contradicts prompt 3; expected at most that many tokens"});
  }
  CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace kvr::trace
