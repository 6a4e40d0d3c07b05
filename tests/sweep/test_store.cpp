#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/sweep/store.hpp"
#include "tests/no_more_files.hpp"
#include "tests/sweep/points.hpp"

using namespace kvr;
using sweep::Store;

namespace {

namespace fs = std::filesystem;

std::string key(char digit) {
  return std::string(64, digit);
}

void put(const Store& store, const std::string& key) {
  const PointResult point = test::full_point();
  store.put(key, outline_of(point), point.data);
}

void ignore(const std::string&) {}

}  // namespace

TEST_CASE("a store has what was put into it, also when it is opened again, and goes when it is empty") {
  const TemporaryFolder folder;
  {
    const Store store(folder / "s");
    put(store, key('a'));
    put(store, key('b'));
  }
  {
    const Store store(folder / "s");
    CHECK(store.keys() == std::set<std::string>{key('a'), key('b')});
    CHECK(store.find(key('a'), ignore)->variant == "fu");
    CHECK_FALSE(store.find(key('c'), ignore).has_value());
    CHECK(store.values(key('b'))->recorded(Metric::latency_s));
    store.remove(key('a'));
    store.remove(key('b'));
  }
  CHECK_FALSE(fs::exists(folder / "s"));
}

TEST_CASE("one process at a time has a store open, and its end lets go of it") {
  const TemporaryFolder folder;
  const Store store(folder / "s");
  CHECK_THROWS_WITH_AS(Store(folder / "s"), doctest::Contains("another run keeps its points there"),
                       SystemError);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Store other(folder / "t");
    put(other, key('a'));
    char byte = 0;
    (void)!write(ends[1], &byte, 1);
    pause();
  }
  char byte = 0;
  REQUIRE(read(ends[0], &byte, 1) == 1);
  CHECK_THROWS_AS(Store(folder / "t"), SystemError);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  CHECK(Store(folder / "t").keys().size() == 1);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("a record that is damaged is told and goes; what a killed process left half-written goes too") {
  const TemporaryFolder folder;
  const Store store(folder / "s");
  put(store, key('a'));
  const fs::path record = folder / "s" / fs::path("aa") / std::string(62, 'a');
  REQUIRE(fs::exists(record));
  fs::resize_file(record, fs::file_size(record) - 1);
  std::vector<std::string> told;
  CHECK_FALSE(store.find(key('a'), [&told](const std::string& text) { told.push_back(text); }).has_value());
  REQUIRE(told.size() == 1);
  CHECK(told[0] == record.string() + ": is damaged: its sha256 is another");
  CHECK(store.keys().empty());
  CHECK_THROWS_AS(store.values(key('a')), SystemError);
}

TEST_CASE("what lies in the way of a store is told") {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "text";
  CHECK_THROWS_WITH_AS(Store(folder / "file"), doctest::Contains("is no folder"), InputError);
  CHECK_THROWS_AS(Store(folder / "no" / fs::path("where")), SystemError);
  fs::create_directories(folder / "s" / fs::path("aa"));
  const fs::path half = folder / "s" / fs::path("aa") / (std::string(62, 'b') + ".partial-1");
  std::ofstream(half) << "half";
  std::ofstream(folder / "s" / fs::path("aa") / "x.partial-1") << "whose?";
  fs::create_directories(folder / "away");
  fs::create_directory_symlink(folder / "away", folder / "s" / fs::path("bb"));
  fs::create_directories(folder / "s" / fs::path("mine"));
  std::ofstream(folder / "s" / fs::path("aa") / "notes.txt") << "whose?";
  { const Store store(folder / "s"); }
  CHECK_FALSE(fs::exists(half));
  CHECK(fs::exists(folder / "s" / fs::path("aa") / "x.partial-1"));
  CHECK(fs::exists(folder / "s" / fs::path("bb")));
  CHECK(fs::exists(folder / "s" / fs::path("mine")));
  CHECK(fs::exists(folder / "s" / fs::path("aa") / "notes.txt"));
}

TEST_CASE("what stands in a record's place and is no file is told and goes; nobody waits for it") {
  const TemporaryFolder folder;
  const Store store(folder / "s");
  const fs::path room = folder / "s" / fs::path("aa");
  const fs::path place = room / std::string(62, 'a');
  fs::create_directories(room);
  const auto look = [&] {
    std::vector<std::string> told;
    CHECK_FALSE(store.find(key('a'), [&told](const std::string& text) { told.push_back(text); }).has_value());
    return told;
  };
  const std::vector<std::string> refused{place.string() + ": is no regular file"};
  SUBCASE("a pipe") {
    REQUIRE(mkfifo(place.c_str(), 0600) == 0);
  }
  SUBCASE("a folder") {
    fs::create_directory(place);
  }
  SUBCASE("a socket") {
    const int socket_number = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    fs::create_symlink(room, folder / "r");  // a name of a socket is short
    const std::string name = (folder / "r" / std::string(62, 'a')).string();
    REQUIRE(name.size() < sizeof address.sun_path);
    name.copy(&address.sun_path[0], name.size());
    REQUIRE(bind(socket_number, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    close(socket_number);
  }
  SUBCASE("a link to itself") {
    fs::create_symlink(place, place);
  }
  SUBCASE("a link to nothing") {
    fs::create_symlink(folder / "nothing", place);
  }
  SUBCASE("a device") {
    fs::create_symlink("/dev/null", place);
  }
  CHECK(look() == refused);
  CHECK(look().empty());  // it has gone
  CHECK_FALSE(fs::exists(fs::symlink_status(place)));
  put(store, key('a'));
  CHECK(store.find(key('a'), ignore)->variant == "fu");
  CHECK_FALSE(fs::exists(folder / "nothing"));
}

TEST_CASE("a record may be a link to one") {
  const TemporaryFolder folder;
  const Store store(folder / "s");
  put(store, key('a'));
  const fs::path place = folder / "s" / fs::path("aa") / std::string(62, 'a');
  fs::rename(place, folder / "elsewhere");
  fs::create_symlink(folder / "elsewhere", place);
  CHECK(store.find(key('a'), ignore)->variant == "fu");
}

TEST_CASE("without files to open no record is taken for a damaged one") {
  const TemporaryFolder folder;
  const Store store(folder / "s");
  put(store, key('a'));
  {
    const test::NoMoreFiles none;
    CHECK_THROWS_WITH_AS(store.find(key('a'), ignore), doctest::Contains("Too many open files"), SystemError);
  }
  CHECK(store.find(key('a'), ignore).has_value());
}
