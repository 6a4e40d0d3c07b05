#include "tests/models/flash/shipped_config.hpp"

#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/text/includes.hpp"
#include "sim/config/values.hpp"

namespace kvr::test {

ParamValues shipped_values(const std::string& kind, const std::string& file) {
  config::Problems problems;
  config::Node root =
      config::read_with_includes(std::filesystem::path(KVR_SOURCE_DIR) / "configs" / file, problems).root;
  problems.throw_if_any();
  KVR_CHECK(root.children.size() == 1, "{} holds more than its {}", file, kind);
  config::Node component = root.take(kind);
  const config::Node type = component.take("type");
  const Implementation* implementation = Catalogue::instance().find(kind, type.text);
  KVR_CHECK(implementation != nullptr, "{}: no {} is called '{}'", file, kind, type.text);
  ParamValues values;
  for (const ParamSpec& spec : implementation->params) {
    const config::Node given = component.take(spec.name);
    if (const auto value = config::read_value(given, spec, spec.name, problems)) {
      values.emplace(spec.name, *value);
    }
  }
  for (const config::Node& unknown : component.children) {
    problems.add(unknown.mark, unknown.key, "unknown key");
  }
  problems.throw_if_any();
  return values;
}

flash::DeviceParams shipped_device(const std::string& name) {
  return from_values(flash::device_param_table(), shipped_values("device", "devices/" + name + ".yaml"));
}

}  // namespace kvr::test
