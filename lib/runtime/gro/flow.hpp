// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "runtime/gro/expected.hpp"
#include "runtime/gro/segment.hpp"

namespace pollux::gro {

/// The limits of a merged frame: bytes, of which 65,535 after the Ethernet header, and mbufs.
inline constexpr std::uint32_t kMaxFrame = 65535 + 14;
inline constexpr std::uint32_t kMaxMbufs = 255;

/// A held frame, to which segments may be appended.
struct Flow : HeaderLayout {
  Mbuf* head = nullptr;  ///< the first segment; the others are its chain
  Mbuf* tail = nullptr;  ///< the last mbuf of that chain
  const std::uint8_t* bytes = nullptr;
  std::uint32_t hash = 0;
  std::uint32_t vlan = 0;
  std::uint32_t next_sequence = 0;
  std::uint32_t length = 0;        ///< bytes of the frame
  std::uint32_t segment_size = 0;  ///< bytes of payload in the first segment
  std::uint16_t count = 0;         ///< segments
  std::uint16_t mbufs = 0;         ///< of the frame; written to `head` at the end, as the length is
  bool has_fixed_id = false;       ///< all segments have the same IPv4 identification
  bool has_fixed_outer_id = false;
  Expected expected;

  explicit Flow() = default;
  explicit Flow(const Segment& first) noexcept;
};

/// The most UDP datagrams of a merged frame, as in Linux.
inline constexpr std::uint32_t kMaxDatagrams = 64;

/// Whether `segment` belongs to the flow: the same Ethernet header, tags, addresses, ports and, in IPv6, flow label and
/// extension headers; in a tunnel the same of that, too.
[[nodiscard]] bool is_of_flow(const Flow& flow, const Segment& segment) noexcept;

/// Appends `segment`, which belongs to the flow, if it may be merged. Takes the mbuf if it returns true.
[[nodiscard]] bool append(Flow& flow, const Segment& segment) noexcept;

/// Appends those at the front of `frames` that are the expected next ones of the flow (Expected), and takes them.
/// Returns the others. None of the appended frames ends the flow. The result is that of `append` for each.
[[nodiscard]] std::span<Mbuf* const> append_run(Flow& flow, std::span<Mbuf* const> frames) noexcept;

/// Whether the flow ends with `last`, which was appended: it is shorter than the others, has a flag that says so, or
/// a UDP flow is full.
[[nodiscard]] bool ends_with(const Flow& flow, const Segment& last) noexcept;

/// Whether others may follow `first`: it has payload, and no flag against that.
[[nodiscard]] bool starts_flow(const Segment& first) noexcept;

/// Makes the frame of the flow complete: lengths, checksums, metadata and offload request.
[[nodiscard]] Mbuf& finish(const Flow& flow) noexcept;

}  // namespace pollux::gro
