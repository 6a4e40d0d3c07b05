#include "traces/contents.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr::trace {

struct Contents::Link {
  std::string name;
  H5L_type_t type;
};

namespace {

constexpr std::size_t kLongestName = 255;

struct LinkList {
  std::vector<std::pair<std::string, H5L_type_t>> links;
  bool is_whole = true;
};

herr_t append_link(hid_t, const char* name, const H5L_info_t* info, void* list) {
  auto& found = *static_cast<LinkList*>(list);
  if (found.links.size() > Contents::kMostObjects) {
    found.is_whole = false;
    return 1;
  }
  found.links.emplace_back(name, info->type);
  return 0;
}

LinkList links_of(hid_t file, const std::string& path) {
  const hdf5::Handle group = hdf5::open_group(file, path);
  LinkList list;
  if (H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, append_link, &list) < 0) {
    hdf5::throw_unreadable(hdf5::where(group.get()));
  }
  std::ranges::sort(list.links);
  return list;
}

/// One component of a path, as HDF5 writers make them.
bool is_name(const std::string& name) {
  return !name.empty() && name != "." && name.size() <= kLongestName && name.find('/') == std::string::npos;
}

const char* name_of(H5L_type_t type) {
  return type == H5L_TYPE_SOFT ? "soft link" : type == H5L_TYPE_EXTERNAL ? "external link" : "unknown link";
}

std::string child(const std::string& group, const std::string& name) {
  return group == "/" ? "/" + name : group + "/" + name;
}

}  // namespace

Contents::Contents(hid_t file) : left_{"/"} {
  H5O_info_t root;
  if (H5Oget_info2(file, &root, H5O_INFO_BASIC) < 0) {
    hdf5::throw_unreadable(hdf5::where(file));
  }
  addresses_.emplace(root.addr, "/");
  while (!left_.empty()) {
    const std::string group = std::move(left_.back());
    left_.pop_back();
    look_into(file, group);
  }
}

const std::vector<std::string>& Contents::children(const std::string& group) const {
  static const std::vector<std::string> none;
  const auto found = groups_.find(group);
  return found == groups_.end() ? none : found->second;
}

void Contents::look_into(hid_t file, const std::string& group) {
  std::vector<std::string>& names = groups_[group];
  LinkList list;
  try {
    list = links_of(file, group);
  } catch (const InputError& error) {
    problems_.insert(problems_.end(), error.problems().begin(), error.problems().end());
    return;
  }
  if (addresses_.size() + list.links.size() > kMostObjects) {
    throw InputError(fmt::format("{}: more than {} objects up to here; expected at most that many",
                                 hdf5::where(file, group), kMostObjects));
  }
  for (const auto& [name, type] : list.links) {
    names.push_back(name);
    take(file, group, {name, type});
  }
}

void Contents::take(hid_t file, const std::string& group, const Link& link) {
  const std::string path = child(group, link.name);
  if (!is_name(link.name)) {
    return refuse(file, path,
                  fmt::format("not a name of an object; expected 1 to {} bytes without '/'", kLongestName));
  }
  if (link.type != H5L_TYPE_HARD) {
    return refuse(file, path, fmt::format("{}; expected the object itself", name_of(link.type)));
  }
  H5O_info_t object;
  if (H5Oget_info_by_name2(file, path.c_str(), &object, H5O_INFO_BASIC, H5P_DEFAULT) < 0) {
    return refuse(file, path, fmt::format("cannot be read: {}", hdf5::error_line()));
  }
  if (object.type != H5O_TYPE_GROUP && object.type != H5O_TYPE_DATASET) {
    return refuse(file, path, "neither a group nor a dataset; expected one of them");
  }
  const auto [first, is_new] = addresses_.emplace(object.addr, path);
  if (!is_new) {
    return refuse(
        file, path,
        fmt::format("the same object as {}; expected one path to each", hdf5::shown(first->second)));
  }
  if (object.type == H5O_TYPE_DATASET) {
    datasets_.insert(path);
  } else if (std::ranges::count(path, '/') >= static_cast<std::ptrdiff_t>(kDeepest)) {
    refuse(file, path, fmt::format("a group within {} others; expected fewer", kDeepest));
  } else {
    left_.push_back(path);
  }
}

void Contents::refuse(hid_t file, const std::string& path, const std::string& why) {
  problems_.push_back(fmt::format("{}: {}", hdf5::where(file, path), why));
  refused_.insert(path);
}

}  // namespace kvr::trace
