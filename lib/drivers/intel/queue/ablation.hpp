// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// Parts of the hot path that a benchmark can leave out at compile time, one at a time, to measure what each costs or
/// gains (-DPOLLUX_WITHOUT=look_ahead; docs/performance.md has the figures). The library contains all of them.
namespace pollux::drivers::intel::ablation {

enum class Part {
  none,
  checks,           ///< checks of length, status bits, pool and `special`; every frame takes the fast path
  raw_words,        ///< copying the write-back to the mbuf, for hash, type, VLAN and checksum status
  look_ahead,       ///< prefetching frame data
  doorbell_groups,  ///< RDT once a group instead of once a burst
  burst_of_one,     ///< the shortcut for exactly one frame
  packet_count,     ///< Stats::rx_burst_packets and tx_burst_packets
  recycling,        ///< returning a group of direct, single-segment mbufs as pointers, without reading the mbufs
};

#ifdef POLLUX_WITHOUT
inline constexpr Part kLeftOut = Part::POLLUX_WITHOUT;
#else
inline constexpr Part kLeftOut = Part::none;
#endif

[[nodiscard]] constexpr bool has(Part part) noexcept { return part != kLeftOut; }

}  // namespace pollux::drivers::intel::ablation
