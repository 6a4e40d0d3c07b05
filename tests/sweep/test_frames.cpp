#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>

#include "sim/base/error.hpp"
#include "sim/sweep/bytes.hpp"
#include "sim/sweep/processes/frames.hpp"

using namespace kvr;
using namespace kvr::sweep;

TEST_CASE("frames of any length come as they were sent, and an end that is gone is told") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  const std::string large(3'000'000, 'x');
  std::thread sender([&] {
    for (const std::string& text : {std::string(), std::string("a"), large, std::string("end")}) {
      CHECK(send_frame(ends[0], text));
    }
    close(ends[0]);
  });
  FrameBuffer buffer;
  std::vector<std::string> frames;
  while (buffer.fill(ends[1])) {
    while (const std::optional<std::string> frame = buffer.next()) {
      frames.push_back(*frame);
    }
  }
  sender.join();
  REQUIRE(frames.size() == 4);
  CHECK(frames[0].empty());
  CHECK(frames[2] == large);
  CHECK(frames[3] == "end");
  CHECK_FALSE(send_frame(ends[1], "nobody hears"));
  CHECK_FALSE(receive_frame(ends[1]).has_value());
  close(ends[1]);
}

TEST_CASE("values come back in their order; bytes that are too few or lengths that are too large are told") {
  ByteWriter out;
  out.put(std::int64_t{-5});
  out.put(std::string_view("text"));
  out.put(std::span<const double>(std::vector{1.5, 2.5}));
  out.put_each(std::vector<std::string>{"a", ""},
               [](ByteWriter& to, const std::string& text) { to.put(std::string_view(text)); });
  const std::string bytes = out.take();
  ByteReader in(bytes);
  CHECK(in.get<std::int64_t>() == -5);
  CHECK(in.text() == "text");
  CHECK(in.values<double>() == std::vector{1.5, 2.5});
  CHECK(in.each(&ByteReader::text) == std::vector<std::string>{"a", ""});
  CHECK(in.at_end());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ByteReader cut(std::string_view(bytes).substr(0, size));
    CHECK_THROWS_AS((cut.get<std::int64_t>(), cut.text(), cut.values<double>(), cut.each(&ByteReader::text)),
                    InputError);
  }
  const std::string huge(8, '\xff');
  CHECK_THROWS_AS(ByteReader(huge).text(), InputError);
  CHECK_THROWS_AS(ByteReader(huge).values<double>(), InputError);
  CHECK_THROWS_AS(ByteReader(huge).each(&ByteReader::text), InputError);
}
