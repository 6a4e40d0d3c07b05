// Turns yaml-cpp's events into Nodes and closes its gaps: marks count from 0, a map's own mark is its first
// child, doubled keys are kept silently, merge keys are left unapplied, and only the first document is looked
// at.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "sim/config/tree.hpp"

namespace kvr::config {

namespace {

/// Aliases can make a small file describe an endless or an exponentially large tree.
constexpr int kMaxDepth = 64;
constexpr int kMaxNodes = 100'000;

class Converter {
 public:
  Converter(const std::string& file, Problems& problems) : file_(file), problems_(problems) {}

  Node convert(const YAML::Node& yaml, const Mark& mark, const std::string& path, int depth) {
    Node node{.mark = mark};
    if (++nodes_ > kMaxNodes || depth > kMaxDepth) {
      report_size(mark);
      return node;
    }
    check_tag(yaml, mark, path);
    if (yaml.IsScalar()) {
      node.kind = NodeKind::scalar;
      node.text = yaml.Scalar();
      node.quoted = yaml.Tag() == "!";
    } else if (yaml.IsSequence()) {
      convert_list(yaml, path, depth, node);
    } else if (yaml.IsMap()) {
      convert_map(yaml, path, depth, node);
    }
    return node;
  }

  Mark mark_of(const YAML::Mark& mark) const {
    return mark.is_null() ? Mark{file_} : Mark{file_, mark.line + 1, mark.column + 1};
  }

 private:
  void convert_list(const YAML::Node& yaml, const std::string& path, int depth, Node& node) {
    node.kind = NodeKind::list;
    for (const auto& element : yaml) {
      const std::string inner = join_path(path, std::to_string(node.children.size()));
      node.children.push_back(convert(element, mark_of(element.Mark()), inner, depth + 1));
    }
  }

  void convert_map(const YAML::Node& yaml, const std::string& path, int depth, Node& node) {
    node.kind = NodeKind::map;
    for (const auto& entry : yaml) {
      const Mark mark = mark_of(entry.first.Mark());
      if (!entry.first.IsScalar()) {
        problems_.add(mark, path, "a key is not a text; allowed: plain words");
        continue;
      }
      const std::string& key = entry.first.Scalar();
      const std::string inner = join_path(path, key);
      if (key == "<<") {
        problems_.add(mark, inner, "merge keys are not applied (<<); allowed: 'include'");
      } else if (const Node* first = node.find(key)) {
        problems_.add(mark, inner,
                      fmt::format("given twice (first at {}); allowed: once", to_string(first->mark)));
      } else {
        Node child = convert(entry.second, mark, inner, depth + 1);
        child.key = key;
        node.children.push_back(std::move(child));
      }
    }
  }

  void check_tag(const YAML::Node& yaml, const Mark& mark, const std::string& path) {
    const std::string& tag = yaml.Tag();
    if (!tag.empty() && tag != "?" && tag != "!") {
      problems_.add(mark, path, fmt::format("a YAML tag has no meaning here ({}); allowed: none", tag));
    }
  }

  void report_size(const Mark& mark) {
    if (!reported_size_) {
      reported_size_ = true;
      problems_.add_fatal(
          mark, "",
          fmt::format("the document is too large; allowed: {} nodes, {} levels", kMaxNodes, kMaxDepth));
    }
  }

  const std::string& file_;
  Problems& problems_;
  int nodes_ = 0;
  bool reported_size_ = false;
};

}  // namespace

Node parse_yaml(const std::string& text, const std::string& file, Problems& problems) {
  Converter converter(file, problems);
  const Mark start{file, 1, 1};
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      problems.add_fatal(converter.mark_of(documents[1].Mark()), "",
                         "a second document begins; allowed: one");
    }
    return documents.empty() ? Node{.mark = start} : converter.convert(documents[0], start, "", 0);
  } catch (const YAML::Exception& error) {
    problems.add_fatal(converter.mark_of(error.mark), "", fmt::format("not valid YAML ({})", error.msg));
    return Node{.mark = start};
  }
}

}  // namespace kvr::config
