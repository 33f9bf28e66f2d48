// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pollux::ports {

/// Reasons for which a software port drops a received frame.
enum class RxDrop : std::uint8_t {
  filtered,     ///< addressed to another station, and the port is not promiscuous
  too_short,    ///< shorter than an Ethernet header
  too_long,     ///< longer than the MTU allows
  truncated,    ///< the capture file has only a part of the frame
  stopped,      ///< the frame was still waiting when the port was stopped
  bad_offload,  ///< its checksum or segmentation request does not fit it
};
inline constexpr std::array<std::string_view, 6> kRxDropNames{"rx_filtered",  "rx_too_short", "rx_too_long",
                                                              "rx_truncated", "rx_stopped",   "rx_bad_offload"};

/// Reasons for which a software port drops a frame that tx_burst accepted.
enum class TxDrop : std::uint8_t {
  too_short,
  too_long,
  too_many_segments,
  bad_segment,          ///< an empty segment, or data outside its buffer
  unreachable,          ///< the mbuf belongs to another Context
  unsupported_offload,  ///< requests an offload that OffloadLimits does not list
  bad_offload,          ///< the offload request does not match the frame
  no_receiver,          ///< the other end is not started
  no_file,              ///< the port was opened without a file to write
  write_failed,         ///< the system call that writes the frame failed
};
inline constexpr std::array<std::string_view, 10> kTxDropNames{
    "tx_too_short",           "tx_too_long",    "tx_too_many_segments", "tx_bad_segment", "tx_unreachable",
    "tx_unsupported_offload", "tx_bad_offload", "tx_no_receiver",       "tx_no_file",     "tx_write_failed"};

/// The reasons that every software port counts.
inline constexpr std::array kCommonTxDrops{TxDrop::too_short,   TxDrop::too_long,    TxDrop::too_many_segments,
                                           TxDrop::bad_segment, TxDrop::unreachable, TxDrop::unsupported_offload,
                                           TxDrop::bad_offload};

struct RxCounters {
  std::uint64_t packets = 0;     ///< frames that arrived, including dropped ones
  std::uint64_t bytes = 0;       ///< bytes of `packets`, without FCS
  std::uint64_t multicast = 0;   ///< multicast frames of `packets`, without broadcasts
  std::uint64_t handed_out = 0;  ///< frames that rx_burst returned
  std::uint64_t errors = 0;      ///< malformed records in place of frames
  std::array<std::uint64_t, kRxDropNames.size()> drops{};
};

struct TxCounters {
  std::uint64_t taken = 0;  ///< frames that tx_burst accepted, including dropped ones
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;  ///< bytes of `sent`, without FCS
  std::array<std::uint64_t, kTxDropNames.size()> drops{};
};

}  // namespace pollux::ports
