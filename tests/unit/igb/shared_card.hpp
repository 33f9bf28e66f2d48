// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "device/device_handover.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {

/// One of two programs' views of a card.
class SharedCard final : public Device, private DeviceHandover {
 public:
  SharedCard(std::shared_ptr<Device> card, bool is_shared) : card_(std::move(card)), is_shared_(is_shared) {}

  const std::string& name() const override { return card_->name(); }
  PciIdentity identity() const override { return card_->identity(); }
  int numa_node() const override { return card_->numa_node(); }
  Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    return card_->read_config(offset, width);
  }
  Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    return card_->write_config(offset, width, value);
  }
  Result<Bar> bar(unsigned index) override { return card_->bar(index); }
  Result<void> set_bus_master(bool enabled) override { return card_->set_bus_master(enabled); }
  Result<void> reset() override { return card_->reset(); }
  DmaDomain& dma_domain() override { return card_->dma_domain(); }
  unsigned interrupt_vectors() const override { return card_->interrupt_vectors(); }
  Result<std::span<const int>> enable_interrupts(unsigned count) override { return card_->enable_interrupts(count); }
  DeviceHandover* handover() override { return this; }

  std::function<void()> on_exchange;

 private:
  Offer describe() const override { return {.access = "test"}; }
  bool is_shared() const noexcept override { return is_shared_; }
  Result<void> own() override {
    is_shared_ = false;
    return {};
  }
  Result<void> exchange_memory() override {
    if (on_exchange) on_exchange();
    return {};
  }
  void leave() noexcept override {}

  std::shared_ptr<Device> card_;
  bool is_shared_;
};

/// Those that a successor leaves alone.
[[nodiscard]] inline std::vector<std::uint32_t> registers_of_settings() {
  return {reg::CTRL::offset(0), reg::CTRL_EXT::offset(0), reg::MDIC::offset(0),   reg::RCTL::offset(0),
          reg::TCTL::offset(0), reg::RLPML::offset(0),    reg::MRQC::offset(0),   reg::RAL::offset(0),
          reg::RAH::offset(0),  reg::FCRTH::offset(0),    reg::RXCSUM::offset(0), reg::RETA::offset(0)};
}

}  // namespace pollux::drivers::igb
