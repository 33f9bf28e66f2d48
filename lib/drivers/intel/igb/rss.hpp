// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/rss.hpp"

namespace pollux::drivers::igb {

/// Lets write-backs have the hash instead of a checksum of the packet, which RSS needs.
void enable_hash(const Card& card);

/// Spreads frames as `config` says, whose table is filled. `in_pools`: between the queues of each pool.
void write_rss(const Card& card, const RssConfig& config, bool in_pools);

}  // namespace pollux::drivers::igb
