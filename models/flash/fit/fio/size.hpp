#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvr::flash::fit {

/// A size as fio reads it with its default kb_base of 1024: "4k", "128M", "1gb", "65536". Empty for anything
/// else, also for "4KiB", which that fio takes for 4000 bytes.
std::optional<std::int64_t> parse_fio_size(std::string_view text);

}  // namespace kvr::flash::fit
