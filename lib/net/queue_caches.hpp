// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>

#include "mem/mempool_core.hpp"
#include "pollux/net/placed_settings.hpp"

namespace pollux {

/// The configured cache of a card's receive queue, or a new one.
[[nodiscard]] std::shared_ptr<MempoolCacheCore> card_receive_cache(const PlacedQueues& config, std::uint32_t queue);
/// That of a card's transmit queue. Null: its mbufs return to their pool's shared list.
[[nodiscard]] std::shared_ptr<MempoolCacheCore> card_transmit_cache(const PlacedQueues& config, std::uint32_t queue);

}  // namespace pollux
