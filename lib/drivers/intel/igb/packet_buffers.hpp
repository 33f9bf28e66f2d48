// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/port_config.hpp"

namespace pollux::drivers::igb {

/// [I-PACKETBUFFER] The sizes that the packet buffers may have.
[[nodiscard]] PacketBufferLimits packet_buffer_limits(const hw::igb::CardTraits& card) noexcept;

/// The sizes of a card's packet buffers. A port whose configurations leave them as they are accesses no register for
/// them. `card` outlives the object.
class PacketBufferSizes {
 public:
  explicit PacketBufferSizes(const Card& card) noexcept : card_(card) {}

  /// Sets the sizes. A size of 0 is the one that the card had before the first change. While nothing is received or
  /// sent, since no source says what happens to frames in the buffers.
  void write(const PacketBuffers& sizes);
  /// Sets the sizes that the card had before the first change, if there was one.
  void restore() { write({}); }
  /// The size of the receive buffer once `sizes` are set. 0: the card was removed.
  [[nodiscard]] std::uint32_t receive_bytes(const PacketBuffers& sizes) const;

 private:
  struct Initial {
    reg::RXPBS::Value receive;
    reg::TXPBS::Value transmit;
  };

  const Card& card_;
  std::optional<Initial> initial_;  // since the first change
};

}  // namespace pollux::drivers::igb
