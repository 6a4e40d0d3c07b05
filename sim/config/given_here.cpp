#include "sim/config/given_here.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "sim/config/text/grammar.hpp"

namespace kvr::config {
namespace {

void collect_places(const Resolved& node, const std::string& path,
                    std::map<std::string, std::string, std::less<>>& places) {
  if (!path.empty() && !node.mark.is_default()) {
    places.emplace(path, to_string(node.mark));
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Resolved& child = node.children[i];
    const std::string name = child.key.empty() ? std::to_string(i) : child.key;
    collect_places(child, path.empty() ? name : fmt::format("{}.{}", path, name), places);
  }
}

}  // namespace

std::map<std::string, std::string, std::less<>> places_of(const Resolved& root) {
  std::map<std::string, std::string, std::less<>> places;
  collect_places(root, "", places);
  return places;
}

void GivenHere::look_at(const Field& field, const Resolved& node, const std::string& path,
                        RunConfig& config) const {
  if (!path.empty() && is_given_here(node.mark)) {
    config.given_here.insert(path);
  }
  if (field.shape == Shape::component) {
    look_at_component(field, node, path, config);
  } else if (field.shape == Shape::table) {
    for (const Resolved& child : node.children) {
      look_at(*field.find(child.key), child, join_path(path, child.key), config);
    }
  } else if (field.shape == Shape::list) {
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      look_at(field.fields.front(), node.children[i], join_path(path, std::to_string(i)), config);
    }
  }
}

bool GivenHere::is_given_here(const Mark& mark) const {
  return !mark.is_default() && (!mark.in_file() || mark.file == file_);
}

void GivenHere::look_at_component(const Field& field, const Resolved& node, const std::string& path,
                                  RunConfig& config) const {
  const ComponentChoice choice = component_of(node);
  const Implementation* chosen = catalogue_.find(field.kind, choice.type);
  std::map<std::string, std::string> idle;
  if (chosen->idle) {
    for (IdleParam& param : chosen->idle(choice.values)) {
      idle.emplace(std::move(param.name), std::move(param.why));
    }
  }
  for (const Resolved& param : node.children) {
    if (!is_given_here(param.mark)) {
      continue;
    }
    const std::string key = join_path(path, param.key);
    config.given_here.insert(key);
    if (const auto found = idle.find(param.key); found != idle.end()) {
      config.notes.push_back(
          fmt::format("no effect: {} ({}): {}", key, to_string(param.mark), found->second));
    }
  }
}

}  // namespace kvr::config
