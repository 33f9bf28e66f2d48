// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "pollux/net/drops.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// Decides in software which frames a port receives. The control thread writes it; polling threads read it.
class RxFilter {
 public:
  /// An Ethernet header with one VLAN tag, which the MTU does not include.
  static constexpr std::uint32_t kHeaderBytes = 18;

  /// Settings, by the control thread. They apply from the next frame on.
  ///@{
  void set_mac(const MacAddress& mac) noexcept { mac_.store(pack(mac.data()), std::memory_order_relaxed); }
  void set_promiscuous(bool on) noexcept { compared_.store(on ? kGroup : kBroadcast, std::memory_order_relaxed); }
  void set_all_multicast(bool on) noexcept { all_multicast_.store(on, std::memory_order_relaxed); }
  void set_mtu(std::uint32_t mtu) noexcept { longest_.store(mtu + kHeaderBytes, std::memory_order_relaxed); }
  ///@}

  /// Length of the longest frame, in bytes.
  [[nodiscard]] std::uint32_t longest() const noexcept { return longest_.load(std::memory_order_relaxed); }
  /// The address, as `pack` returns it.
  [[nodiscard]] std::uint64_t mac() const noexcept { return mac_.load(std::memory_order_relaxed); }
  /// Whether all unicast addresses pass.
  [[nodiscard]] bool promiscuous() const noexcept { return compared() == kGroup; }
  /// Whether all multicasts pass.
  [[nodiscard]] bool takes_multicasts() const noexcept {
    return promiscuous() || all_multicast_.load(std::memory_order_relaxed);
  }
  /// A frame whose destination equals `mac` in these bits passes, and is no multicast.
  [[nodiscard]] std::uint64_t compared() const noexcept { return compared_.load(std::memory_order_relaxed); }

  /// The six bytes of an address in the lower bits of a word.
  [[nodiscard]] static std::uint64_t pack(const std::uint8_t* mac) noexcept {
    std::uint64_t packed = 0;
    std::memcpy(&packed, mac, 6);
    return packed;
  }
  static constexpr std::uint64_t kBroadcast = 0xFFFFFFFFFFFF;  ///< as `pack` returns it
  /// Whether the address in the lower bits of a word, whatever its upper ones are, is the broadcast address.
  [[nodiscard]] static bool is_broadcast(std::uint64_t word) noexcept { return ~word << 16 == 0; }
  /// Whether it is that of a group: a multicast or the broadcast address.
  [[nodiscard]] static bool is_group(std::uint64_t word) noexcept { return (word & kGroup) != 0; }
  /// Whether the MAC address is a multicast address. The broadcast address is not.
  [[nodiscard]] static bool is_multicast(const std::uint8_t* destination) noexcept {
    return (destination[0] & 1) != 0 && pack(destination) != kBroadcast;
  }

  /// The reason to drop a frame of `bytes` bytes; nullptr if it is received. Its first six bytes are at `destination`.
  [[nodiscard]] RxDrop drop_reason(const std::uint8_t* destination, std::uint32_t bytes) const noexcept {
    if (bytes > longest()) return &RxDrops::too_long;
    if (promiscuous()) return nullptr;
    const std::uint64_t address = pack(destination);
    if (address == mac() || address == kBroadcast) return nullptr;
    if (is_multicast(destination) && all_multicast_.load(std::memory_order_relaxed)) return nullptr;
    return &RxDrops::filtered;
  }

 private:
  static constexpr std::uint64_t kGroup = 1;  // the bit of multicasts, as `pack` returns it

  std::atomic<std::uint64_t> mac_{0};
  std::atomic<std::uint64_t> compared_{kBroadcast};
  std::atomic<std::uint32_t> longest_{1500 + kHeaderBytes};
  std::atomic<bool> all_multicast_{false};
};

}  // namespace pollux
