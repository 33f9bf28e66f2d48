// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pollux::ports {

/// Why a software port threw a received frame away.
enum class RxDrop : std::uint8_t {
  filtered,     ///< for somebody else, and the port is not promiscuous
  too_short,    ///< less than an Ethernet header
  too_long,     ///< longer than the MTU allows
  truncated,    ///< the capture has only a part of it
  stopped,      ///< arrived, but the port was stopped before anyone polled
  bad_offload,  ///< its checksum is said to be partial where the frame has no bytes
};
inline constexpr std::array<std::string_view, 6> kRxDropNames{"rx_filtered",  "rx_too_short", "rx_too_long",
                                                              "rx_truncated", "rx_stopped",   "rx_bad_offload"};

/// Why a software port threw a frame away that it took for sending.
enum class TxDrop : std::uint8_t {
  too_short,
  too_long,
  too_many_segments,
  bad_segment,          ///< an empty segment, or data outside its buffer
  unreachable,          ///< an mbuf of another Context
  unsupported_offload,  ///< asks for more than OffloadLimits has
  bad_offload,          ///< asks for what does not fit its bytes
  no_receiver,          ///< nobody is at the other end
  no_file,              ///< the port was opened without a file to write
  write_failed,         ///< the system refused the frame
};
inline constexpr std::array<std::string_view, 10> kTxDropNames{
    "tx_too_short",           "tx_too_long",    "tx_too_many_segments", "tx_bad_segment", "tx_unreachable",
    "tx_unsupported_offload", "tx_bad_offload", "tx_no_receiver",       "tx_no_file",     "tx_write_failed"};

/// Those that any software port may have to count.
inline constexpr std::array kCommonTxDrops{TxDrop::too_short,   TxDrop::too_long,    TxDrop::too_many_segments,
                                           TxDrop::bad_segment, TxDrop::unreachable, TxDrop::unsupported_offload,
                                           TxDrop::bad_offload};

struct RxCounters {
  std::uint64_t packets = 0;     ///< arrived, dropped ones included
  std::uint64_t bytes = 0;       ///< of those, without FCS
  std::uint64_t multicast = 0;   ///< of those, without broadcasts
  std::uint64_t handed_out = 0;  ///< by rx_burst
  std::uint64_t errors = 0;      ///< what should have been a frame and was none
  std::array<std::uint64_t, kRxDropNames.size()> drops{};
};

struct TxCounters {
  std::uint64_t taken = 0;  ///< by tx_burst, dropped ones included
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;  ///< of those sent, without FCS
  std::array<std::uint64_t, kTxDropNames.size()> drops{};
};

}  // namespace pollux::ports
