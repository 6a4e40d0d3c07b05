#pragma once

#include <string_view>

namespace kvr::test {

/// A clustering of single entries and a budget of eight entries a head for tests, registered under these
/// names, with figures of their own over all dimensions; the clustering's `fault` makes it report what it
/// must not.
///
///     clustering: entries   [step, layer, head]  entries handed over
///                 code      [step, layer]        10 * layer + head, added up
///                 appended  [step]               total: one a call of `append`
///                 seldom    [step, layer, head]  1 where the entries are even, else nothing
///     budget:     code      [step, layer, head]  100 * layer + head
///                 asked     [step, layer]        total: times that a head of the layer was allotted
inline constexpr std::string_view kReporting = "test_reporting";
inline constexpr std::string_view kReportingBudget = "test_reporting_budget";

}  // namespace kvr::test
