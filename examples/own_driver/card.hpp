// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include <pollux/device/device_model.hpp>

#include "own_driver/registers.hpp"

namespace own_driver {

/// The card's model, which `sim:0?card=toy` opens.
class Card final : public pollux::DeviceModel {
 public:
  explicit Card(unsigned number) : number_(number) { reset(); }

  [[nodiscard]] pollux::PciIdentity identity() const override { return {.vendor = kVendor, .device = kDevice}; }
  [[nodiscard]] std::size_t bar_size(unsigned index) const override { return index == 0 ? kBarBytes : 0; }
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override;
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override;
  void set_dma(pollux::ModelDma*) noexcept override {}
  void reset() noexcept override;
  void advance(pollux::Duration) noexcept override {}
  [[nodiscard]] pollux::Duration next_event() const noexcept override { return pollux::Duration::max(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return 0; }
  void on_interrupt(std::function<void(unsigned)>) override {}
  void on_transmit(WireHandler handler) override { wire_ = std::move(handler); }
  void receive(std::span<const std::byte> frame) noexcept override;
  void set_carrier(bool present) noexcept override { carrier_ = present; }

 private:
  static constexpr std::size_t kWaiting = 64;  // frames; any more are lost, as on a real card

  [[nodiscard]] std::uint32_t next_word() noexcept;

  unsigned number_;
  std::uint32_t address_low_ = 0;
  std::uint32_t address_high_ = 0;
  bool enabled_ = false;
  bool carrier_ = false;
  std::vector<std::uint32_t> writing_;
  std::deque<std::vector<std::byte>> waiting_;
  std::size_t read_ = 0;  // bytes already read of the first waiting frame
  WireHandler wire_;
};

}  // namespace own_driver
