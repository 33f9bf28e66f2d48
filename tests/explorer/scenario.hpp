// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace pollux::test {

inline constexpr std::uint32_t kRing = 8;
inline constexpr std::uint32_t kRingMask = kRing - 1;
/// Slots between two doorbells, and between two descriptors with RS, on a ring of that size.
inline constexpr std::uint32_t kSlotsInGroup = 2;
inline constexpr std::uint32_t kMaxBuffers = 20;
/// The number of ring wraps that are distinguished. A later state counts as known if it differs only in its wraps.
inline constexpr std::uint32_t kWraps = 3;

/// The parameters of an exploration.
struct Scenario {
  bool rx = true;              ///< there is a receive queue
  bool tx = true;              ///< there is a transmit queue
  bool remote = false;         ///< tail registers are functions, their writes posted
  std::uint32_t spare = 2;     ///< buffers beyond those that the receive ring holds
  std::uint32_t hold = 0;      ///< frames that the application may still hold when it polls
  std::uint32_t prefetch = 1;  ///< descriptors that a card reads ahead
  std::uint32_t cache = 4;     ///< capacity of the cache
  bool chains = true;          ///< frames in two buffers also arrive
  bool bad_frames = false;     ///< frames with errors also arrive
  bool requests = false;       ///< frames with offload requests of three kinds are sent, too
  bool one_store = false;      ///< a write-back is one store, as on silicon
  bool single_bursts = false;  ///< bursts of 1 only
  bool forgetful = false;      ///< the application loses frames, which the explorer must detect
};

/// The possible steps. Each is atomic: a call of the driver runs between two steps of the card, and a store of the card
/// happens between two calls of the driver.
enum class Step : std::uint8_t {
  // The receiving card.
  rx_see_tail,
  rx_fetch,
  rx_fill_whole,  ///< fills a buffer with a whole frame, or with its first or second half
  rx_fill_bad,
  rx_fill_first,
  rx_fill_last,
  // The stores of a write-back, unless it is one store.
  rx_store_descriptor,    ///< the whole write-back without DD
  rx_store_status,        ///< the status word with DD
  rx_store_status_again,  ///< the status word again, as if the store were repeated
  // The driver, called by the application.
  rx_burst_1,
  rx_burst_3,
  rx_burst_8,
  drop_oldest,  ///< frees to the cache
  drop_newest,  ///< frees to the pool's shared list
  forward_1,
  forward_3,
  send_1,
  send_3,
  send_chain,
  send_mixed,     ///< a frame in one buffer, one that must be dropped, and a chain
  send_request,   ///< a frame with an offload request
  send_requests,  ///< two frames with requests of two other kinds
  tx_done_cleanup,
  // The sending card.
  tx_see_tail,
  tx_fetch,
  tx_send,
  tx_report,
};
inline constexpr std::uint32_t kSteps = static_cast<std::uint32_t>(Step::tx_report) + 1;

[[nodiscard]] std::string to_string(Step step);

}  // namespace pollux::test
