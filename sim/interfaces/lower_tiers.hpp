#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "sim/interfaces/graph_builder.hpp"

namespace kvr {

/// How transfers from and to what lies below the first tier follow one another where none needs the other.
enum class Transfers { in_turn, at_once };

/// What transfers to the first tier are for.
struct ReadPurposes {
  Purpose flash;
  Purpose link;
};

/// Lays what comes up: from each tier that has some of it over the tier's link; and from flash, whose entries
/// then go over every link, the slowest tier's first, each once it has come over the one before (store and
/// forward). Returns what waits for all of it.
inline GraphBuilder::After lay_reads(GraphBuilder& builder, std::span<const IoRequest> reads,
                                     std::span<const LinkDemand> links, ReadPurposes purposes,
                                     std::int32_t layer, const GraphBuilder::After& after,
                                     Transfers transfers) {
  GraphBuilder::After last = after;
  GraphBuilder::After from_tiers;
  for (std::size_t link = 0; link < links.size(); ++link) {
    const GraphBuilder::After read = builder.link(purposes.link, layer, link, links[link].read_s, last);
    if (transfers == Transfers::in_turn) {
      last = read;
    } else if (read != after) {
      from_tiers = GraphBuilder::joined({from_tiers, read});
    }
  }
  last = builder.flash(purposes.flash, layer, reads, last);
  for (std::size_t link = links.size(); link-- > 0;) {
    last = builder.link(purposes.link, layer, link, links[link].forward_s, last);
  }
  return from_tiers.empty() ? last : GraphBuilder::joined({from_tiers, last});
}

/// Of what attention misses.
inline GraphBuilder::After lay_reads(GraphBuilder& builder, const LayerDemand& demand, std::int32_t layer,
                                     const GraphBuilder::After& after, Transfers transfers) {
  return lay_reads(builder, demand.reads, demand.links, {Purpose::read, Purpose::tier_read}, layer, after,
                   transfers);
}

/// What `lay_writes` has laid.
struct Written {
  GraphBuilder::After flash;  ///< what waits for the flash has to wait for
  GraphBuilder::After all;
};

/// Lays what a layer moves behind its updates: the flash's part of `demand.writes`; over the links what
/// updates ask for, behind that and the slowest tier's first; and over each link what goes down.
inline Written lay_writes(GraphBuilder& builder, const LayerDemand& demand, std::int32_t layer,
                          const GraphBuilder::After& after, Transfers transfers) {
  const GraphBuilder::After flash = builder.flash(Purpose::write, layer, demand.writes, after);
  GraphBuilder::After last = flash;
  for (std::size_t link = demand.links.size(); link-- > 0;) {
    last = builder.link(Purpose::tier_read, layer, link, demand.links[link].update_s, last);
  }
  for (std::size_t link = 0; link < demand.links.size(); ++link) {
    const LinkDemand& of_link = demand.links[link];
    const bool in_turn = transfers == Transfers::in_turn;
    const GraphBuilder::After demoted =
        builder.link(Purpose::demotion, layer, link, of_link.demote_s, in_turn ? last : after);
    const GraphBuilder::After written =
        builder.link(Purpose::write, layer, link, of_link.write_s, in_turn ? demoted : after);
    last = in_turn ? written : last;
  }
  return {flash, last};
}

}  // namespace kvr
