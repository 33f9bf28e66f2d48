// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "net/frame_size.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "pollux/net/settings.hpp"

namespace pollux::drivers::paravirtual {

/// The VLANs that a device in promiscuous mode should pass, whose own filter then passes all (virtio 5.1.6.5.1; QEMU,
/// hw/net/vmxnet3.c, vmxnet3_rx_filter_may_indicate). The control thread writes it; polling threads read it.
class VlansInSoftware {
 public:
  /// nullptr: all frames pass, by this filter. It applies from the next frame on.
  void set(const VlanSet* vlans) noexcept {
    for (std::size_t vlan = 0; vlans != nullptr && vlan < kVlans; vlan += 64) {
      std::uint64_t word = 0;
      for (std::size_t bit = 0; bit < 64; ++bit) word |= std::uint64_t{(*vlans)[vlan + bit]} << bit;
      words_[vlan / 64].store(word, std::memory_order_relaxed);
    }
    active_.store(vlans != nullptr, std::memory_order_relaxed);
  }
  [[nodiscard]] bool active() const noexcept { return active_.load(std::memory_order_relaxed); }
  /// By a frame's tag. VLAN 0 is a priority alone, and passes.
  [[nodiscard]] bool passes(std::uint32_t tag) const noexcept {
    const std::uint32_t vlan = tag & (kVlans - 1);
    return vlan == 0 || (words_[vlan / 64].load(std::memory_order_relaxed) >> vlan % 64 & 1) != 0;
  }
  /// Frames without a tag pass, too.
  [[nodiscard]] bool passes(std::span<const std::uint8_t> frame) const noexcept {
    constexpr std::size_t kTagged = kEthernetHeaderBytes + kVlanTagBytes;
    if (frame.size() < kTagged || packet::load16(&frame[12]) != packet::ether_type::kVlan) return true;
    return passes(packet::load16(&frame[14]));
  }

 private:
  static constexpr std::uint32_t kVlans = 4096;
  std::atomic<bool> active_{false};
  std::array<std::atomic<std::uint64_t>, kVlans / 64> words_{};
};

}  // namespace pollux::drivers::paravirtual
