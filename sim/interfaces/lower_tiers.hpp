#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "sim/interfaces/graph_builder.hpp"

namespace kvr {

/// How transfers follow one another where none needs the other.
enum class Transfers { in_turn, at_once };

/// What has been laid of a layer's transfers.
struct Laid {
  GraphBuilder::After flash;  ///< what waits for the flash has to wait for
  GraphBuilder::After all;
};

/// What timelines call a transfer.
constexpr Purpose purpose_of(const Transfer& transfer) {
  switch (transfer.use) {
    case Use::representatives:
      return Purpose::representative_read;
    case Use::swap:
      return Purpose::swap_in;
    case Use::demand:
      return transfer.on_flash() ? Purpose::read : Purpose::tier_read;
    case Use::prefetch:
      return Purpose::prefetch;
    case Use::update:
      return transfer.on_flash() ? Purpose::write : Purpose::tier_read;
    case Use::demotion:
      return Purpose::demotion;
    case Use::append:
      return Purpose::write;
    case Use::placement:
      return Purpose::placement;
  }
  return Purpose::read;
}

/// Lays those of `transfers` that are for one of `uses`, in their order: each after the one before it where
/// it is behind that or transfers are `in_turn`, else `after`.
inline Laid lay_transfers(GraphBuilder& builder, std::span<const Transfer> transfers,
                          std::initializer_list<Use> uses, std::int32_t layer,
                          const GraphBuilder::After& after, Transfers how) {
  Laid laid{after, after};
  GraphBuilder::After last = after;  // of the chain that is being laid
  GraphBuilder::After chains;        // before it
  for (const Transfer& one : transfers) {
    if (std::ranges::find(uses, one.use) == uses.end()) {
      continue;
    }
    if (how == Transfers::at_once && !one.behind) {
      chains = last == after ? chains : GraphBuilder::joined({chains, last});
      last = after;
    }
    const Purpose purpose = purpose_of(one);
    last = one.on_flash()
               ? builder.flash(purpose, layer, one.requests, last)
               : builder.link(purpose, layer, static_cast<std::size_t>(one.link()), one.duration_s, last);
    laid.flash = one.on_flash() ? last : laid.flash;
  }
  laid.all = chains.empty() ? last : GraphBuilder::joined({chains, last});
  return laid;
}

/// Of what attention misses; returns what waits for it.
inline GraphBuilder::After lay_reads(GraphBuilder& builder, const LayerDemand& demand, std::int32_t layer,
                                     const GraphBuilder::After& after, Transfers how) {
  return lay_transfers(builder, demand.transfers, {Use::demand}, layer, after, how).all;
}

/// Of what a layer moves behind its attention and updates.
inline Laid lay_writes(GraphBuilder& builder, const LayerDemand& demand, std::int32_t layer,
                       const GraphBuilder::After& after, Transfers how) {
  return lay_transfers(builder, demand.transfers, {Use::update, Use::demotion, Use::append, Use::placement},
                       layer, after, how);
}

/// Of what is on flash while other layers compute: `use` says which.
inline GraphBuilder::After lay_back(GraphBuilder& builder, const LayerDemand& demand, Use use,
                                    std::int32_t layer, const GraphBuilder::After& after) {
  return lay_transfers(builder, demand.transfers, {use}, layer, after, Transfers::at_once).all;
}

}  // namespace kvr
