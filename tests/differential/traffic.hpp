// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "differential/fixture.hpp"
#include "differential/frames.hpp"
#include "differential/observation.hpp"
#include "differential/seed.hpp"

namespace pollux::differential {

/// The receiving card's configuration for a round.
struct ReceiverPlan {
  static constexpr std::uint32_t kQueues = 4;

  std::uint32_t rctl = 0;
  std::uint32_t ctrl = 0;
  std::uint32_t rxcsum = 0;
  std::uint32_t rlpml = 0;
  std::uint32_t mrqc = 0;
  std::uint32_t vet = 0x8100;
  std::array<std::uint32_t, 32> reta{};
  std::array<std::uint32_t, 10> rssrk{};
  std::array<std::uint32_t, kQueues> srrctl{};
  std::array<bool, 4> exact{};   ///< which of kAddresses are in the exact filter
  std::array<bool, 4> hashed{};  ///< which of kAddresses have their bit set in the multicast table
  std::array<bool, 3> vlans{};   ///< which of kVlans are in the VLAN filter
  std::array<std::uint32_t, kQueues> vector{};
};

/// A frame to send, the number of its buffers, and whether the card must report its completion.
struct SendPlan {
  Bytes frame;
  std::uint32_t buffers = 1;
  bool report = true;
};

/// A round of traffic: card 0 sends, card 1 receives.
struct Round {
  ReceiverPlan receiver;
  std::vector<SendPlan> frames;
};

[[nodiscard]] Round random_round(Random& random);

/// Configures the cards, sends the frames, and observes the results: descriptors, frames, heads and tails, interrupt
/// causes, events and counters.
[[nodiscard]] Observations run_round(Fixture& fixture, const Round& round);

}  // namespace pollux::differential
