// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstring>

#include "hw/igb/descriptors.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;

/// The card's way to memory. Off while the bus forbids mastering or CTRL.GIO_MASTER_DISABLE has taken effect.
class Dma {
 public:
  void connect(ModelDma* port) noexcept { port_ = port; }
  void set_master_enabled(bool enabled) noexcept { enabled_ = enabled; }
  [[nodiscard]] bool active() const noexcept { return port_ != nullptr && enabled_; }

  /// The memory at `iova`, or nullptr: not mapped, which is counted, or the card is no bus master.
  [[nodiscard]] std::byte* reach(std::uint64_t iova, std::size_t length) noexcept {
    if (!active()) return nullptr;
    std::byte* const memory = port_->translate(iova, length);
    if (memory == nullptr) ++refused_;
    return memory;
  }

  /// Reads of a descriptor that software may be writing are its own risk; what the card writes appears low word first
  /// and the high one, with the done bit, as a whole.
  [[nodiscard]] static hw::Descriptor load(const std::byte* memory) noexcept {
    hw::Descriptor descriptor;
    std::memcpy(&descriptor, memory, sizeof descriptor);
    return descriptor;
  }
  static void store(std::byte* memory, const hw::Descriptor& descriptor) noexcept {
    std::memcpy(memory, &descriptor.lo, sizeof descriptor.lo);
    store_high(memory, descriptor.hi);
  }
  static void store_high(std::byte* memory, std::uint64_t high) noexcept {
    // Rings are 128-byte aligned and descriptors 16, whatever software says of its base.
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(memory + 8), high, __ATOMIC_RELEASE);
  }

  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  ModelDma* port_ = nullptr;
  bool enabled_ = true;
  std::uint64_t refused_ = 0;
};

}  // namespace pollux::models::igb
