// The shipped UFS 4.0 part against published measurements, at both fidelities that simulate. Bandwidths in
// MB/s (1e6 B/s), sizes in KiB. Where a fidelity misses a band, it is asserted where it lies, with the
// reason.
#include <doctest/doctest.h>

#include "tests/models/flash/anchor_rig.hpp"

namespace kvr::flash::test {
namespace {

using doctest::Approx;

template <class Check>
void at_each_fidelity(Check check) {
  for (const Fidelity fidelity : {Fidelity::analytic, Fidelity::queueing}) {
    CAPTURE(std::string(name_of(fidelity)));
    check(fidelity);
  }
}

Rig ufs40(Fidelity fidelity, const HostCost& host = kBigCore) {
  return Rig(fidelity, "ufs40").host(host);
}

TEST_CASE("ufs40: 4 KiB reads over the whole part reach 450 MB/s") {
  at_each_fidelity([](Fidelity fidelity) {
    CHECK(ufs40(fidelity).megabytes_per_s({.kib = 4}) == Approx(450.0).epsilon(0.1));
  });
}

TEST_CASE("ufs40: 4 KiB reads within 128 MB reach 1 GB/s, within 512 MB 750 to 850 MB/s") {
  at_each_fidelity([](Fidelity fidelity) {
    const Rig rig = ufs40(fidelity);
    CHECK(rig.megabytes_per_s({.range_bytes = 128 * kMiB}) == Approx(1000.0).epsilon(0.12));
    CHECK(within(rig.megabytes_per_s({.range_bytes = 512 * kMiB}), 750.0, 850.0));
  });
}

TEST_CASE("ufs40: a core at 2.2 GHz gets 760 MB/s where one at 3.3 GHz gets 1 GB/s") {
  at_each_fidelity([](Fidelity fidelity) {
    CHECK(ufs40(fidelity, kLittleCore).megabytes_per_s({.range_bytes = 128 * kMiB}) ==
          Approx(760.0).epsilon(0.1));
  });
}

TEST_CASE("ufs40: 512 KiB reads reach 3500 MB/s at random and 4000 MB/s in sequence") {
  at_each_fidelity([](Fidelity fidelity) {
    CHECK(ufs40(fidelity).megabytes_per_s({.kib = 512}) == Approx(3500.0).epsilon(0.15));
    CHECK(ufs40(fidelity).megabytes_per_s({.kib = 512, .sequential = true}) == Approx(4000.0).epsilon(0.05));
  });
}

TEST_CASE("ufs40: bandwidth over size at queue depth 32, ends measured, middle by an independent prototype") {
  struct Band {
    double kib;
    double low;
    double high;
  };
  at_each_fidelity([](Fidelity fidelity) {
    const Rig rig = ufs40(fidelity);
    for (const Band& band : {Band{4, 405, 495}, Band{8, 850, 930}, Band{16, 1550, 1750}, Band{24, 2250, 2750},
                             Band{64, 3100, 3600}, Band{256, 3500, 3980}, Band{1024, 3900, 4000}}) {
      CAPTURE(band.kib);
      CHECK(within(rig.megabytes_per_s({.kib = band.kib}), band.low, band.high));
    }
  });
}

TEST_CASE("ufs40: bandwidth grows almost linearly up to 24 KiB, at least fivefold from 4 KiB") {
  at_each_fidelity([](Fidelity fidelity) {
    const Rig rig = ufs40(fidelity);
    CHECK(rig.megabytes_per_s({.kib = 24}) / rig.megabytes_per_s({.kib = 4}) >= 5.0);
  });
}

TEST_CASE("the knee lies at 40 to 50 KiB for ufs40 and at 20 to 30 KiB for ufs40_k24") {
  at_each_fidelity([](Fidelity fidelity) {
    CHECK(within(ufs40(fidelity).knee_kib(), 40.0, 50.0));
    CHECK(within(Rig(fidelity, "ufs40_k24").host(kBigCore).knee_kib(), 20.0, 30.0));
  });
}

std::int64_t saturation_depth(const Rig& rig) {
  const double at_64 = rig.requests_per_s({.depth = 64});
  std::int64_t depth = 1;
  while (rig.requests_per_s({.depth = depth}) < 0.95 * at_64) {
    ++depth;
  }
  return depth;
}

TEST_CASE("ufs40: 4 KiB reads saturate at a queue depth of 16 to 32 and gain nothing beyond 32") {
  const Rig events = ufs40(Fidelity::queueing);
  CHECK(within(static_cast<double>(saturation_depth(events)), 16, 32));
  CHECK(events.requests_per_s({.depth = 64}) == Approx(events.requests_per_s({.depth = 32})).epsilon(0.02));
  // One queue with a constant delay saturates sooner than eight dies that reads hit unevenly.
  const Rig formulas = ufs40(Fidelity::analytic);
  CHECK(saturation_depth(formulas) == 14);
  CHECK(formulas.requests_per_s({.depth = 64}) == formulas.requests_per_s({.depth = 32}));
}

TEST_CASE("ufs40: one 4 KiB read takes 80 to 130 us, through a slow governor 150 to 300 us") {
  static constexpr HostCost kGovernorIdle{16e-6, 0.0, 1.0, 0.75e-6 / 1024.0, 180e-6, 1};
  at_each_fidelity([](Fidelity fidelity) {
    CHECK(within(ufs40(fidelity).latency_us({.depth = 1}), 80.0, 130.0));
    CHECK(within(ufs40(fidelity, kGovernorIdle).latency_us({.depth = 1}), 150.0, 300.0));
  });
}

TEST_CASE("a hot part keeps two thirds of its bandwidth, and nearly all of its 4 KiB reads") {
  at_each_fidelity([](Fidelity fidelity) {
    for (const char* device : {"ufs40", "ufs40_k24"}) {
      CAPTURE(device);
      const Rig cold = Rig(fidelity, device).host(kBigCore);
      Rig hot = cold;
      hot.device().heat = "hot";
      CHECK(hot.megabytes_per_s({.kib = 1024}) / cold.megabytes_per_s({.kib = 1024}) ==
            Approx(0.67).epsilon(0.05));
      CHECK(hot.megabytes_per_s({.kib = 4}) / cold.megabytes_per_s({.kib = 4}) > 0.9);
    }
  });
}

/// MiB/s of sequential writes in batches of 32 times 1 MiB, over `bytes` from where the device is.
double write_rate_mib_per_s(FlashDevice& device, double bytes, double& now_s, std::int64_t& offset_bytes) {
  const double begin_s = now_s;
  std::vector<IoRequest> batch(32);
  std::vector<IoDone> done;
  for (double written = 0.0; written < bytes; written += 32 * kMiB) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      batch[i] = {i, IoKind::write, 0, offset_bytes, static_cast<std::int64_t>(kMiB), now_s};
      offset_bytes += static_cast<std::int64_t>(kMiB);
    }
    device.submit(batch);
    for (std::size_t left = batch.size(); left > 0; left -= done.size()) {
      done.clear();
      now_s = device.next_event_s();
      device.advance(now_s, done);
    }
  }
  return bytes / kMiB / (now_s - begin_s);
}

TEST_CASE("ufs40: sequential writes fall from 1568 to 556 MiB/s when the SLC pool is full") {
  at_each_fidelity([](Fidelity fidelity) {
    const auto device = ufs40(fidelity).make();
    double now_s = 0.0;
    std::int64_t offset_bytes = 0;
    CHECK(write_rate_mib_per_s(*device, 8 * kGiB, now_s, offset_bytes) == Approx(1568.0).epsilon(0.1));
    write_rate_mib_per_s(*device, 4 * kGiB, now_s, offset_bytes);
    CHECK(device->stats().slc_bytes == Approx(12e9).epsilon(0.01));
    CHECK(write_rate_mib_per_s(*device, 4 * kGiB, now_s, offset_bytes) == Approx(556.0).epsilon(0.1));
  });
}

}  // namespace
}  // namespace kvr::flash::test
