// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "pollux/base/api.hpp"

namespace pollux {

/// Frames that a receive queue dropped, by reason. Written by the polling thread, read by any thread.
struct POLLUX_API RxDrops {
  std::uint64_t filtered = 0;           ///< addressed to another station, and the port is not promiscuous
  std::uint64_t too_short = 0;          ///< shorter than an Ethernet header
  std::uint64_t too_long = 0;           ///< longer than the MTU allows
  std::uint64_t truncated = 0;          ///< the capture file has only a part of the frame
  std::uint64_t bad_offload = 0;        ///< its checksum or segmentation request does not fit it
  std::uint64_t bad_length = 0;         ///< a length above its buffer's size, or done with length 0 for many polls
  std::uint64_t error = 0;              ///< the card reported a bad frame, never a wrong checksum
  std::uint64_t pool_empty = 0;         ///< the pool had no replacement, so the frame's buffer was armed again
  std::uint64_t too_many_segments = 0;  ///< a frame in more buffers than PortLimits::max_rx_segments
  std::uint64_t stopped = 0;            ///< arrived, but the port stopped before the queue was polled
  std::uint64_t removed = 0;            ///< arrived, but the card was removed or failed before the queue was polled

  /// All reasons together.
  [[nodiscard]] std::uint64_t sum() const noexcept;
};

/// Frames that a transmit queue took and dropped, by reason. Written by the sending thread, read by any thread.
struct POLLUX_API TxDrops {
  std::uint64_t too_short = 0;          ///< below PortLimits::min_frame
  std::uint64_t too_long = 0;           ///< longer than a frame of PortLimits::max_mtu, or than OffloadLimits::max_tso
  std::uint64_t too_many_segments = 0;  ///< more mbufs or descriptors than the card takes for one frame, or a frame to
                                        ///< be cut into more segments or datagrams than OffloadLimits says
  std::uint64_t bad_segment = 0;        ///< an empty segment, or data outside its buffer
  std::uint64_t unreachable = 0;        ///< memory that the card cannot read, or an mbuf of another Context
  std::uint64_t unsupported_offload = 0;  ///< the offload request is not within OffloadLimits
  std::uint64_t bad_offload = 0;          ///< the offload request does not match the frame's bytes
  std::uint64_t unfit_headers = 0;        ///< headers to be segmented, longer than max_tso_headers or not in one mbuf
  std::uint64_t shared_checksum = 0;      ///< a checksum would have to be written into data that other mbufs share
  std::uint64_t no_headroom = 0;          ///< no room for a VLAN tag in front of the data, or other mbufs share it
  std::uint64_t no_receiver = 0;          ///< the other end is not started
  std::uint64_t no_file = 0;              ///< the port was opened without a file to write
  std::uint64_t write_failed = 0;         ///< the system call that writes the frame failed
  std::uint64_t stopped = 0;              ///< the port stopped before the card reported the frame sent
  std::uint64_t removed = 0;              ///< the card was removed or failed before it reported the frame sent

  /// All reasons together.
  [[nodiscard]] std::uint64_t sum() const noexcept;
  /// Those that the queue refused.
  [[nodiscard]] std::uint64_t rejected() const noexcept { return sum() - stopped - removed; }
};

/// A reason, such as `&RxDrops::too_long`.
///@{
using RxDrop = std::uint64_t RxDrops::*;
using TxDrop = std::uint64_t TxDrops::*;
///@}

/// All reasons, with their names in Stats::drops.
inline constexpr std::array<std::pair<RxDrop, std::string_view>, 11> kRxDrops{
    {{&RxDrops::filtered, "rx_filtered"},
     {&RxDrops::too_short, "rx_too_short"},
     {&RxDrops::too_long, "rx_too_long"},
     {&RxDrops::truncated, "rx_truncated"},
     {&RxDrops::bad_offload, "rx_bad_offload"},
     {&RxDrops::bad_length, "rx_bad_length"},
     {&RxDrops::error, "rx_error"},
     {&RxDrops::pool_empty, "rx_pool_empty"},
     {&RxDrops::too_many_segments, "rx_too_many_segments"},
     {&RxDrops::stopped, "rx_stopped"},
     {&RxDrops::removed, "rx_removed"}}};
/// The same for sending.
inline constexpr std::array<std::pair<TxDrop, std::string_view>, 15> kTxDrops{
    {{&TxDrops::too_short, "tx_too_short"},
     {&TxDrops::too_long, "tx_too_long"},
     {&TxDrops::too_many_segments, "tx_too_many_segments"},
     {&TxDrops::bad_segment, "tx_bad_segment"},
     {&TxDrops::unreachable, "tx_unreachable"},
     {&TxDrops::unsupported_offload, "tx_unsupported_offload"},
     {&TxDrops::bad_offload, "tx_bad_offload"},
     {&TxDrops::unfit_headers, "tx_unfit_headers"},
     {&TxDrops::shared_checksum, "tx_shared_checksum"},
     {&TxDrops::no_headroom, "tx_no_headroom"},
     {&TxDrops::no_receiver, "tx_no_receiver"},
     {&TxDrops::no_file, "tx_no_file"},
     {&TxDrops::write_failed, "tx_write_failed"},
     {&TxDrops::stopped, "tx_stopped"},
     {&TxDrops::removed, "tx_removed"}}};
static_assert(sizeof(RxDrops) == kRxDrops.size() * sizeof(std::uint64_t));
static_assert(sizeof(TxDrops) == kTxDrops.size() * sizeof(std::uint64_t));

/// Why a port drains its rings. The reason decides under which counter the frames in them are counted.
enum class DrainReason : std::uint8_t {
  stopped,  ///< the port was stopped
  removed,  ///< the card was removed or has failed
};

}  // namespace pollux
