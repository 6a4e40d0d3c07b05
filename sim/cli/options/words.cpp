#include "sim/cli/options/words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/any.hpp>
#include <cstdint>
#include <typeinfo>

#include "sim/config/text/suggest.hpp"

namespace kvr::cli {
namespace {

namespace po = boost::program_options;

std::string shown_name(const po::option_description& option) {
  return "--" + option.long_name();
}

std::string_view type_name(const po::value_semantic& semantic) {
  const auto* typed = dynamic_cast<const po::typed_value_base*>(&semantic);
  if (typed != nullptr && typed->value_type() == typeid(double)) {
    return "a number";
  }
  return typed != nullptr && typed->value_type() == typeid(std::int64_t) ? "an integer" : "a value";
}

bool is_readable(const po::option_description& option, const std::vector<std::string>& values) {
  try {
    boost::any ignored;
    option.semantic()->parse(ignored, values, false);
    return true;
  } catch (const po::error&) {
    return false;
  }
}

po::option stored(const std::string& name, const std::vector<std::string>& values) {
  po::option option(name, values);
  option.position_key = -1;
  return option;
}

}  // namespace

Words::Words(const Syntax& syntax, const po::options_description& all, std::span<const std::string> words)
    : syntax_(syntax), all_(all) {
  while (!words.empty()) {
    const std::string& word = words.front();
    words = words.subspan(1);
    if (word == "--") {
      arguments_.insert(arguments_.end(), words.begin(), words.end());
      words = {};
    } else if (word.size() > 1 && word.front() == '-') {
      read_option(word, words);
    } else {
      arguments_.push_back(word);
    }
  }
  place_arguments();
}

po::parsed_options Words::parsed() const {
  po::parsed_options parsed(&all_);
  parsed.options = options_;
  return parsed;
}

Words::Dashed Words::take_apart(const std::string& word) const {
  constexpr std::size_t kShort = 2;  // a dash and a letter
  if (word.size() < kShort) {
    return {word, "", false};
  }
  if (!word.starts_with("--")) {
    const bool attached = word.size() > kShort;
    return {word.substr(0, kShort), word.substr(kShort), attached};
  }
  const std::size_t equals = word.find('=');
  return equals == std::string::npos ? Dashed{word, "", false}
                                     : Dashed{word.substr(0, equals), word.substr(equals + 1), true};
}

const Words::Description* Words::find(std::string_view dashed_name) const {
  const bool is_long = dashed_name.starts_with("--");
  return syntax_.options.find_nothrow(std::string(dashed_name.substr(is_long ? 2 : 0)), false);
}

bool Words::begins_option(const std::string& word) const {
  return word.starts_with("--") || (word.starts_with('-') && find(take_apart(word).name) != nullptr);
}

void Words::read_option(const std::string& word, std::span<const std::string>& rest) {
  const Dashed given = take_apart(word);
  const Description* option = find(given.name);
  if (option == nullptr) {
    add_unknown(given.name);
    return;
  }
  const std::string& name = option->long_name();
  help_ = help_ || name == "help";
  if (!seen_.insert(name).second && !option->semantic()->is_composing() && repeated_.insert(name).second) {
    add_problem(shown_name(*option) + ": is given twice", "once");
  }
  if (option->semantic()->max_tokens() > 0) {
    read_value(*option, given, rest);
  } else if (given.has_value) {
    add_problem(fmt::format("{}: takes no value ({})", shown_name(*option), given.value));
  } else {
    keep(*option, {});
  }
}

void Words::read_value(const Description& option, const Dashed& given, std::span<const std::string>& rest) {
  std::string value = given.value;
  if (!given.has_value) {
    if (rest.empty() || begins_option(rest.front())) {
      add_problem(shown_name(option) + ": has no value");
      return;
    }
    value = rest.front();
    rest = rest.subspan(1);
  }
  if (!is_readable(option, {value})) {
    add_problem(fmt::format("{}: is not {} ({})", shown_name(option), type_name(*option.semantic()), value));
    return;
  }
  keep(option, {value});
}

void Words::keep(const Description& option, const std::vector<std::string>& values) {
  options_.push_back(stored(option.long_name(), values));
}

void Words::place_arguments() {
  std::size_t used = 0;
  for (const Argument& argument : syntax_.arguments) {
    const std::size_t left = arguments_.size() - used;
    const std::size_t taken = argument.many ? left : std::min<std::size_t>(left, 1);
    for (std::size_t i = 0; i < taken; ++i) {
      options_.push_back(stored(argument.name, {arguments_[used + i]}));
    }
    used += taken;
    if (taken == 0 && !argument.what.empty()) {
      add_problem(fmt::format("no {} is given", argument.what));
    }
  }
  // What follows an unknown option may be its value.
  for (std::size_t i = used; i < arguments_.size() && !unknown_; ++i) {
    problems_.push_back(fmt::format("{}: unexpected argument ({}); usage: {} {}", syntax_.command,
                                    arguments_[i], syntax_.command, syntax_.usage));
  }
}

void Words::add_unknown(const std::string& name) {
  unknown_ = true;
  std::vector<std::string> known;
  for (const auto& option : syntax_.options.options()) {
    known.push_back(shown_name(*option));
  }
  const std::vector<std::string_view> views(known.begin(), known.end());
  problems_.push_back(
      fmt::format("{}: unknown option ({}); {}", syntax_.command, name, config::suggestion(name, views)));
}

void Words::add_problem(std::string_view what, std::string_view allowed) {
  problems_.push_back(allowed.empty()
                          ? fmt::format("{}: {}; see '{} --help'", syntax_.command, what, syntax_.command)
                          : fmt::format("{}: {}; allowed: {}", syntax_.command, what, allowed));
}

}  // namespace kvr::cli
