// yaml-cpp's events -> RawNodes (an arena, aliases as links) -> Nodes.
//
// yaml-cpp's own loader is not used because it goes on for ever where a document takes nothing from the text
// (a comma outside brackets), and because its tree is complete before anybody can count it. What the tree
// lacks is added here: marks count from 1, doubled keys, merge keys, tags and second documents are problems.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "sim/config/text/text_check.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

namespace {

/// Aliases can make a small document describe an endless or an exponentially large tree.
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxNodes = 100'000;
/// Longer keys would multiply in the paths of messages.
constexpr std::size_t kMaxKeyBytes = 1024;
/// Of a tag, for messages.
constexpr std::size_t kMaxTagBytes = 64;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// Why reading ends before the document does; the mark counts from 0 as yaml-cpp's do.
class Stop : public std::runtime_error {
 public:
  Stop(const YAML::Mark& mark, const std::string& reason) : std::runtime_error(reason), mark_(mark) {}
  const YAML::Mark& mark() const { return mark_; }

 private:
  YAML::Mark mark_;
};

std::string too_large() {
  return fmt::format("the document is too large; allowed: {} nodes, {} levels", kMaxNodes, kMaxDepth);
}

struct RawNode {
  NodeKind kind = NodeKind::null;
  YAML::Mark mark = {};
  std::string tag = {};
  std::string text = {};
  std::vector<std::uint32_t> children = {};  ///< elements of a list; keys and values of a map in turn
};

/// What one document says. Node 0 is the root; a node that is aliased is the child of several.
using RawTree = std::vector<RawNode>;

/// Keeps the limits while yaml-cpp parses, so that nothing larger is ever held.
class RawBuilder final : public YAML::EventHandler {
 public:
  RawTree take() && { return std::move(tree_); }

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add({.mark = mark}, anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override { link(anchors_.at(anchor), mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    add({.kind = NodeKind::scalar, .mark = mark, .tag = shortened(tag, mark), .text = value}, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open_.push_back(add({.kind = NodeKind::list, .mark = mark, .tag = shortened(tag, mark)}, anchor));
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open_.push_back(add({.kind = NodeKind::map, .mark = mark, .tag = shortened(tag, mark)}, anchor));
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  std::uint32_t add(RawNode node, YAML::anchor_t anchor) {
    const auto index = static_cast<std::uint32_t>(tree_.size());
    link(index, node.mark);
    if (anchor != YAML::NullAnchor) {
      anchors_[anchor] = index;
    }
    tree_.push_back(std::move(node));
    return index;
  }

  /// Makes node `index` the next child of the innermost open one.
  void link(std::uint32_t index, const YAML::Mark& mark) {
    // Keys are nodes here, so a map has two for each of the tree's.
    if (++links_ > 2 * kMaxNodes) {
      throw Stop(mark, too_large());
    }
    if (!open_.empty()) {
      tree_[open_.back()].children.push_back(index);
    }
  }

  /// A %TAG directive can make every tag as long as the document.
  std::string shortened(const std::string& tag, const YAML::Mark& mark) {
    tag_bytes_ += tag.size();
    if (tag_bytes_ > kMaxTextBytes) {
      throw Stop(mark, too_large());
    }
    return tag.substr(0, kMaxTagBytes);
  }

  RawTree tree_;
  std::vector<std::uint32_t> open_;
  std::unordered_map<YAML::anchor_t, std::uint32_t> anchors_;
  std::size_t links_ = 0;
  std::size_t tag_bytes_ = 0;
};

/// Ends at the first node of a document that must not be there.
class NoDocument final : public YAML::EventHandler {
 public:
  /// `text` is what is parsed; commas outside brackets take no part in a document and are left for ever.
  explicit NoDocument(std::string_view text) : text_(text) {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { stop(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override { stop(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                const std::string& /*value*/) override {
    stop(mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                       YAML::EmitterStyle::value /*style*/) override {
    stop(mark);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string& /*tag*/, YAML::anchor_t /*anchor*/,
                  YAML::EmitterStyle::value /*style*/) override {
    stop(mark);
  }
  void OnMapEnd() override {}

 private:
  [[noreturn]] void stop(const YAML::Mark& mark) const {
    const auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
    const bool comma = at < text_.size() && text_[at] == ',';
    throw Stop(
        mark, comma ? "not valid YAML (a comma outside brackets)" : "a second document begins; allowed: one");
  }

  std::string_view text_;
};

/// Turns raw nodes into nodes, following aliases.
class Converter {
 public:
  Converter(const RawTree& tree, const std::string& file, Problems& problems, ReadBudget& budget)
      : tree_(tree), file_(file), problems_(problems), budget_(budget) {}

  Node convert(const RawNode& raw, const Mark& mark) {
    Node node{.mark = mark};
    if (!spend(raw) || path_.size() > kMaxDepth) {
      report_size(mark);
      return node;
    }
    check_tag(raw, mark);
    node.kind = raw.kind;
    if (raw.kind == NodeKind::scalar) {
      convert_scalar(raw, node);
    } else if (raw.kind == NodeKind::list) {
      convert_list(raw, node);
    } else if (raw.kind == NodeKind::map) {
      convert_map(raw, node);
    }
    return node;
  }

 private:
  Mark mark_of(const RawNode& raw) const { return {file_, raw.mark.line + 1, raw.mark.column + 1}; }

  std::string path() const {
    std::string joined;
    for (const std::string& part : path_) {
      joined = join_path(joined, part);
    }
    return joined;
  }

  void report(const Mark& mark, std::string_view text) { problems_.add(mark, path(), text); }

  void convert_scalar(const RawNode& raw, Node& node) {
    node.text = raw.text;
    node.quoted = raw.tag == "!";
    if (has_nul(raw.text)) {
      problems_.add_fatal(node.mark, path(), "holds a NUL character (\\0); allowed: text without one");
    }
  }

  void convert_list(const RawNode& raw, Node& node) {
    for (const std::uint32_t index : raw.children) {
      path_.push_back(std::to_string(node.children.size()));
      node.children.push_back(convert(tree_[index], mark_of(tree_[index])));
      path_.pop_back();
      if (reported_size_) {
        return;
      }
    }
  }

  void convert_map(const RawNode& raw, Node& node) {
    std::unordered_map<std::string_view, Mark> seen;
    for (std::size_t i = 0; i + 1 < raw.children.size() && !reported_size_; i += 2) {
      const RawNode& key = tree_[raw.children[i]];
      const Mark mark = mark_of(key);
      if (key.kind != NodeKind::scalar) {
        report(mark, "a key is not a text; allowed: plain words");
      } else if (has_nul(key.text)) {
        problems_.add_fatal(mark, path(), "a key holds a NUL character (\\0); allowed: text without one");
      } else if (key.text.size() > kMaxKeyBytes) {
        report(mark, fmt::format("a key is too long ({} bytes); allowed: {}", key.text.size(), kMaxKeyBytes));
      } else {
        path_.push_back(key.text);
        convert_entry(key, tree_[raw.children[i + 1]], mark, seen, node);
        path_.pop_back();
      }
    }
  }

  void convert_entry(const RawNode& key, const RawNode& value, const Mark& mark,
                     std::unordered_map<std::string_view, Mark>& seen, Node& node) {
    if (key.text == "<<") {
      report(mark, "merge keys are not applied (<<); allowed: 'include'");
    } else if (const auto [first, fresh] = seen.try_emplace(key.text, mark); !fresh) {
      report(mark, fmt::format("given twice (first at {}); allowed: once", to_string(first->second)));
    } else {
      Node child = convert(value, mark);
      child.key = key.text;
      node.children.push_back(std::move(child));
    }
  }

  void check_tag(const RawNode& raw, const Mark& mark) {
    if (!raw.tag.empty() && raw.tag != "?" && raw.tag != "!") {
      report(mark, fmt::format("a YAML tag has no meaning here ({}); allowed: none", raw.tag));
    }
  }

  /// An escape may stand for one even where the text has none.
  static bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

  /// Counts `raw` and what it says; false when that is too much.
  bool spend(const RawNode& raw) {
    text_bytes_ += raw.text.size();
    const bool fits = ++nodes_ <= kMaxNodes && text_bytes_ <= kMaxTextBytes && budget_.nodes > 0;
    budget_.nodes -= fits ? 1 : 0;
    return fits;
  }

  void report_size(const Mark& mark) {
    if (!reported_size_) {
      reported_size_ = true;
      problems_.add_fatal(mark, "", too_large());
    }
  }

  const RawTree& tree_;
  const std::string& file_;
  Problems& problems_;
  ReadBudget& budget_;
  std::vector<std::string> path_;
  std::size_t nodes_ = 0;
  std::size_t text_bytes_ = 0;
  bool reported_size_ = false;
};

/// Where byte `at` of `text` is. A byte within a word is placed at the word's begin, as everything else is.
Mark mark_of_byte(std::string_view text, std::size_t at, const std::string& file) {
  const std::string_view before = text.substr(0, at);
  const std::size_t line_begin = before.rfind('\n') + 1;
  const std::size_t blank = before.find_last_of(" \t\n");
  const std::size_t word = blank == std::string_view::npos ? 0 : blank + 1;
  return {file, static_cast<int>(std::ranges::count(before, '\n')) + 1,
          static_cast<int>(word - line_begin) + 1};
}

Mark mark_of(const YAML::Mark& mark, const std::string& file) {
  return mark.is_null() ? Mark{file} : Mark{file, mark.line + 1, mark.column + 1};
}

/// The first document of `text`; empty when there is none or it cannot be read.
RawTree parse_raw(const std::string& text, const std::string& file, Problems& problems) {
  RawBuilder builder;
  NoDocument no_more(text);
  bool whole = false;
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    whole = true;
    parser.HandleNextDocument(no_more);
  } catch (const YAML::Exception& error) {
    whole = false;
    problems.add_fatal(mark_of(error.mark, file), "", fmt::format("not valid YAML ({})", error.msg));
  } catch (const Stop& stop) {
    problems.add_fatal(mark_of(stop.mark(), file), "", stop.what());
  }
  return whole ? std::move(builder).take() : RawTree{};
}

}  // namespace

Node parse_yaml(std::string_view text, const std::string& file, Problems& problems, ReadBudget& budget) {
  const Mark start{file, 1, 1};
  if (text.size() > kMaxTextBytes) {
    problems.add_fatal(start, "", fmt::format("is too long; allowed: {} bytes", kMaxTextBytes));
    return Node{.mark = start};
  }
  if (const auto bad = find_bad_byte(text)) {
    problems.add_fatal(mark_of_byte(text, bad->at, file), "",
                       fmt::format("{}; allowed: text in UTF-8", bad->what));
    return Node{.mark = start};
  }
  text.remove_prefix(text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0);
  const RawTree tree = parse_raw(std::string(text), file, problems);
  return tree.empty() ? Node{.mark = start} : Converter(tree, file, problems, budget).convert(tree[0], start);
}

}  // namespace kvr::config
