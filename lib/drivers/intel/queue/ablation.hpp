// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// What a benchmark may compile the hot path without, one part at a time, to show what that part costs or gains
/// (-DPOLLUX_WITHOUT=look_ahead; docs/performance.md has the figures). The library has them all.
namespace pollux::drivers::intel::ablation {

enum class Part {
  none,
  checks,           ///< lengths, status bits, pool and `special`: frames are taken for plain
  raw_words,        ///< the write-back in the mbuf, which hash, type, VLAN and checksum verdicts are read from
  look_ahead,       ///< prefetching frames that are to come
  doorbell_groups,  ///< RDT once a group instead of once a burst
  burst_of_one,     ///< the short way for exactly one frame
  packet_count,     ///< Stats::rx_burst_packets and tx_burst_packets
  recycling,        ///< groups of plain frames go back as pointers, without a look at each mbuf
};

#ifdef POLLUX_WITHOUT
inline constexpr Part kLeftOut = Part::POLLUX_WITHOUT;
#else
inline constexpr Part kLeftOut = Part::none;
#endif

[[nodiscard]] constexpr bool has(Part part) noexcept { return part != kLeftOut; }

}  // namespace pollux::drivers::intel::ablation
