// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_packet.h>

#include "mapped_side.hpp"
#include "packet_socket.hpp"

namespace baselines {

/// A packet socket with a ring of slots that is shared with the kernel. A slot holds a header and a frame; the header's
/// status tells who owns the slot. Linux, Documentation/networking/packet_mmap.rst.
///
/// The header format is TPACKET_V2. TPACKET_V3 delivers received frames in blocks, when a block is full or after at
/// least a millisecond, so most of the counted instructions would be waiting. For sending, V3 has the same ring as V2.
class PacketRing {
 public:
  enum class Use : std::uint8_t { kReceive, kSend };

  PacketRing(const std::string& interface, Use use);
  PacketRing(const PacketRing&) = delete;
  PacketRing& operator=(const PacketRing&) = delete;
  ~PacketRing();

  static constexpr std::uint32_t kSlots = 512;
  static constexpr std::uint32_t kSlotSize = 2048;

  [[nodiscard]] const PacketSocket& socket() const noexcept { return socket_; }
  /// Positions are free-running; the ring's size is applied here.
  [[nodiscard]] tpacket2_hdr* slot(std::uint32_t position) const noexcept {
    return reinterpret_cast<tpacket2_hdr*>(memory_ + std::size_t{position % kSlots} * kSlotSize);
  }
  static std::uint32_t status(const tpacket2_hdr* slot) noexcept {
    return __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
  }
  static void set_status(tpacket2_hdr* slot, std::uint32_t status) noexcept {
    __atomic_store_n(&slot->tp_status, status, __ATOMIC_RELEASE);
  }

 private:
  PacketSocket socket_;
  std::uint8_t* memory_ = nullptr;
};

/// Both rings of an interface. Each has its own socket, so that options for sending do not affect receiving, and the
/// sending socket receives no frames.
class PacketRings {
 public:
  explicit PacketRings(const std::string& interface);

  std::uint32_t send(const Frame& data, std::uint32_t count) noexcept;
  std::uint32_t receive(std::uint32_t limit) noexcept;

 private:
  void write(const Frame& data, std::uint32_t count) noexcept;

  PacketRing rx_, tx_;
  std::uint32_t next_rx_ = 0;
  std::uint32_t next_tx_ = 0;
  std::uint32_t waiting_ = 0;  ///< slots from next_tx_ on that are written, but not yet taken by the kernel
};

using AfPacketRingSide = MappedSide<PacketRings>;

}  // namespace baselines
