#include "sim/cli/device/choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/base/registry.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExtension = ".yaml";

/// configs/`folder` of the working directory and of the tree that holds this executable, its sources' or
/// one that it is installed in, as far as they exist.
std::vector<fs::path> config_folders(std::string_view folder) {
  const fs::path below = fs::path("configs") / folder;
  std::vector<fs::path> found;
  if (fs::is_directory(below)) {
    found.push_back(below);
  }
  std::error_code unreadable;
  fs::path at = fs::read_symlink("/proc/self/exe", unreadable);
  while (at.has_relative_path()) {
    at = at.parent_path();
    for (const fs::path& candidate : {at / below, at / "share" / "kvreplay" / below}) {
      if (fs::is_directory(candidate)) {
        found.push_back(candidate);
        return found;
      }
    }
  }
  return found;
}

std::set<std::string> names_in(std::span<const fs::path> folders) {
  std::set<std::string> names;
  for (const fs::path& folder : folders) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == kExtension) {
        names.insert(entry.path().stem().string());
      }
    }
  }
  return names;
}

std::vector<std::string> device_sets(const DeviceRequest& request, const std::string& type) {
  std::vector<std::string> sets;
  if (!type.empty()) {
    sets.push_back(fmt::format("device.type={}", type));
  }
  if (request.hot) {
    sets.emplace_back("device.heat=hot");
  }
  std::ranges::copy_if(request.sets, std::back_inserter(sets),
                       [](const std::string& set) { return set.starts_with("device."); });
  return sets;
}

std::vector<std::string> phone_sets(const DeviceRequest& request) {
  std::vector<std::string> sets;
  std::ranges::copy_if(request.sets, std::back_inserter(sets),
                       [](const std::string& set) { return set.starts_with("phone."); });
  return sets;
}

void check_sets(const DeviceRequest& request, ProblemList& problems) {
  for (const std::string& set : request.sets) {
    const bool of_device = set.starts_with("device.");
    const bool of_phone = set.starts_with("phone.");
    if (!of_device && !of_phone) {
      problems.add(
          fmt::format("--set {}: sets neither the device nor the phone; allowed: device.KEY=VALUE, "
                      "phone.KEY=VALUE",
                      set));
    } else if (of_phone && request.phone.empty()) {
      problems.add(fmt::format("--set {}: no phone is given; allowed: together with --phone", set));
    }
  }
}

/// Whether `type` is one; none is fine.
bool check_type(const std::string& type, ProblemList& problems) {
  std::vector<std::string_view> known;
  for (const auto& [name, implementation] : Catalogue::instance().kind(FlashDevice::kKind)) {
    known.push_back(name);
  }
  const bool fine = type.empty() || std::ranges::find(known, type) != known.end();
  if (!fine) {
    problems.add(fmt::format("--type: no such device type ({}); {}", type, config::suggestion(type, known)));
  }
  return fine;
}

RunConfig read_device(const DeviceRequest& request, const std::string& type) {
  return load_part(find_config("devices", request.device), FlashDevice::kKind, device_sets(request, type));
}

RunConfig read_phone(const DeviceRequest& request) {
  return load_part(find_config("phones", request.phone), ComputeModel::kKind, phone_sets(request));
}

std::unique_ptr<ComputeModel> phone_of(const RunConfig& config) {
  return Registry<ComputeModel>::instance().create(config.phone.type, config.phone.values, {});
}

}  // namespace

fs::path find_config(std::string_view folder, const std::string& given) {
  if (given == "-" || given.find('/') != std::string::npos || given.ends_with(kExtension)) {
    return given;
  }
  const std::vector<fs::path> folders = config_folders(folder);
  for (const fs::path& candidate : folders) {
    fs::path file = candidate / fmt::format("{}{}", given, kExtension);
    if (fs::is_regular_file(file)) {
      return file;
    }
  }
  const std::set<std::string> names = names_in(folders);
  const std::vector<std::string_view> known(names.begin(), names.end());
  const std::string allowed = known.empty()
                                  ? "allowed: a YAML file; there is no such folder here or above the program"
                                  : fmt::format("{}; or a YAML file", config::suggestion(given, known));
  throw InputError(fmt::format("configs/{}: no such name ({}); {}", folder, given, allowed));
}

std::vector<fs::path> config_files(std::string_view folder, std::string_view extension) {
  const std::vector<fs::path> folders = config_folders(folder);
  if (folders.empty()) {
    throw InputError(fmt::format("configs/{}: no such folder here or above the program", folder));
  }
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folders.front())) {
    if (entry.path().extension() == extension) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

std::unique_ptr<FlashDevice> DeviceChoice::create(std::int64_t threads, std::uint64_t seed) const {
  FlashDevice::Context context{host, seed};
  context.host.threads = threads;
  return Registry<FlashDevice>::instance().create(config.device.type, config.device.values, context);
}

DeviceChoice choose_device(const DeviceRequest& request) {
  ProblemList problems;
  check_sets(request, problems);
  const std::string type = check_type(request.type, problems) ? request.type : "";
  DeviceChoice choice;
  std::unique_ptr<ComputeModel> phone;
  problems.collect([&] {
    choice.config = read_device(request, type);
    choice.files = choice.config.files;
  });
  if (!request.phone.empty()) {
    problems.collect([&] {
      const RunConfig config = read_phone(request);
      phone = phone_of(config);
      choice.files.insert(choice.files.end(), config.files.begin(), config.files.end());
    });
  }
  problems.throw_if_any();

  choice.params = from_values(flash::device_param_table(), choice.config.device.values);
  problems.collect([&] {
    try {
      flash::require_sound(choice.params);
    } catch (const InputError& error) {
      throw choice.config.placed(FlashDevice::kKind, error);
    }
  });
  problems.throw_if_any();
  choice.host_name = phone ? fmt::format("phone {}", fs::path(request.phone).stem().string())
                           : fmt::format("fit of {}", choice.params.name);
  choice.host = phone ? phone->host_cost() : flash::fit_host(choice.params);
  return choice;
}

}  // namespace kvr::cli
