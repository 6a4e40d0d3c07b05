#include "sim/cli/list/systems.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <vector>

#include "sim/cli/device/choice.hpp"
#include "sim/cli/table.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/config/resolve.hpp"

namespace kvr::cli {
namespace {

constexpr std::string_view kFolder = "systems";

struct Described {
  std::string file;  ///< without folder and extension
  std::string name;  ///< in results
  SystemAbout about;
};

Described describe(const std::filesystem::path& file) {
  const SystemConfig system = load_part(file, "system", {}).system;
  return {file.stem().string(), system.name, system.about};
}

std::vector<std::filesystem::path> files_of(const std::string& name) {
  return name.empty() ? config_files(kFolder, ".yaml") : std::vector{find_config(kFolder, name)};
}

std::vector<Described> read(const std::string& name) {
  std::vector<Described> systems;
  ProblemList problems;
  for (const std::filesystem::path& file : files_of(name)) {
    problems.collect([&] { systems.push_back(describe(file)); });
  }
  problems.throw_if_any();
  return systems;
}

/// A gap is told, so that it is not taken for "nothing".
std::string said(const std::string& text) {
  return text.empty() ? "not said" : text;
}

std::string year_of(const SystemAbout& about) {
  return about.year == 0 ? "none" : std::to_string(about.year);
}

Table short_table(const std::vector<Described>& systems) {
  Table table{{"file", "source", "year", "held to"}, {}};
  for (const auto& [file, name, about] : systems) {
    table.rows.push_back({file, said(about.source), year_of(about), said(about.held_to)});
  }
  return table;
}

Table whole_table(const std::vector<Described>& systems) {
  Table table{{"file", "system", "source", "year", "faithful", "chosen", "left out", "held to"}, {}};
  for (const auto& [file, name, about] : systems) {
    table.rows.push_back({fmt::format("`{}`", file), name, said(about.source), year_of(about),
                          said(about.faithful), said(about.chosen), said(about.left_out),
                          said(about.held_to)});
  }
  return table;
}

std::string whole_text(const Described& system) {
  const SystemAbout& about = system.about;
  return fmt::format("{}: {}\nsource: {}\nyear: {}\nfaithful: {}\nchosen: {}\nleft out: {}\nheld to: {}\n",
                     system.file, system.name, said(about.source), year_of(about), said(about.faithful),
                     said(about.chosen), said(about.left_out), said(about.held_to));
}

}  // namespace

std::string systems_text(const std::string& name) {
  const std::vector<Described> systems = read(name);
  return name.empty() ? plain_table(short_table(systems)) : whole_text(systems.front());
}

std::string systems_markdown(const std::string& name) {
  const std::string table = markdown_table(whole_table(read(name)));
  constexpr std::string_view kPage = R"(# Systems

Printed by `kvreplay list systems --markdown`; `kvreplay list systems NAME` shows one. Every file says this of itself under `system.about`.

{})";
  return name.empty() ? fmt::format(kPage, table) : table;
}

}  // namespace kvr::cli
