// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::differential {

namespace reg = hw::igb;

/// Two 82576 cards on a wire, with DMA memory and without a driver. Both are in-process models, or both are QEMU's. The
/// memory has the same IOVA for both kinds.
class Fixture {
 public:
  static constexpr unsigned kCards = 2;
  static constexpr std::size_t kMemory = std::size_t{8} << 20;

  [[nodiscard]] static std::unique_ptr<Fixture> of_model();
  [[nodiscard]] static std::unique_ptr<Fixture> of_qemu();

  [[nodiscard]] std::string_view name() const { return name_; }
  [[nodiscard]] Device& card(unsigned which) { return *cards_[which]; }
  [[nodiscard]] const Bar& bar(unsigned which) const { return bars_[which]; }
  [[nodiscard]] std::uint32_t read(unsigned which, std::uint32_t offset) const { return bars_[which].read32(offset); }
  void write(unsigned which, std::uint32_t offset, std::uint32_t value) const { bars_[which].write32(offset, value); }
  [[nodiscard]] reg::Registers registers(unsigned which) const { return reg::Registers(bars_[which]); }
  /// The same eventfds as Device::enable_interrupts.
  [[nodiscard]] std::span<const int> events(unsigned which) const { return events_[which]; }

  /// Completes all requested actions.
  void settle();
  /// Resets both cards, and enables bus mastering and all interrupt vectors.
  void reset();
  /// Brings the link of both cards up. A reset takes it down.
  void raise_link();

  [[nodiscard]] std::byte* memory() const { return memory_.segments()[0].address; }
  [[nodiscard]] std::uint64_t iova() const { return memory_.segments()[0].iova; }

 private:
  Fixture(std::string_view name, std::string_view scheme, std::shared_ptr<Clock> clock);
  void write_phy(unsigned which, std::uint32_t number, std::uint32_t value);

  std::string_view name_;
  std::shared_ptr<Clock> clock_;
  Context context_;
  DmaMemory memory_;
  std::array<std::unique_ptr<Device>, kCards> cards_;
  std::array<Bar, kCards> bars_;
  std::array<std::span<const int>, kCards> events_;
};

}  // namespace pollux::differential
