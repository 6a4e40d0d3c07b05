#include <doctest/doctest.h>
#include <hdf5_hl.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/results/result_file.hpp"
#include "sim/results/writer.hpp"

using namespace kvr;

namespace {

/// Two points that differ in steps, layers and heads; the second is a repetition of a variant.
std::vector<PointResult> two_points() {
  PointData first("first", 3, 2, 1);
  first.set_layer_numbers({0, 8});
  PointData second("second, seed 7", 2, 2, 2);
  second.set_layer_numbers({4, 8});
  for (std::int64_t step = 0; step < 3; ++step) {
    first.set(Metric::latency_s, step, 1.0 + static_cast<double>(step));
    first.set(Metric::recall, step, 1, 0, 0.5);
    first.set(Metric::truth_kernel_s, step, 0.1);
  }
  second.set(Metric::latency_s, 0, 9.0);
  second.set(Metric::latency_s, 1, 9.0);
  second.set(Metric::recall, 1, 0, 1, 0.25);
  std::vector<PointResult> points{{std::move(first), "a: 1\n", {}},
                                  {std::move(second), "a: 2\n", {"extrapolated", "oracle"}}};
  points[1].variant = "second";
  points[1].seed = 7;
  return points;
}

std::filesystem::path written(const TemporaryFolder& folder) {
  Provenance provenance;
  provenance.add("commit", "abc");
  provenance.add("trace_sha256", std::string(70'000, 'f'));  // of more than a fixed attribute holds
  const std::filesystem::path file = folder / "r.h5";
  write_results(file, two_points(), provenance);
  return file;
}

hdf5::Handle opened_for_change(const std::filesystem::path& file) {
  return hdf5::Handle(H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
}

/// What opening the file is refused with; empty: it is not.
std::string refusal(const std::filesystem::path& file) {
  try {
    ResultFile(file).check();
    return {};
  } catch (const InputError& error) {
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what is written is read again") {
  const TemporaryFolder folder;
  const ResultFile file(written(folder));
  REQUIRE(file.points().size() == 2);
  CHECK(file.points()[0].name == "first");
  CHECK(file.points()[0].variant == "first");
  CHECK(file.points()[0].notes.empty());
  CHECK(file.points()[1].variant == "second");
  CHECK(file.points()[1].seed == 7);
  CHECK(file.points()[1].resolved_config == "a: 2\n");
  CHECK(file.points()[1].notes == std::vector<std::string>{"extrapolated", "oracle"});
  CHECK(file.provenance("commit") == "abc");
  CHECK(file.provenance("trace_sha256").size() == 70'000);
  CHECK(file.provenance("nothing").empty());
  CHECK(file.complete());
  CHECK(file.points_planned() == 2);
}

TEST_CASE("datasets say what they are of, and values lie along the axes of the file") {
  const TemporaryFolder folder;
  const ResultFile file(written(folder));
  CHECK(file.axis("layer").numbers == std::vector<std::int64_t>{0, 4, 8});
  CHECK(file.axis("kv_head").size() == 2);
  CHECK(file.axis("point").label(1) == "second, seed 7");
  CHECK(file.axis("tier").size() == 0);
  const ResultDataset* recall = file.find("recall", Origin::simulated);
  REQUIRE(recall != nullptr);
  CHECK(recall->dims == std::vector<std::string>{"point", "step", "layer", "kv_head"});
  CHECK(recall->unit == "1");
  CHECK_FALSE(recall->formula.empty());
  const std::vector<double> values = file.block(*recall, 1);  // [3, 3, 2]
  REQUIRE(values.size() == 18);
  CHECK(values[(1 * 3 + 1) * 2 + 1] == 0.25);
  CHECK(std::isnan(values[0]));
  const ResultDataset* mean = file.find("latency_mean", Origin::simulated);
  REQUIRE(mean != nullptr);
  CHECK(mean->is_summary());
  CHECK(file.summary(*mean) == std::vector<double>{2.0, 9.0});
  CHECK(file.find("truth_kernel_s", Origin::host) != nullptr);
  CHECK(file.find("truth_kernel_s", Origin::simulated) == nullptr);
  CHECK(file.find("step", Origin::simulated) == nullptr);
  file.check();
}

TEST_CASE("a file may say that points are missing") {
  const TemporaryFolder folder;
  const std::filesystem::path path = written(folder);
  {
    const hdf5::Handle file = opened_for_change(path);
    for (const char* const said : {"complete", "points_planned"}) {
      REQUIRE(H5Adelete(file.get(), said) >= 0);
    }
  }
  CHECK(ResultFile(path).complete());  // as before files said so
  {
    const hdf5::Handle file = opened_for_change(path);
    hdf5::write_int(file.get(), "complete", 0);
    hdf5::write_int(file.get(), "points_planned", 5);
  }
  const ResultFile file(path);
  CHECK_FALSE(file.complete());
  CHECK(file.points_planned() == 5);
}

TEST_CASE("heads are KV heads whichever of the two names a file gives them") {
  const TemporaryFolder folder;
  const std::filesystem::path path = written(folder);
  {
    const hdf5::Handle file = opened_for_change(path);
    const bool renamed = hdf5::has_dataset(file.get(), "head");
    if (renamed) {
      REQUIRE(H5Lmove(file.get(), "head", file.get(), "kv_head", H5P_DEFAULT, H5P_DEFAULT) >= 0);
      const hdf5::Handle scale = hdf5::open_dataset(file.get(), "kv_head");
      REQUIRE(H5Adelete(scale.get(), "NAME") >= 0);
      hdf5::write_string(scale.get(), "NAME", "kv_head");
    }
  }
  const ResultFile file(path);
  CHECK(file.axis("kv_head").numbers == std::vector<std::int64_t>{0, 1});
  CHECK(file.find("recall", Origin::simulated)->dims.back() == "kv_head");
}

TEST_CASE("what is no results file, or one no longer, is refused with its name") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "r.h5";
  CHECK(contains(refusal(path), "r.h5: no such file"));
  std::ofstream(path) << "no HDF5";
  CHECK(contains(refusal(path), "r.h5: not an HDF5 file"));
  { const hdf5::Handle file = hdf5::create_file(path); }
  CHECK(contains(refusal(path), "r.h5: no results; expected results of 'kvreplay run'"));
  {
    const hdf5::Handle file = hdf5::create_file(path);
    hdf5::write_string(file.get(), "format", "kvtrace");
  }
  CHECK(contains(refusal(path), "r.h5: its format is 'kvtrace'; expected results"));
  {
    const hdf5::Handle file = hdf5::create_file(path);
    hdf5::write_string(file.get(), "format", "kvreplay-results");
    hdf5::write_int(file.get(), "version", kResultsSchemaVersion + 1);
  }
  CHECK(contains(refusal(path), "this program reads version"));
}

TEST_CASE("a file that contradicts itself is refused with the dataset that does") {
  const TemporaryFolder folder;
  const auto refused_after = [&](auto change) {
    const std::filesystem::path path = written(folder);
    change(opened_for_change(path).get());
    return refusal(path);
  };
  const auto replace = [](hid_t file, const char* name, hid_t type, const hdf5::Shape& shape) {
    REQUIRE(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    return hdf5::create_dataset(file, name, type, shape, {});
  };
  CHECK(contains(refused_after([](hid_t file) { H5Ldelete(file, "host", H5P_DEFAULT); }), "/host: missing"));
  CHECK(contains(refused_after([](hid_t file) { H5Ldelete(file, "seed", H5P_DEFAULT); }), "seed: missing"));
  CHECK(contains(refused_after([](hid_t file) { H5Ldelete(file, "point", H5P_DEFAULT); }), "no points"));
  CHECK(contains(refused_after([&](hid_t file) { replace(file, "seed", H5T_STD_I64LE, {3}); }), "seed: "));
  CHECK(contains(refused_after([&](hid_t file) {
                   const auto dataset = replace(file, "latency_s", H5T_IEEE_F64LE, {2, 3});
                   hdf5::write_string(dataset.get(), "formula", "f");
                 }),
                 "/latency_s: dimension 0 has no scale"));
  CHECK(contains(refused_after([&](hid_t file) {
                   const auto dataset = replace(file, "latency_s", H5T_IEEE_F64LE, {2, 4});
                   hdf5::write_string(dataset.get(), "formula", "f");
                   H5DSattach_scale(dataset.get(), hdf5::open_dataset(file, "point").get(), 0);
                   H5DSattach_scale(dataset.get(), hdf5::open_dataset(file, "step").get(), 1);
                 }),
                 "/latency_s: 4 values along 'step'; expected 3"));
  CHECK(contains(refused_after([&](hid_t file) {
                   const auto dataset = replace(file, "latency_s", H5T_IEEE_F32LE, {2, 3});
                   hdf5::write_string(dataset.get(), "formula", "f");
                   H5DSattach_scale(dataset.get(), hdf5::open_dataset(file, "point").get(), 0);
                   H5DSattach_scale(dataset.get(), hdf5::open_dataset(file, "step").get(), 1);
                 }),
                 "/latency_s: float32; expected float64"));
}
