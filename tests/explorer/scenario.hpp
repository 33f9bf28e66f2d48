// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace pollux::test {

inline constexpr std::uint32_t kRing = 8;
inline constexpr std::uint32_t kRingMask = kRing - 1;
/// Slots between two doorbells and between two reports on a ring of that size.
inline constexpr std::uint32_t kSlotsInGroup = 2;
inline constexpr std::uint32_t kMostBuffers = 20;
/// The wraps of each ring that are told apart; what comes later is a state that has been there.
inline constexpr std::uint32_t kWraps = 3;

/// What is explored.
struct Scenario {
  bool rx = true;              ///< there is a receive queue
  bool tx = true;              ///< there is a transmit queue
  bool remote = false;         ///< tail registers are functions, their writes posted
  std::uint32_t spare = 2;     ///< buffers beyond those that the receive ring holds
  std::uint32_t hold = 0;      ///< frames that the application may still have when it polls
  std::uint32_t prefetch = 1;  ///< descriptors that a card reads ahead
  std::uint32_t cache = 4;     ///< capacity of the cache
  bool chains = true;          ///< frames in two buffers arrive, too
  bool bad_frames = false;     ///< frames that the card marks bad arrive, too
  bool one_store = false;      ///< a write-back is one store, as on silicon
  bool single_bursts = false;  ///< bursts of 1 only
  bool forgetful = false;      ///< the application loses frames: to see that the explorer finds it
};

/// All that can happen next. Each is atomic: the driver's calls run between the card's steps, and the card's stores
/// fall between the driver's calls.
enum class Step : std::uint8_t {
  // The receiving card.
  rx_see_tail,
  rx_fetch,
  rx_fill_whole,  ///< a frame's bytes, all of it or the first half or the second
  rx_fill_bad,
  rx_fill_first,
  rx_fill_last,
  // Where a write-back is several stores, filling a buffer leaves it to these.
  rx_store_descriptor,    ///< all of the write-back but "done"
  rx_store_status,        ///< the status word, with "done"
  rx_store_status_again,  ///< once more: a store in two pieces of which each is the whole word
  // The driver, called by the application.
  rx_burst_1,
  rx_burst_3,
  rx_burst_8,
  drop_oldest,  ///< into the cache
  drop_newest,  ///< to the pool's shared list
  forward_1,
  forward_3,
  send_1,
  send_3,
  send_chain,
  send_mixed,  ///< a plain frame, one that must be refused, a chain
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
