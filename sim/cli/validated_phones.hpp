#pragma once

#include <string>

#include "sim/cli/table.hpp"

namespace kvr::cli {

/// `kvreplay list phone --validated`: what phones were measured to decode, what the shipped configurations
/// make of it, and what each row was used for. Throws InputError where a configuration is missing or wrong.
Table validated_phones();
/// The same of energy per token.
Table validated_phone_energy();
/// Both as models/soc/README.md.
std::string validated_phones_markdown();

}  // namespace kvr::cli
