#include "sim/sweep/processes/frames.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace kvr::sweep {
namespace {

using Length = std::uint64_t;

bool send_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// What one read gives; 0 at the end.
std::size_t read_some(int descriptor, char* to, std::size_t most) {
  ssize_t got = -1;
  do {
    got = read(descriptor, to, most);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? 0 : static_cast<std::size_t>(got);
}

}  // namespace

bool send_frame(int descriptor, std::string_view bytes) {
  const Length length = bytes.size();
  std::string frame(reinterpret_cast<const char*>(&length), sizeof length);
  frame += bytes;
  return send_all(descriptor, frame);
}

std::optional<std::string> receive_frame(int descriptor) {
  FrameBuffer buffer;
  while (buffer.fill(descriptor)) {
    if (std::optional<std::string> frame = buffer.next()) {
      return frame;
    }
  }
  return std::nullopt;
}

bool FrameBuffer::fill(int descriptor) {
  std::array<char, 65536> room;
  const std::size_t got = read_some(descriptor, room.data(), room.size());
  bytes_.append(room.data(), got);
  return got > 0;
}

std::optional<std::string> FrameBuffer::next() {
  Length length = 0;
  if (bytes_.size() < sizeof length) {
    return std::nullopt;
  }
  std::memcpy(&length, bytes_.data(), sizeof length);
  if (bytes_.size() - sizeof length < length) {
    return std::nullopt;
  }
  std::string frame = bytes_.substr(sizeof length, length);
  bytes_.erase(0, sizeof length + length);
  return frame;
}

}  // namespace kvr::sweep
