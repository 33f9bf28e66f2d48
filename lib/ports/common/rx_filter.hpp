// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <optional>

#include "base/compiler.hpp"
#include "net/frame_size.hpp"
#include "pollux/net/link.hpp"
#include "ports/common/drops.hpp"

namespace pollux::ports {

/// Decides which frames a port receives. The control thread writes it; polling threads read it.
class RxFilter {
 public:
  void set_mac(const MacAddress& mac) noexcept { mac_.store(pack(mac.data()), std::memory_order_relaxed); }
  void set_promiscuous(bool on) noexcept { promiscuous_.store(on, std::memory_order_relaxed); }
  void set_all_multicast(bool on) noexcept { all_multicast_.store(on, std::memory_order_relaxed); }
  void set_mtu(std::uint32_t mtu) noexcept { longest_.store(frame_bytes(mtu), std::memory_order_relaxed); }

  /// Length of the longest frame, in bytes.
  [[nodiscard]] std::uint32_t longest() const noexcept { return longest_.load(std::memory_order_relaxed); }

  /// Whether the MAC address is a multicast address. The broadcast address is not.
  [[nodiscard]] static bool is_multicast(const std::uint8_t* destination) noexcept {
    return (destination[0] & 1) != 0 && pack(destination) != kBroadcast;
  }

  /// The settings during a burst, for frames of the most common kinds.
  struct Burst {
    std::uint64_t above;  ///< ones above an address
    std::uint64_t mac;    ///< the address, with ones above it
    std::uint32_t longest;
    bool promiscuous;

    /// Whether a frame is received and is no multicast. Its first eight bytes are at `frame`. False does not mean that
    /// it is dropped.
    [[nodiscard]] POLLUX_ALWAYS_INLINE bool is_common(const std::uint8_t* frame, std::uint32_t bytes) const noexcept {
      if (bytes > longest) return false;
      std::uint64_t address;
      std::memcpy(&address, frame, sizeof address);
      address |= above;
      return address == mac || address == ~std::uint64_t{0} || (promiscuous && (address & 1) == 0);
    }
  };
  [[nodiscard]] Burst for_burst() const noexcept {
    const std::uint64_t above = opaque(~kBroadcast);  // a constant would be loaded again for each frame
    return {.above = above,
            .mac = mac_.load(std::memory_order_relaxed) | above,
            .longest = longest(),
            .promiscuous = promiscuous_.load(std::memory_order_relaxed)};
  }

  /// The reason to drop a frame of `bytes` bytes; nullopt if it is received. Its first six bytes are at `destination`.
  [[nodiscard]] std::optional<RxDrop> drop_reason(const std::uint8_t* destination, std::uint32_t bytes) const noexcept {
    if (bytes > longest()) return RxDrop::too_long;
    if (promiscuous_.load(std::memory_order_relaxed)) return std::nullopt;
    const std::uint64_t address = pack(destination);
    if (address == mac_.load(std::memory_order_relaxed) || address == kBroadcast) return std::nullopt;
    if (is_multicast(destination) && all_multicast_.load(std::memory_order_relaxed)) return std::nullopt;
    return RxDrop::filtered;
  }

 private:
  static constexpr std::uint64_t kBroadcast = 0xFFFFFFFFFFFF;

  [[nodiscard]] static std::uint64_t pack(const std::uint8_t* mac) noexcept {
    std::uint64_t packed = 0;
    std::memcpy(&packed, mac, 6);
    return packed;
  }

  std::atomic<std::uint64_t> mac_{0};
  std::atomic<std::uint32_t> longest_{frame_bytes(1500)};
  std::atomic<bool> promiscuous_{false};
  std::atomic<bool> all_multicast_{false};
};

}  // namespace pollux::ports
