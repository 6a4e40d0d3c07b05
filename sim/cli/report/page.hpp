#pragma once

#include <string>

#include "sim/results/report/page_data.hpp"

namespace kvr::cli {

/// The page about `data`: HTML that needs no other file and no network.
std::string page_text(const report::PageData& data);

}  // namespace kvr::cli
