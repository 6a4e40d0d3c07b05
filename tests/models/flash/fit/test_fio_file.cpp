// Reading fio's JSON: what becomes a row, and every way a file can be wrong, by its exact message.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "models/flash/fit/fio/file.hpp"
#include "models/flash/fit/fio/size.hpp"
#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"

namespace kvr::flash::fit {
namespace {

namespace fs = std::filesystem;
using doctest::Approx;

/// A folder of files, gone at the end. Messages name files as they were given, here without the folder.
class Folder {
 public:
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  std::vector<std::string> problems(const std::vector<fs::path>& files,
                                    const FioReading& reading = {}) const {
    try {
      read_fio_files(files, reading);
    } catch (const InputError& error) {
      std::vector<std::string> lines = error.problems();
      const std::string folder = folder_.path().string() + "/";
      for (std::string& line : lines) {
        for (std::size_t at = line.find(folder); at != std::string::npos; at = line.find(folder)) {
          line.erase(at, folder.size());
        }
      }
      return lines;
    }
    return {};
  }

 private:
  TemporaryFolder folder_;
};

std::string document(const std::string& jobs, const std::string& global = R"({"direct": "1", "size": "1g"})",
                     const std::string& version = "fio-3.33") {
  return fmt::format(R"({{"fio version": "{}", "global options": {}, "jobs": [{}]}})", version, global, jobs);
}

std::string job(const std::string& options, const std::string& figures) {
  return fmt::format(R"({{"jobname": "a", "groupid": 0, "job options": {{{}}}, "read": {{{}}}}})", options,
                     figures);
}

constexpr const char* kFigures = R"("iops": 1000, "lat_ns": {"mean": 1000000})";

TEST_CASE("sizes are read as fio reads them with a kb_base of 1024") {
  CHECK(parse_fio_size("4096") == 4096);
  CHECK(parse_fio_size("4k") == 4096);
  CHECK(parse_fio_size("4KB") == 4096);
  CHECK(parse_fio_size("128M") == 128 << 20);
  CHECK(parse_fio_size("1g") == 1 << 30);
  CHECK(parse_fio_size("2tb") == std::int64_t{2} << 40);
  for (const char* wrong : {"", "k", "4KiB", "4 k", "-4k", "0", "1.5g", "4k,8k", "50%", "9999999t"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_fio_size(wrong).has_value());
  }
}

TEST_CASE("a job becomes a row; its own options come before the global ones") {
  const Folder folder;
  const std::string figures =
      R"("iops": 35300.5, "runtime": 20000, "slat_ns": {"mean": 4000}, "lat_ns": {"mean": 452000})";
  const auto file = folder.write(
      "a.json", document(job(R"("rw": "randread", "bs": "64k", "iodepth": "16", "size": "128M")", figures)));
  const std::vector<Row> rows = read_fio_files(std::vector{file});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].place == file.string() + ": jobs[0].read");
  CHECK(rows[0].name == "a");
  CHECK(rows[0].kind == IoKind::read);
  CHECK_FALSE(rows[0].sequential);
  CHECK(rows[0].bytes == 65536);
  CHECK(rows[0].align_bytes == 65536);
  CHECK(rows[0].depth == 16);
  CHECK(rows[0].threads == 1);
  CHECK(rows[0].range_bytes == 128 << 20);
  CHECK(rows[0].requests_per_s == 35300.5);
  CHECK(rows[0].bytes_per_s == 35300.5 * 65536);
  CHECK(rows[0].latency_s == Approx(452e-6));
  CHECK(rows[0].submit_s == Approx(4e-6));
  CHECK(rows[0].seconds == Approx(20.0));
  CHECK_FALSE(rows[0].utilisation.has_value());
}

TEST_CASE("options may be numbers, and blockalign is the alignment") {
  const Folder folder;
  const auto file = folder.write(
      "a.json", document(job(R"("rw": "read", "bs": 24576, "blockalign": "4k", "numjobs": 2)", kFigures)));
  const std::vector<Row> rows = read_fio_files(std::vector{file});
  CHECK(rows.at(0).sequential);
  CHECK(rows[0].bytes == 24576);
  CHECK(rows[0].align_bytes == 4096);
  CHECK(rows[0].threads == 2);
}

TEST_CASE("jobs that fio reports one by one are summed, times weighted by requests") {
  const Folder folder;
  const auto entry = [](int iops, int latency_us) {
    return job(R"("rw": "randread", "numjobs": "2")",
               fmt::format(R"("iops": {}, "lat_ns": {{"mean": {}}})", iops, latency_us * 1000));
  };
  const auto file = folder.write("a.json", document(entry(1000, 100) + "," + entry(3000, 200)));
  const std::vector<Row> rows = read_fio_files(std::vector{file});
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].threads == 2);
  CHECK(rows[0].requests_per_s == 4000.0);
  CHECK(rows[0].bytes_per_s == 4000.0 * 4096);
  CHECK(rows[0].latency_s == Approx(175e-6));  // (1000 * 100 + 3000 * 200) / 4000 us
}

TEST_CASE("the disk's utilisation belongs to a file of one row") {
  const Folder folder;
  std::string text = document(job(R"("rw": "randread")", kFigures));
  text.insert(text.size() - 1,
              R"(, "disk_util": [{"name": "sda", "util": 97.5}, {"name": "dm-0", "util": 12}])");
  const auto file = folder.write("a.json", text);
  CHECK(read_fio_files(std::vector{file}).at(0).utilisation.value() == Approx(0.975));
}

TEST_CASE("notes before and behind the JSON are passed over") {
  const Folder folder;
  const std::string fine = document(job(R"("rw": "randread")", kFigures));
  const std::string before =
      "note: both iodepth >= 1 and synchronous I/O engine are selected, queue depth will be capped at 1\n"
      "fio: this platform does not support process shared mutexes, forcing use of threads.\n";
  for (const std::string& text : {before + fine, "\xEF\xBB\xBF" + fine,
                                  fine + "\nfio: terminating on signal 2\n", before + fine + "\nend"}) {
    CAPTURE(text);
    CHECK(read_fio_files(std::vector{folder.write("a.json", text)}).size() == 1);
  }
  // Braces and quotes within texts end nothing.
  const std::string tricky = document(job(R"("rw": "randread", "description": "}\\\"{")", kFigures));
  CHECK(read_fio_files(std::vector{folder.write("a.json", before + tricky + "\n}")}).size() == 1);
  const std::string broken = document(job(R"("rw": 1e999)", kFigures));
  CHECK(folder.problems({folder.write("b.json", before + "\n" + broken)}).at(0).starts_with("b.json:4:"));
  CHECK(folder.problems({folder.write("c.json", fine + "\n" + fine)}) ==
        std::vector<std::string>{
            "c.json:2:1: a second document begins here; allowed: one in a file, with notes "
            "before and behind"});
}

/// One job of a section with its options, in a group.
std::string job_of(const std::string& name, int group, const std::string& options) {
  return fmt::format(
      R"({{"jobname": "{}", "groupid": {}, "job options": {{"rw": "randread"{}}}, "read": {{{}}}}})", name,
      group, options, kFigures);
}

std::vector<std::string> faults(const Folder& folder, const std::string& text) {
  std::vector<std::string> found;
  for (const Row& row : read_fio_files(std::vector{folder.write("a.json", text)})) {
    found.push_back(row.fault);
  }
  return found;
}

TEST_CASE("jobs that ran at the same time are told apart from those that waited") {
  const Folder folder;
  const auto beside = [](const char* name) {
    return fmt::format("ran at the same time as '{}', with no stonewall between them", name);
  };
  const std::vector<std::string> together = {beside("b"), beside("a")};
  const std::vector<std::string> alone = {"", ""};
  CHECK(faults(folder, document(job_of("a", 0, "") + "," + job_of("b", 0, ""))) == together);
  CHECK(faults(folder, document(job_of("a", 0, "") + "," + job_of("a", 0, ""))) ==
        std::vector<std::string>{beside("a"), beside("a")});
  CHECK(faults(folder, document(job_of("a", 0, "") + "," + job_of("b", 1, R"(, "new_group": "1")"))) ==
        together);
  CHECK(faults(folder, document(job_of("a", 0, "") + "," + job_of("b", 1, ""))) == alone);
  CHECK(faults(folder, document(job_of("a", 0, "") + "," +
                                job_of("b", 1, R"(, "new_group": "1", "stonewall": "")"))) == alone);
  CHECK(faults(folder, document(job_of("a", 0, "") + "," + job_of("b", 0, ""),
                                R"({"direct": "1", "size": "1g", "stonewall": "1"})")) == alone);
  CHECK(faults(folder, document(job_of("a", 0, "") + "," + job_of("b", 0, ""),
                                R"({"direct": "1", "size": "1g"})", "kvreplay-probe 1")) == alone);
  // The jobs of one section are one row, and the third section waited.
  const std::string two = job_of("a", 0, R"(, "numjobs": "2")");
  CHECK(faults(folder, document(two + "," + two + "," + job_of("b", 1, R"(, "stonewall": "1")"))) == alone);
  CHECK(faults(folder, document(two + "," + two + "," + job_of("b", 0, ""))) == together);
}

TEST_CASE("sizes that vary and offsets that are not uniform are faults of the row") {
  const Folder folder;
  const auto fault = [&](const std::string& options, const char* rw = "randread") {
    const std::string text = job(fmt::format(R"("rw": "{}", {})", rw, options), kFigures);
    return read_fio_files(std::vector{folder.write("a.json", document(text))}).at(0).fault;
  };
  CHECK(fault(R"("bsrange": "4k-64k")") == "block sizes vary (bsrange=4k-64k)");
  CHECK(fault(R"("blocksize_range": "4k-64k")") == "block sizes vary (blocksize_range=4k-64k)");
  CHECK(fault(R"("bssplit": "4k/60:64k/40")") == "block sizes vary (bssplit=4k/60:64k/40)");
  for (const char* spread :
       {"zipf:1.2", "pareto:0.2", "normal:50", "zoned:60/10:30/20:8/30:2/40", "zoned_abs:60/1g"}) {
    CHECK(fault(fmt::format(R"("random_distribution": "{}")", spread)) ==
          fmt::format("offsets are neither uniform nor in sequence (random_distribution={})", spread));
  }
  CHECK(fault(R"("percentage_random": "50")") ==
        "offsets are neither uniform nor in sequence (percentage_random=50)");
  CHECK(fault(R"("zonemode": "strided")", "read") ==
        "offsets are neither uniform nor in sequence (zonemode=strided)");
  CHECK(fault(R"("read_iolog": "a.log")") ==
        "offsets are neither uniform nor in sequence (read_iolog=a.log)");
  CHECK(fault(R"("random_distribution": "random", "percentage_random": "100", "zonemode": "none")").empty());
  CHECK(fault(R"("random_distribution": "zipf:1.2")", "read").empty());
}

TEST_CASE("bytes that are not requests times their size are a fault") {
  const Folder folder;
  const auto fault = [&](double bytes_per_s) {
    const std::string figures = fmt::format(R"({}, "bw_bytes": {})", kFigures, bytes_per_s);
    return read_fio_files(std::vector{folder.write("a.json", document(job(R"("rw": "randread")", figures)))})
        .at(0)
        .fault;
  };
  CHECK(fault(4'096'000).empty());
  CHECK(fault(4'000'000).empty());  // rounded figures
  CHECK(fault(36'000'000) == "bw_bytes over iops is 36000 B, but bs is 4096 B");
}

TEST_CASE("block sizes are those of the kind of access") {
  const Folder folder;
  const auto bytes = [&](const char* sizes, const char* rw) {
    const std::string options = fmt::format(R"("rw": "{}", "bs": "{}")", rw, sizes);
    std::string text = job(options, kFigures);
    if (std::string_view(rw).ends_with("write")) {
      text.replace(text.find("\"read\": {"), 6, "\"write\"");
    }
    return read_fio_files(std::vector{folder.write("a.json", document(text))}).at(0).bytes;
  };
  CHECK(bytes("8k,32k", "randread") == 8192);
  CHECK(bytes("8k,32k", "randwrite") == 32768);
  CHECK(bytes("8k,32k,1m", "write") == 32768);
  CHECK(bytes("8k,", "randwrite") == 4096);
  CHECK(bytes(",8k", "randread") == 4096);
  CHECK(bytes("16k", "randwrite") == 16384);
}

TEST_CASE("rows that state no size take the whole, or their share of it, which must be given") {
  const Folder folder;
  constexpr std::int64_t kWhole = 500'000'000'000;
  const auto file = [&](const std::string& options) {
    return folder.write("a.json",
                        document(job(R"("rw": "randread")" + options, kFigures), R"({"direct": "1"})"));
  };
  const auto range = [&](const std::string& options) {
    return read_fio_files(std::vector{file(options)}, {.whole_bytes = kWhole}).at(0).range_bytes;
  };
  CHECK(range("") == kWhole);
  CHECK(range(R"(, "size": "100%")") == kWhole);
  CHECK(range(R"(, "size": "25%")") == kWhole / 4);
  CHECK(range(R"(, "offset": "50%")") == kWhole / 2);
  CHECK(range(R"(, "offset": "1g")") == kWhole - (1 << 30));
  CHECK(range(R"(, "size": "1g")") == 1 << 30);
  CHECK(folder.problems({file("")}) ==
        std::vector<std::string>{
            "a.json: jobs[0].job options.size: missing; allowed: a size, or the option --range "
            "with that of the file or device"});
  CHECK(folder.problems({file(R"(, "size": "100%")")}) ==
        std::vector<std::string>{
            "a.json: jobs[0].job options.size: '100%'; allowed: a size, or the option --range "
            "with that of the file or device"});
  CHECK(folder.problems({file(R"(, "offset": "1t")")}, {.whole_bytes = kWhole}) ==
        std::vector<std::string>{
            "a.json: jobs[0].job options.offset: '1t'; allowed: less than --range, 500000000000 B"});
  CHECK(folder.problems({file(R"(, "size": "200%")")}, {.whole_bytes = kWhole}).size() == 1);
}

TEST_CASE("threads of engines that wait have a depth of one, whatever is asked for") {
  const Folder folder;
  const auto row = [&](const std::string& options) {
    return read_fio_files(std::vector{folder.write(
                              "a.json", document(job(R"("rw": "randread", )" + options, kFigures)))})
        .at(0);
  };
  for (const char* engine : {"psync", "sync", "pvsync", "pvsync2", "vsync", "mmap"}) {
    const Row capped = row(fmt::format(R"("ioengine": "{}", "iodepth": "32", "numjobs": "4")", engine));
    CHECK(capped.synchronous);
    CHECK(capped.outstanding() == 4);
    CHECK(capped.is_one_queue());
  }
  const Row deep = row(R"("ioengine": "libaio", "iodepth": "8", "numjobs": "4")");
  CHECK_FALSE(deep.synchronous);
  CHECK(deep.outstanding() == 32);
  CHECK_FALSE(deep.is_one_queue());
  CHECK(row(R"("numjobs": "4")").is_one_queue());  // fio's own choice
  CHECK(row(R"("iodepth": "8")").outstanding() == 8);
}

TEST_CASE("what is no JSON is named with line and column") {
  const Folder folder;
  const auto notes = folder.write("notes.json", "fio: a note\n[]");
  CHECK(folder.problems({notes}) ==
        std::vector<std::string>{"notes.json:1:2: not JSON; allowed: what fio writes with "
                                 "--output-format=json --output=FILE"});
  const auto cut = folder.write("cut.json", "{\n  \"jobs\": [\n");
  CHECK(folder.problems({cut}) ==
        std::vector<std::string>{"cut.json:3:1: not JSON; allowed: what fio writes with "
                                 "--output-format=json --output=FILE"});
  CHECK(folder.problems({notes.parent_path() / "none.json"}) ==
        std::vector<std::string>{"none.json: cannot be read; allowed: a file that fio wrote"});
}

TEST_CASE("numbers that no double holds are named by their place") {
  const Folder folder;
  const std::string figures = R"("iops": 1e999, "lat_ns": {"mean": 1})";
  const auto infinite = folder.write("a.json", document("\n" + job(R"("rw": "read")", figures)));
  CHECK(folder.problems({infinite}) ==
        std::vector<std::string>{
            "a.json:2:80: jobs[0].read.iops: '1e999' is beyond what a double holds; allowed: below 1.8e308"});
  const auto whole = folder.write("b.json", "{\"jobs\": [1, -" + std::string(400, '9') + "]}");
  CHECK(folder.problems({whole}) ==
        std::vector<std::string>{
            "b.json:1:14: jobs[1]: '-999999999999999999999999999999999999999...' is beyond "
            "what a double holds; allowed: below 1.8e308"});
  CHECK(
      folder.problems({folder.write("c.json", "1e999")}) ==
      std::vector<std::string>{"c.json:1:1: '1e999' is beyond what a double holds; allowed: below 1.8e308"});
}

TEST_CASE("what is nested without end is refused while it is read") {
  const Folder folder;
  const auto nest = [](std::size_t levels) {
    return std::string(levels, '[') + "1" + std::string(levels, ']');
  };
  for (const std::size_t levels : {std::size_t{30}, std::size_t{200'000}}) {
    const auto name = folder.write("a.json", document(R"({"jobname": )" + nest(levels) + "}"));
    CHECK(folder.problems({name}) ==
          std::vector<std::string>{"a.json: jobs[0].jobname: nested too deeply; allowed: 32 levels"});
  }
  // Three levels are above it.
  const auto fine = folder.write("b.json", document(job(R"("rw": "read", "bs": )" + nest(28), kFigures)));
  CHECK(folder.problems({fine}) ==
        std::vector<std::string>{
            "b.json: jobs[0].job options.bs: '[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]...'; "
            "allowed: bytes, or k, m, g, t behind a whole number, e.g. 4k"});
}

TEST_CASE("alignments that the requests cannot have, and times of centuries, are refused") {
  const Folder folder;
  for (const char* align : {"1t", "65536", "3k"}) {
    CAPTURE(align);
    const std::string options = fmt::format(R"("rw": "randread", "bs": "4k", "blockalign": "{}")", align);
    CHECK(folder.problems({folder.write("a.json", document(job(options, kFigures)))}) ==
          std::vector<std::string>{
              fmt::format("a.json: jobs[0].job options.blockalign: '{}', which does not divide bs (4096 B); "
                          "allowed: bs, or a size that divides it",
                          align)});
  }
  const std::string figures =
      R"("iops": 1, "lat_ns": {"mean": 1e18}, "slat_ns": {"mean": 1e18}, "runtime": 1e12)";
  CHECK(folder.problems({folder.write("b.json", document(job(R"("rw": "read")", figures)))}) ==
        std::vector<std::string>{"b.json: jobs[0].read.lat_ns.mean: 1e+18; allowed: at most 1e+17",
                                 "b.json: jobs[0].read.slat_ns.mean: 1e+18; allowed: at most 1e+17",
                                 "b.json: jobs[0].read.runtime: 1e+12; allowed: at most 1e+11"});
}

TEST_CASE("names that would break the lines they are written to are refused") {
  const Folder folder;
  const std::string options = R"("rw": "read")";
  std::string broken = job(options, kFigures);
  broken.replace(broken.find("\"a\""), 3, R"("a\nb: 1")");
  std::string number = job(options, kFigures);
  number.replace(number.find("\"a\""), 3, "7");
  CHECK(folder.problems({folder.write("a.json", document(broken + "," + number))}) ==
        std::vector<std::string>{
            "a.json: jobs[0].jobname: \"a\\nb: 1\"; allowed: a text without control characters",
            "a.json: jobs[1].jobname: 7; allowed: a text without control characters"});
}

TEST_CASE("messages repeat no more than the beginning of a long value, in whole characters") {
  const Folder folder;
  std::string long_name;
  for (int i = 0; i < 1000; ++i) {
    long_name += "\u20ac";  // three bytes
  }
  const auto file = folder.write("a.json", document(job(fmt::format(R"("rw": "{}")", long_name), kFigures)));
  CHECK(folder.problems({file}) ==
        std::vector<std::string>{
            fmt::format("a.json: jobs[0].job options.rw: '{}...'; allowed: read, randread, write, randwrite",
                        long_name.substr(0, 39))});
}

TEST_CASE("a folder is no file") {
  const Folder folder;
  const auto path = folder.write("a.json", "").parent_path();
  CHECK(folder.problems({path}) ==
        std::vector<std::string>{path.string() + ": is a folder; allowed: a file that fio wrote"});
}

TEST_CASE("a file without jobs or version is none of fio's") {
  const Folder folder;
  for (const char* text : {"{}", "[]", R"({"jobs": []})", R"({"jobs": 3})"}) {
    CAPTURE(text);
    CHECK(folder.problems({folder.write("a.json", text)}) ==
          std::vector<std::string>{
              "a.json: jobs: none; allowed: the JSON that fio writes, with at least one job"});
  }
  const auto file = folder.write("a.json", R"({"jobs": [3]})");
  CHECK(folder.problems({file}) ==
        std::vector<std::string>{"a.json: fio version: missing; allowed: a text, as fio writes it",
                                 "a.json: jobs[0]: no object; allowed: what fio writes for a job"});
}

TEST_CASE("every problem of every job and file is reported at once") {
  const Folder folder;
  const auto first = folder.write(
      "a.json", document(job(R"("rw": "randrw", "direct": "0", "bs": "4KiB", "iodepth": "0")", kFigures) +
                             "," + job(R"("rw": "randread", "size": "4 k")", R"("iops": 0, "lat_ns": {})"),
                         R"({"direct": "1", "size": "1g"})"));
  const auto second =
      folder.write("b.json", document(job(R"("rw": "randread")", kFigures), R"({"direct": "1"})", "fio-2.2"));
  CHECK(folder.problems({first, second}) ==
        std::vector<std::string>{
            "a.json: jobs[0].job options.direct: '0', so the page cache may have answered; allowed: 1",
            "a.json: jobs[0].job options.rw: 'randrw'; allowed: read, randread, write, randwrite",
            "a.json: jobs[0].job options.bs: '4KiB'; allowed: bytes, or k, m, g, t behind a whole number, "
            "e.g. 4k",
            "a.json: jobs[0].job options.iodepth: '0'; allowed: 1 to 65536",
            "a.json: jobs[1].job options.size: '4 k'; allowed: bytes, or k, m, g, t behind a whole number, "
            "e.g. "
            "4k, 1% to 100%",
            "a.json: jobs[1].read.iops: 0; allowed: a number above 0",
            "a.json: jobs[1].read.lat_ns.mean: missing; allowed: a number above 0",
            "b.json: jobs[0].job options.size: missing; allowed: a size, or the option --range with that of "
            "the "
            "file or device",
            "b.json: fio version: 'fio-2.2', but a.json has 'fio-3.33'; allowed: files of one version"});
}

TEST_CASE("buffered reads, failed jobs and another base of sizes are refused") {
  const Folder folder;
  std::string failed = job(R"("rw": "randread", "kb_base": "1000")", kFigures);
  failed.insert(failed.size() - 1, R"(, "error": 5)");
  const auto file = folder.write("a.json", document(failed, R"({"size": "1g"})"));
  CHECK(folder.problems({file}) ==
        std::vector<std::string>{
            "a.json: jobs[0].job options.direct: '0', so the page cache may have answered; allowed: 1",
            "a.json: jobs[0].job options.kb_base: '1000'; allowed: 1024, which sizes are read with",
            "a.json: jobs[0].error: the job failed with 5; allowed: 0"});
}

TEST_CASE("reads faster than the link came from a cache") {
  const Folder folder;
  const auto file = folder.write(
      "a.json", document(job(R"("rw": "read", "bs": "1m")", R"("iops": 4096, "lat_ns": {"mean": 244140})")));
  CHECK(folder.problems({file}).empty());  // 4.29 GB/s
  CHECK(folder.problems({file}, {.link_bytes_per_s = 4200e6}) ==
        std::vector<std::string>{
            "a.json: jobs[0].read.iops: 4295 MB/s are more than the link carries, so a cache "
            "answered; allowed: up to 4200 MB/s"});
}

TEST_CASE("a section's jobs are all there or grouped, and not more than can be outstanding") {
  const Folder folder;
  const std::string one = job(R"("rw": "randread", "numjobs": "3")", kFigures);
  const auto file = folder.write("a.json", document(one + "," + one));
  CHECK(folder.problems({file}) ==
        std::vector<std::string>{
            "a.json: jobs[0].read: numjobs is 3, but 2 jobs are called 'a'; allowed: all of "
            "them, or one with group_reporting"});
  const auto deep = folder.write(
      "b.json", document(job(R"("rw": "randread", "numjobs": "300", "iodepth": "300")", kFigures)));
  CHECK(folder.problems({deep}) ==
        std::vector<std::string>{
            "b.json: jobs[0].job options.numjobs: 90000 requests outstanding; allowed: up to 65536"});
}

}  // namespace
}  // namespace kvr::flash::fit
