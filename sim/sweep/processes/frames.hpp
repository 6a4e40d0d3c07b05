#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvr::sweep {

/// Sends `bytes` as one frame over a stream; false where the other end is gone.
bool send_frame(int descriptor, std::string_view bytes);

/// Waits for a whole frame; none where the other end is gone.
std::optional<std::string> receive_frame(int descriptor);

/// Frames as their bytes come.
class FrameBuffer {
 public:
  /// Takes what is there without waiting for more; false where the other end is gone.
  bool fill(int descriptor);
  /// The next whole frame, if there is one.
  std::optional<std::string> next();

 private:
  std::string bytes_;
};

}  // namespace kvr::sweep
