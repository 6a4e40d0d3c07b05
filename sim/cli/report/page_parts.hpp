#pragma once

#include <string_view>

namespace kvr::cli {

/// The files that a page is made of, as they were when the program was built (cmake/report_page.cmake).
struct PageParts {
  std::string_view html;
  std::string_view style;
  std::string_view script;
  std::string_view library;          ///< plotly.js, minified, with its notice of copyright
  std::string_view library_licence;  ///< which is to go with every copy
};

PageParts page_parts();

}  // namespace kvr::cli
