#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "sim/interfaces/replacement.hpp"

namespace kvr {

/// What each cache of a replay is touched for, in order. A first replay fills it; a second one gives it to
/// policies that need the future, and checks that it touches the same.
class AccessRecord {
 public:
  /// Whether the first replay is over.
  bool complete() const { return complete_; }
  void set_complete() { complete_ = true; }
  std::span<const CacheObject> of(std::size_t cache) const {
    const auto found = streams_.find(cache);
    return found == streams_.end() ? std::span<const CacheObject>() : found->second.accesses;
  }

  /// First replay: notes the access. Second: returns whether the record has it at this place.
  bool follow(std::size_t cache, CacheObject object) {
    Stream& stream = streams_[cache];
    if (!complete_) {
      stream.accesses.push_back(object);
      return true;
    }
    const std::size_t at = stream.followed++;
    return at < stream.accesses.size() && stream.accesses[at] == object;
  }
  /// Whether the second replay has touched everything that the first has.
  bool followed() const {
    for (const auto& [cache, stream] : streams_) {
      if (stream.followed != stream.accesses.size()) {
        return false;
      }
    }
    return true;
  }

 private:
  struct Stream {
    std::vector<CacheObject> accesses;
    std::size_t followed = 0;  ///< by the second replay
  };

  std::map<std::size_t, Stream> streams_;
  bool complete_ = false;
};

}  // namespace kvr
