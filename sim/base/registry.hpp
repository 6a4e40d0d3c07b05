#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/figures.hpp"
#include "sim/base/params.hpp"

namespace kvr {

/// What `kvreplay list`, the schema and the configuration know of one implementation.
struct Implementation {
  std::string name;
  std::string doc;
  std::string source;
  std::vector<ParamSpec> params;
  /// Which parameters have no effect where these are the values.
  std::function<std::vector<IdleParam>(const ParamValues&)> idle = {};
  /// What it adds to the results.
  std::vector<FigureInfo> figures = {};
};

/// Every interface with its implementations, sorted, so that listings are stable.
/// A function-local static, hence free of initialisation-order traps; filled before main() and constant
/// after.
class Catalogue {
 public:
  using Kind = std::map<std::string, Implementation, std::less<>>;

  static Catalogue& instance();
  /// What is wrong with it is kept for `throw_if_faulty`: nobody could catch it before main().
  void add(std::string_view kind, const Implementation& implementation);
  /// Throws PolicyFault, unless every implementation has a name of its own in its kind and defaults that its
  /// table allows.
  void throw_if_faulty() const;
  /// Whether all implementations of `kind` are driven by one set of parameters, so that choosing another
  /// keeps the values.
  bool shares_parameters(std::string_view kind) const { return sharing_.contains(kind); }
  void share_parameters(std::string_view kind) { sharing_.emplace(kind); }
  const std::map<std::string, Kind, std::less<>>& kinds() const { return kinds_; }
  const Kind& kind(std::string_view kind) const;
  /// Null when there is no such implementation.
  const Implementation* find(std::string_view kind, std::string_view name) const;

 private:
  std::map<std::string, Kind, std::less<>> kinds_;
  std::set<std::string, std::less<>> sharing_;
  std::vector<std::string> faults_;
};

/// An interface says so with a member `static constexpr bool kSharedParameters = true`.
template <class Interface>
concept SharesParameters = requires {
  requires Interface::kSharedParameters;
};

/// Makes implementations of `Interface`, which names its kind (`Interface::kKind`) and what its
/// implementations are constructed with besides their parameters (`Interface::Context`).
template <class Interface>
class Registry {
 public:
  using Context = typename Interface::Context;
  using Factory = std::function<std::unique_ptr<Interface>(const ParamValues&, const Context&)>;

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  void add(const Implementation& implementation, Factory factory) {
    Catalogue::instance().add(Interface::kKind, implementation);
    if constexpr (SharesParameters<Interface>) {
      Catalogue::instance().share_parameters(Interface::kKind);
    }
    factories_.emplace(implementation.name, std::move(factory));
  }

  std::unique_ptr<Interface> create(std::string_view name, const ParamValues& values,
                                    const Context& context) const {
    const auto found = factories_.find(name);
    KVR_CHECK(found != factories_.end(), "no {} is called '{}'", Interface::kKind, name);
    return found->second(values, context);
  }

 private:
  std::map<std::string, Factory, std::less<>> factories_;
};

/// The one line by which an implementation makes itself known:
///
///     const Registration<Clustering, KMeans> registered;
///
/// `T` gives `kName`, `kDoc`, `kSource`, a struct `Params`, its table `T::params()` and a constructor
/// `T(Params, const Interface::Context&)`; also `T::idle(const Params&)` where some parameters have no effect
/// beside certain values of others, and `T::figures()` where it reports figures of its own.
template <class Interface, class T>
class Registration {
 public:
  Registration() {
    const auto table = T::params();
    Registry<Interface>::instance().add(
        {std::string(T::kName), std::string(T::kDoc), std::string(T::kSource), specs_of(table),
         idle_of(table), figures()},
        [table](const ParamValues& values, const typename Interface::Context& context) {
          return std::make_unique<T>(from_values(table, values), context);
        });
  }

 private:
  template <class Table>
  static std::function<std::vector<IdleParam>(const ParamValues&)> idle_of(const Table& table) {
    if constexpr (requires(const typename T::Params& params) { T::idle(params); }) {
      return [table](const ParamValues& values) { return T::idle(from_values(table, values)); };
    } else {
      return {};
    }
  }
  static std::vector<FigureInfo> figures() {
    if constexpr (requires { T::figures(); }) {
      return T::figures();
    } else {
      return {};
    }
  }
};

/// For implementations without parameters.
struct NoParams {};

}  // namespace kvr
