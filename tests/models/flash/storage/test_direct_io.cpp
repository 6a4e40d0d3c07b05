// Real requests on small files, by both engines: what comes back, how many are outstanding, what is refused.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "models/flash/storage/direct_io.hpp"
#include "models/flash/storage/storage_file.hpp"
#include "models/flash/storage/storage_host.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/models/flash/scratch_folder.hpp"

namespace kvr::flash {

namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kFileBytes = 4 * kMiB;

/// Those that this kernel has.
std::vector<std::string> engines() {
  if (const std::string refusal = io_uring_refusal(); !refusal.empty()) {
    MESSAGE("io_uring is left out, because the kernel refuses it: " << refusal);
    return {"threads"};
  }
  return {"io_uring", "threads"};
}

DirectIo::Options options_of(const StorageFile& file, std::int64_t depth) {
  return {file.descriptor(), "test file", depth, 64 * 1024};
}

/// `count` reads of random blocks, with as many outstanding as `io` takes.
std::vector<DirectDone> read_randomly(DirectIo& io, std::uint64_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<DirectDone> all;
  std::vector<std::int64_t> offsets(count);
  for (std::uint64_t id = 0; id < count || io.outstanding() > 0;) {
    while (id < count && !io.full()) {
      const auto blocks = static_cast<std::int64_t>(1 + rng.below(16));
      const auto last = static_cast<std::uint64_t>(kFileBytes / 4096 - blocks);
      offsets[id] = static_cast<std::int64_t>(rng.below(last + 1)) * 4096;
      io.start({id, IoKind::read, offsets[id], blocks * 4096});
      ++id;
    }
    const std::size_t before = all.size();
    io.wait(all);
    CHECK(all.size() > before);
    for (std::size_t i = before; i < all.size(); ++i) {
      CHECK(is_pattern(all[i].data, offsets[all[i].id]));
    }
  }
  return all;
}

std::string input_error_of(const StorageFile::Options& options) {
  try {
    const StorageFile file(options);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("the first words of the pattern are those of SplitMix64, wherever one begins to write") {
  std::array<std::byte, 24> data{};
  fill_pattern(data, 0);
  std::array<std::uint64_t, 3> words{};
  std::memcpy(words.data(), data.data(), data.size());
  // Published outputs of SplitMix64 from state 0 (e.g. the test vectors of the Rust crate rand_xoshiro).
  CHECK(words[0] == 0xe220a8397b1dcdafULL);
  CHECK(words[1] == 0x6e789e6aa1b965f4ULL);
  CHECK(words[2] == 0x06c45d188009454fULL);
  std::array<std::byte, 8> third{};
  fill_pattern(third, 16);
  CHECK(std::equal(third.begin(), third.end(), data.begin() + 16));
  CHECK(is_pattern(data, 0));
  CHECK_FALSE(is_pattern(data, 8));
}

TEST_CASE("every request comes back once with the bytes that were written, on both engines") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const std::string& engine : engines()) {
    for (const std::int64_t depth : {1, 2, 7, 32}) {
      CAPTURE(engine);
      CAPTURE(depth);
      StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes});
      const auto io = make_direct_io(engine, options_of(file, depth));
      CHECK(io->engine() == engine);
      CHECK(file.prepare(*io, {}).size() >= 1);
      const std::vector<DirectDone> done = read_randomly(*io, 300, 17);
      std::set<std::uint64_t> ids;
      for (const DirectDone& one : done) {
        ids.insert(one.id);
        CHECK(one.start_s <= one.handed_s);
        CHECK(one.handed_s <= one.done_s);
      }
      CHECK(done.size() == 300);
      CHECK(ids.size() == 300);
      CHECK(io->most_outstanding() == depth);
      CHECK(io->outstanding() == 0);
    }
  }
}

TEST_CASE("what a write holds is what a read finds") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const std::string& engine : engines()) {
    CAPTURE(engine);
    StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes});
    const auto io = make_direct_io(engine, options_of(file, 2));
    fill_pattern(io->next_buffer().first(8192), 123 * 4096);
    io->start({1, IoKind::write, 4096, 8192});
    std::vector<DirectDone> done;
    io->wait(done);
    io->start({2, IoKind::read, 8192, 4096});
    io->wait(done);
    REQUIRE(done.size() == 2);
    CHECK(is_pattern(done[1].data, 124 * 4096));
  }
}

TEST_CASE("one request more than the depth is a broken invariant, and so is one longer than a slot") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const std::string& engine : engines()) {
    StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes});
    const auto io = make_direct_io(engine, options_of(file, 1));
    CHECK_THROWS_AS(io->start({0, IoKind::read, 0, 65 * 1024}), InternalError);
    io->start({0, IoKind::read, 0, 4096});
    CHECK(io->full());
    CHECK_THROWS_AS(io->start({1, IoKind::read, 0, 4096}), InternalError);
  }
}

TEST_CASE("a request that the system refuses is a system error that names file and place") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const std::string& engine : engines()) {
    StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes});
    const auto io = make_direct_io(engine, options_of(file, 4));
    std::vector<DirectDone> done;
    io->start({0, IoKind::read, kFileBytes, 4096});  // behind the end
    CHECK_THROWS_WITH_AS(io->wait(done), doctest::Contains("test file: read of 4096 B at 4194304: only 0 B"),
                         SystemError);
    CHECK(io->outstanding() == 0);

    std::ofstream(folder.path() / "other") << "x";
    const Descriptor read_only(open((folder.path() / "other").c_str(), O_RDONLY | O_CLOEXEC));
    const auto reader = make_direct_io(engine, {read_only.number(), "other", 1, 4096});
    reader->start({0, IoKind::write, 0, 4096});
    CHECK_THROWS_WITH_AS(reader->wait(done), doctest::Contains("other: write of 4096 B at 0: Bad file"),
                         SystemError);
  }
}

TEST_CASE("an engine that goes with requests outstanding waits for them") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const std::string& engine : engines()) {
    StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes});
    const auto io = make_direct_io(engine, options_of(file, 16));
    std::vector<DirectDone> done;
    for (std::uint64_t id = 0; id < 16; ++id) {
      io->start({id, IoKind::read, static_cast<std::int64_t>(id) * 65536, 65536});
    }
    io->wait(done);
    CHECK(done.size() >= 1);
  }
}

TEST_CASE("depths and buffers beyond reason are input errors, not a machine without memory") {
  const DirectIo::Options deep{-1, "x", 100'000, 4096};
  CHECK_THROWS_WITH_AS(make_direct_io("threads", deep), doctest::Contains("at most 1024"), InputError);
  const DirectIo::Options large{-1, "x", 1024, 4 * kMiB};
  CHECK_THROWS_WITH_AS(make_direct_io("threads", large), doctest::Contains("buffers"), InputError);
}

TEST_CASE("a file has no name while it is used and leaves nothing; kept, it is there with its pattern") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  for (const bool keep : {false, true}) {
    StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes, .keep = keep});
    const auto io = make_direct_io("threads", options_of(file, 4));
    std::int64_t last = 0;
    file.prepare(*io, [&last](std::int64_t done, std::int64_t total) {
      CHECK(done > last);
      CHECK(total == kFileBytes);
      last = done;
    });
    CHECK(last == kFileBytes);
    CHECK(folder.files() == (keep ? 1 : 0));
  }
  REQUIRE(folder.files() == 1);
  CHECK(std::filesystem::file_size(folder.path() / "data") == kFileBytes);
  std::ifstream kept(folder.path() / "data", std::ios::binary);
  std::vector<char> content(kFileBytes);
  kept.read(content.data(), kFileBytes);
  CHECK(is_pattern(std::as_bytes(std::span(content)), 0));
}

TEST_CASE("a file that was to be kept is removed when it never got ready") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  { const StorageFile file({.path = folder.path() / "data", .bytes = kFileBytes, .keep = true}); }
  CHECK(folder.files() == 0);
  // More than any disk has: that shows after the file was created.
  const StorageFile::Options huge{
      .path = folder.path() / "huge", .bytes = std::int64_t{1} << 43, .keep = true};
  CHECK_THROWS_AS(StorageFile{huge}, SystemError);
  CHECK(folder.files() == 0);
}

TEST_CASE("an existing file is refused and stays as it was; with leave it is overwritten and stays") {
  const test::ScratchFolder folder;
  const std::filesystem::path path = folder.path() / "mine";
  std::ofstream(path) << "precious";
  CHECK(input_error_of({.path = path, .bytes = kFileBytes}).find("exists") != std::string::npos);
  CHECK(std::filesystem::file_size(path) == 8);
  if (!folder.has_direct_io()) {
    return;
  }
  {
    StorageFile file({.path = path, .bytes = kFileBytes, .overwrite = true});
    const auto io = make_direct_io("threads", options_of(file, 4));
    file.prepare(*io, {});
  }
  CHECK(std::filesystem::file_size(path) == kFileBytes);
}

TEST_CASE("a file that does not fit takes no room and leaves what was there as it was") {
  const test::ScratchFolder folder;
  if (!folder.has_direct_io()) {
    return;
  }
  const std::filesystem::path path = folder.path() / "mine";
  std::ofstream(path) << "precious";
  const StorageFile::Options huge{.path = path, .bytes = std::int64_t{1} << 43, .overwrite = true};
  CHECK_THROWS_WITH_AS(StorageFile{huge}, doctest::Contains("8796093022208 B cannot be reserved: No space"),
                       SystemError);
  CHECK(std::filesystem::file_size(path) == 8);
}

TEST_CASE("paths that cannot be are told with their reason") {
  const test::ScratchFolder folder;
  CHECK(input_error_of({.path = "", .bytes = 4096}).find("no path") != std::string::npos);
  CHECK(input_error_of({.path = folder.path(), .bytes = 4096, .overwrite = true}).find("is a folder") !=
        std::string::npos);
  CHECK(input_error_of({.path = folder.path() / "no" / "x", .bytes = 4096}).find("does not exist") !=
        std::string::npos);
  CHECK(input_error_of({.path = "/dev/null", .bytes = 4096, .overwrite = true}).find("neither") !=
        std::string::npos);
  const StorageFile::Options in_proc{.path = "/proc/x", .bytes = 4096};
  CHECK_THROWS_WITH_AS(StorageFile{in_proc}, doctest::Contains("cannot be created"), SystemError);
}

TEST_CASE("a file system in memory is found out, whether it refuses O_DIRECT or only pretends") {
  constexpr long kTmpfs = 0x01021994;  // TMPFS_MAGIC, statfs(2)
  struct statfs system {};
  if (statfs("/dev/shm", &system) != 0 || system.f_type != kTmpfs) {
    MESSAGE("left out: /dev/shm is no tmpfs");
    return;
  }
  const std::string path = fmt::format("/dev/shm/kvreplay-test-{}", getpid());
  try {
    StorageFile file({.path = path, .bytes = kFileBytes});
    const auto io = make_direct_io("threads", options_of(file, 4));
    file.prepare(*io, {});
    FAIL("tmpfs passed for storage");
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).find("O_DIRECT") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the host of a file is described as far as the system tells, and never by empty words") {
  const test::ScratchFolder folder;
  std::ofstream(folder.path() / "x") << "x";
  const Descriptor file(open((folder.path() / "x").c_str(), O_RDONLY | O_CLOEXEC));
  const StorageHost host = describe_storage_host(file.number());
  CHECK(host.kernel.starts_with("Linux "));
  for (const std::string& word : {host.cpu, host.file_system, host.block_device, host.model, host.scheduler,
                                  host.nr_requests, host.max_sectors_kb, host.rotational, host.write_cache}) {
    CHECK_FALSE(word.empty());
  }
}

}  // namespace kvr::flash
