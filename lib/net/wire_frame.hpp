// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/mem/mbuf.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux {

/// VLAN tags that a frame has on the wire, and not in its mbuf.
struct WireTags {
  std::uint16_t offset = 12;  ///< bytes of the mbuf before them
  std::uint16_t bytes = 0;    ///< 0, 4 or 8
  std::array<std::uint8_t, 8> data{};

  void add(std::uint16_t ether_type, std::uint16_t tag) noexcept;
};

/// Of a received frame: the tag that the card has stripped. The metadata of a bad frame says nothing.
[[nodiscard]] WireTags stripped_tags(const Mbuf& frame) noexcept;
/// Of a frame to send: the tags that its offload request inserts.
[[nodiscard]] WireTags requested_tags(const Mbuf& frame) noexcept;

/// Reads a frame as it is on the wire. `frame` outlives it.
class WireFrame {
 public:
  WireFrame(const Mbuf& frame, const WireTags& tags) noexcept : frame_(frame), tags_(tags) {}

  [[nodiscard]] bool is_as_stored() const noexcept { return tags_.bytes == 0; }
  [[nodiscard]] std::uint32_t length() const noexcept { return frame_.packet_length() + tags_.bytes; }
  /// As Mbuf::copy_out.
  [[nodiscard]] std::size_t copy_out(std::size_t offset, std::span<std::uint8_t> out) const noexcept;
  [[nodiscard]] packet::Layout parse() const noexcept;

 private:
  const Mbuf& frame_;
  WireTags tags_;
};

}  // namespace pollux
