// The probe's plan, and its closed loops on a small real file.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "models/flash/storage/probe.hpp"
#include "sim/base/error.hpp"
#include "tests/models/flash/scratch_folder.hpp"

namespace kvr::flash {

namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

auto count(const std::vector<ProbeJob>& plan, std::string_view group) {
  return std::ranges::count_if(plan, [group](const ProbeJob& job) { return job.name.starts_with(group); });
}

}  // namespace

TEST_CASE("the plan has every load that a fit needs, none twice, writes last") {
  const std::vector<ProbeJob> plan = probe_plan({8 * kGiB, 32});
  CHECK(count(plan, "J1_") == 3);       // sequential, depths 1, 8, 32
  CHECK(count(plan, "J2_") == 10);      // sizes at depth 1
  CHECK(count(plan, "J3_") == 8);       // ranges of 64 MiB to 8 GiB
  CHECK(count(plan, "J4_") == 10 - 1);  // sizes at depth 32; 4 KiB over 8 GiB is in J3
  CHECK(count(plan, "J5_") == 14 - 2);  // depths 1 to 32 of 4 and 24 KiB; both at 32 are in J4
  CHECK(count(plan, "J7_") == 3 - 1);   // 2 and 4 threads; one is in J3
  CHECK(count(plan, "J8_") == 2);
  std::set<std::string> names;
  for (const ProbeJob& job : plan) {
    names.insert(job.name);
    CHECK(job.bytes <= job.range_bytes);
  }
  CHECK(names.size() == plan.size());
  const auto first_write = std::ranges::find(plan, IoKind::write, &ProbeJob::kind);
  CHECK(plan.end() - first_write == 2);
}

TEST_CASE("of several passes the one of the median rate is kept, with the range of all") {
  const auto pass = [](double rate) {
    ProbeRow row;
    row.requests_per_s = row.lowest_per_s = row.highest_per_s = rate;
    return row;
  };
  const ProbeRow odd = middle_pass({pass(30), pass(10), pass(20)});
  CHECK(odd.requests_per_s == 20);
  CHECK(odd.lowest_per_s == 10);
  CHECK(odd.highest_per_s == 30);
  CHECK(middle_pass({pass(4), pass(1), pass(3), pass(2)}).requests_per_s == 2);
  const ProbeRow alone = middle_pass({pass(7)});
  CHECK(alone.lowest_per_s == 7);
  CHECK(alone.highest_per_s == 7);
}

TEST_CASE("no load of a plan exceeds its limits, whatever they are") {
  for (const std::int64_t depth : {1, 2, 3, 7, 32, 64, 1000}) {
    for (const std::int64_t range : {kMiB, 5 * kMiB, 100 * kMiB, 3 * kGiB, 64 * kGiB}) {
      CAPTURE(depth);
      CAPTURE(range);
      const std::vector<ProbeJob> plan = probe_plan({range, depth});
      CHECK(count(plan, "J2_") >= 1);
      for (const ProbeJob& job : plan) {
        CHECK(job.depth >= 1);
        CHECK(job.threads >= 1);
        CHECK(job.depth * job.threads <= depth);
        CHECK(job.range_bytes <= range);
      }
    }
  }
}

TEST_CASE("without a queue in the kernel, the requests outstanding are threads") {
  const ProbeJob job{.name = "any", .depth = 8, .threads = 4};
  CHECK(job_for_engine(job, "threads").threads == 32);
  CHECK(job_for_engine(job, "threads").depth == 1);
  CHECK(job_for_engine(job, "io_uring").depth == 8);
}

TEST_CASE("a closed loop keeps as many requests outstanding as it is told, on both engines") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  StorageFile file({.path = folder.path() / "data", .bytes = 16 * kMiB});
  file.prepare(*make_direct_io("auto", {file.descriptor(), "data", 8, kMiB}), {});
  for (const std::string engine : {"io_uring", "threads"}) {
    if (engine == "io_uring" && !io_uring_refusal().empty()) {
      MESSAGE("io_uring is left out, because the kernel refuses it");
      continue;
    }
    for (const ProbeJob& wanted :
         {ProbeJob{.name = "one", .range_bytes = 16 * kMiB},
          ProbeJob{.name = "deep", .depth = 8, .range_bytes = 8 * kMiB},
          ProbeJob{.name = "threads", .depth = 4, .threads = 2, .range_bytes = kMiB},
          ProbeJob{
              .name = "sequential", .sequential = true, .bytes = 65536, .depth = 2, .range_bytes = 16 * kMiB},
          ProbeJob{.name = "write", .kind = IoKind::write, .bytes = 65536, .range_bytes = 16 * kMiB}}) {
      CAPTURE(engine);
      CAPTURE(wanted.name);
      const ProbeJob job = job_for_engine(wanted, engine);
      // Little's law. A stall of the storage spoils a short window at its ends, hence several attempts.
      const auto depth = static_cast<double>(job.depth * job.threads);
      bool holds = false;
      for (int attempt = 0; attempt < 10 && !holds; ++attempt) {
        const ProbeRow row = run_probe_job(file, engine, job, 0.02, 0.05);
        CHECK(row.requests_per_s == doctest::Approx(static_cast<double>(row.requests) / 0.05));
        CHECK(row.latency.mean_s == doctest::Approx(row.submission.mean_s + row.completion.mean_s));
        CHECK(row.latency.min_s <= row.latency.max_s);
        CHECK(std::ranges::is_sorted(row.latency.percentiles_s));
        holds = std::abs(row.outstanding() - depth) < 0.1 * depth;
      }
      CHECK(holds);
    }
  }
}

TEST_CASE("a job that fails in one thread ends in all") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  // Never written or even reserved to its end: the file is cut short behind the probe's back.
  const std::filesystem::path path = folder.path() / "data";
  StorageFile file({.path = path, .bytes = kMiB, .keep = true});
  std::filesystem::resize_file(path, 4096);
  const ProbeJob job{.name = "short", .depth = 2, .threads = 3, .range_bytes = kMiB};
  CHECK_THROWS_WITH_AS(run_probe_job(file, "threads", job, 0.01, 0.05), doctest::Contains("only 0 B"),
                       SystemError);
}

}  // namespace kvr::flash
