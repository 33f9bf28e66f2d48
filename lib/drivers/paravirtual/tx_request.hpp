// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "net/checksums.hpp"
#include "pollux/mem/dma_memory.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

/// What a frame's offload request becomes on a device that computes one checksum, up to the end of the frame.
namespace pollux::drivers::paravirtual {

/// Whether the device reads every segment.
[[nodiscard]] inline bool is_reachable(Mbuf& frame) noexcept {
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (MbufAccess::iova(*segment) >= DmaMemory::kNoIova - segment->capacity()) return false;
  }
  return true;
}

/// A part of what the device sends as one frame.
struct Piece {
  std::uint64_t iova;
  std::uint32_t length;
};

/// The pieces of a frame, at most `kMost`, none of more than `kLongest` bytes.
template <std::uint32_t kMost, std::uint32_t kLongest>
struct Pieces {
  std::array<Piece, kMost> list;
  std::uint32_t count = 0;

  /// False, here and below: these are more than `most`, which is at most kMost.
  bool add(std::uint64_t iova, std::uint32_t length, std::uint32_t most = kMost) noexcept {
    for (std::uint32_t at = 0; at < length; at += std::min(length - at, kLongest)) {
      if (count == most) return false;
      list[count++] = {iova + at, std::min(length - at, kLongest)};
    }
    return true;
  }
  /// A frame without its first `skipped` bytes, which are in its first segment.
  bool add(const Mbuf& frame, std::uint32_t skipped, std::uint32_t most = kMost) noexcept {
    bool fits = true;
    for (const Mbuf* segment = &frame; segment != nullptr && fits; segment = segment->next()) {
      fits = add(segment->data_iova() + skipped, segment->length() - skipped, most);
      skipped = 0;
    }
    return fits;
  }
};

/// The TCP or UDP checksum of a request, if it is the only one.
struct DeviceChecksum {
  std::uint8_t protocol = 0;  ///< 0: there is no such request
  std::uint16_t field = 0;    ///< from the header to the checksum

  explicit DeviceChecksum(const TxOffload& request) noexcept {
    const std::uint32_t wanted = request.flags & TxOffload::kL4Checksums;
    if (wanted == TxOffload::tcp_checksum) {
      protocol = packet::ip_protocol::kTcp;
      field = packet::TcpHeader::kChecksumAt;
    } else if (wanted == TxOffload::udp_checksum) {
      protocol = packet::ip_protocol::kUdp;
      field = packet::UdpHeader::kChecksumAt;
    }
  }
};

/// Computes the IPv4 checksum of a request, if it has one, in a copy of the frame's first `copied` bytes, up to the
/// transport header. Returns false if they do not fit into `copy` or the frame's first mbuf.
[[nodiscard]] inline bool copy_ipv4_header(const Mbuf& frame, const TxOffload& request, std::span<std::uint8_t> copy,
                                           std::uint32_t& copied) noexcept {
  if ((request.flags & TxOffload::ipv4_checksum) == 0) return true;
  const std::uint32_t end = request.l4_offset();
  if (end > copy.size() || end > frame.length()) return false;
  copied = static_cast<std::uint32_t>(frame.copy_out(0, copy.first(end)));
  TxOffload ours = request;
  ours.flags = TxOffload::ipv4_checksum;
  complete_checksums_in(copy.first(end), ours);
  return true;
}

/// Computes a frame's checksums in software. Returns the reason to drop it, or nullptr.
[[nodiscard]] inline TxDrop compute_checksums(Mbuf& frame) noexcept {
  switch (complete_checksums(frame)) {
    case ChecksumCompletion::complete: return nullptr;
    case ChecksumCompletion::bad_request: return &TxDrops::bad_offload;
    case ChecksumCompletion::shared_data: break;
  }
  return &TxDrops::shared_checksum;
}

}  // namespace pollux::drivers::paravirtual
