#include "sim/results/units/units_text.hpp"

#include <fmt/format.h>

#include <string_view>

#include "sim/results/units/recorded_units.hpp"

namespace kvr {

std::string units_markdown() {
  std::string text =
      "\n## Units\n\n"
      "With `record.units` a file has a group `/unit_record`: a group of columns for each table below, each "
      "along "
      "a "
      "dimension of its own (`choice`, `entry`, `extent`, `request`). The entries and extents of a choice "
      "are "
      "neighbours, from row `first_entry` and `first_extent` on; `choice` in their tables says whose they "
      "are, "
      "and `point` is the place of the point in the file. `stages` and `tiers` in `/unit_record` itself say "
      "what "
      "the "
      "numbers of stages and tiers stand for, a line each. `kvreplay.units` in Python joins all that.\n\n"
      "Roles:\n\n"
      "- `chosen`: by a stage that selects; of the last one with where its entries were found, unless those "
      "are "
      "asked for in other units\n"
      "- `demanded`: of the memory, by units of the clustering, where that is not what the last stage chose "
      "as it "
      "chose it: nothing selects, each query head chooses, or the stage ranks entries of its own\n"
      "- `pinned`, `pending`: attended to whatever was chosen; the current entry is among the pinned\n"
      "- `prefetched`: guessed to be demanded\n"
      "- `estimated`: not read, summaries stand for it\n"
      "- `missed`: what recall counts as missed, of each query head: of the best that the budget would have "
      "held\n"
      "- `kept`, `removed`: by stages that evict after the step; what is done when a prompt has been read "
      "belongs "
      "to no step\n"
      "- `placed`: by a stage that places\n"
      "- `reference`: read because what was read refers to it\n"
      "- `loaded`: read because the clustering changes it\n\n"
      "Extents are whole records as they lie on flash, of one unit; requests are what the layer asked for, "
      "merged over its heads and widened to blocks, and add up to `read_bytes` over the layers and heads "
      "that "
      "what was captured stands for.\n";
  RecordedUnits().for_each_table([&text](std::string_view name, const auto& rows) {
    text += fmt::format("\n| `/unit_record/{}` | unit | meaning |\n| --- | --- | --- |\n", name);
    for (const auto& column : columns_of(rows)) {
      text += fmt::format("| `{}` | {} | {} |\n", column.name, column.unit, column.long_name);
    }
  });
  return text;
}

}  // namespace kvr
