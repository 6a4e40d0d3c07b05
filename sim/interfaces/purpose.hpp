#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvr {

/// What an operation of a step is.
enum class Purpose : std::uint8_t {
  query_projection,
  key_value_projection,
  score,
  read,
  attention,
  output_projection,
  feed_forward,
  update,
  write,
  output_head,
  representative_read,
  swap_in,
  guess,
  prefetch,
  tier_read,  ///< over the link of a tier, up
  demotion,   ///< over the link of a tier, down
  placement,  ///< over the link of a tier, up or down, because a stage placed entries
};
constexpr std::size_t kPurposes = 17;

/// What timelines and summaries call it.
constexpr std::string_view purpose_name(Purpose purpose) {
  constexpr std::array<std::string_view, kPurposes> kNames = {"Q projection",
                                                              "K/V projection",
                                                              "score",
                                                              "read",
                                                              "attention",
                                                              "O projection",
                                                              "feed forward",
                                                              "update",
                                                              "write",
                                                              "output head",
                                                              "representative read",
                                                              "swap in",
                                                              "guess",
                                                              "prefetch",
                                                              "tier read",
                                                              "demotion",
                                                              "placement"};
  return kNames.at(static_cast<std::size_t>(purpose));
}

}  // namespace kvr
