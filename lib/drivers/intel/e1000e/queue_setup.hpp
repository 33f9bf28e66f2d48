// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "drivers/intel/e1000e/card.hpp"
#include "drivers/intel/queue/queue_set.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "net/queue_caches.hpp"
#include "pollux/net/rss.hpp"

namespace pollux::drivers::e1000e {

/// That of RCTL without LPE.
inline constexpr std::uint32_t kUsualMtu = 1500;

/// Programs a transmit ring. Errors: device_removed, device_fault.
[[nodiscard]] Result<void> program_transmit(const E1000eCard& card, std::uint32_t queue, const intel::Ring& ring);
/// Lets all transmit queues send.
void enable_transmit(const E1000eCard& card);

/// Programs the first receive rings, for extended descriptors. Errors: device_removed, device_fault.
[[nodiscard]] Result<void> program_receive(const E1000eCard& card, std::uint32_t queues,
                                           const intel::RingMemory& rings);
/// Hands the filled rings to the card, which receives. Errors: device_removed, device_fault.
[[nodiscard]] Result<void> arm_receive(const E1000eCard& card, intel::QueueSet& queues, std::uint32_t count);

/// The types of frames that the card can hash.
inline constexpr std::uint32_t kHashTypes = RssTypes::ipv4 | RssTypes::tcp_ipv4 | RssTypes::ipv6 | RssTypes::tcp_ipv6;
void write_rss(const E1000eCard& card, const RssConfig& config);

/// The vectors that threads can sleep with: one for each receive queue, and one for other causes.
inline constexpr unsigned kVectors = 3;
/// Enables the vectors of the first `count` receive queues, and that of the link. Without vectors it does nothing.
void enable_interrupts(const E1000eCard& card, intel::QueueSet& queues, std::uint32_t count);
/// Lets the next change of the link raise an interrupt.
void acknowledge_interrupts(const E1000eCard& card, intel::QueueSet& queues);

/// Lets the card receive, as the settings say.
void write_receive_control(const E1000eCard& card, const PlacedSettings& settings);

}  // namespace pollux::drivers::e1000e
