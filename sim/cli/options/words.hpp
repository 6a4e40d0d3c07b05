#pragma once

#include <boost/program_options.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cli/options/options.hpp"

namespace kvr::cli {

/// The words of a command line taken apart, with everything that is wrong with them; Boost's own parser stops
/// at the first.
class Words {
 public:
  /// `all`: the options of `syntax` and its arguments.
  Words(const Syntax& syntax, const boost::program_options::options_description& all,
        std::span<const std::string> words);

  bool ask_for_help() const { return help_; }
  const std::vector<std::string>& problems() const { return problems_; }
  /// To be stored, where there are no problems.
  boost::program_options::parsed_options parsed() const;

 private:
  using Description = boost::program_options::option_description;

  /// A word that begins with a dash: the option's name, dashes included, and what is attached to it.
  struct Dashed {
    std::string name;
    std::string value;
    bool has_value = false;
  };

  Dashed take_apart(const std::string& word) const;
  const Description* find(std::string_view dashed_name) const;
  bool begins_option(const std::string& word) const;
  void read_option(const std::string& word, std::span<const std::string>& rest);
  void read_value(const Description& option, const Dashed& given, std::span<const std::string>& rest);
  void keep(const Description& option, const std::vector<std::string>& values);
  void place_arguments();
  void add_unknown(const std::string& name);
  void add_problem(std::string_view what, std::string_view allowed = "");

  const Syntax& syntax_;
  const boost::program_options::options_description& all_;
  std::vector<boost::program_options::option> options_;
  std::vector<std::string> arguments_;
  std::set<std::string> seen_;
  std::set<std::string> repeated_;
  std::vector<std::string> problems_;
  bool unknown_ = false;
  bool help_ = false;
};

}  // namespace kvr::cli
