#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <utility>

namespace kvr::cli {

/// To the user, on standard error. What cannot be written there is lost: nobody is left to be told, and no
/// work is given up for a message.
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  std::fputs(fmt::format(format, std::forward<Args>(args)...).c_str(), stderr);
}

}  // namespace kvr::cli
