#pragma once

#include <string>

namespace kvr::cli {

/// models/soc/README.md: what phones were measured to decode and draw, what the shipped configurations make
/// of it, and what each row was used for. Throws InputError where a configuration is missing or wrong.
std::string validated_phones_markdown();

}  // namespace kvr::cli
