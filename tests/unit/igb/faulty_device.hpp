// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/sim/device.hpp"
#include "hw/intel/igb/limits.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::igb {

/// The faults of a card, and a record of what was done to it. Shared with the test, since a port owns its device.
struct Faults {
  bool removed = false;  ///< every register reads all ones
  bool removal_wanted = false;
  int error_event = -1;
  /// Answers a read instead of the card. With nullopt, the card answers.
  std::function<std::optional<std::uint32_t>(std::uint32_t offset)> on_read;
  /// Whether to discard a write.
  std::function<bool(std::uint32_t offset, std::uint32_t value)> discards;
  /// Whether to discard a write to configuration space.
  std::function<bool(std::uint32_t offset, std::uint32_t value)> discards_config;
  std::optional<Error> reset_error;
  std::optional<Error> bus_master_error;
  std::optional<Error> interrupt_error;
  std::size_t bar_size = hw::igb::kRegisterBytes;

  unsigned resets = 0;
  bool bus_master = false;
  bool destroyed = false;
  std::uint64_t accesses_asleep = 0;  ///< of destroyed devices, in D3hot
  std::vector<std::pair<std::uint32_t, std::uint32_t>> writes;
  std::vector<int> interrupt_events;  ///< the eventfds of the vectors, by number
};

/// A device in front of another one, with faults.
class FaultyDevice final : public Device, private RemoteRegisters {
 public:
  FaultyDevice(std::unique_ptr<Device> inner, std::shared_ptr<Faults> faults)
      : inner_(std::move(inner)), faults_(std::move(faults)) {}
  ~FaultyDevice() override {
    faults_->destroyed = true;
    if (const auto* const card = dynamic_cast<sim::SimDevice*>(inner_.get())) {
      faults_->accesses_asleep += card->accesses_asleep();
    }
  }

  const std::string& name() const override { return inner_->name(); }
  PciIdentity identity() const override { return inner_->identity(); }
  int numa_node() const override { return inner_->numa_node(); }
  Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    return inner_->read_config(offset, width);
  }
  Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    if (faults_->discards_config && faults_->discards_config(offset, value)) return {};
    return inner_->write_config(offset, width, value);
  }
  Result<Bar> bar(unsigned index) override {
    auto bar = inner_->bar(index);
    if (!bar) return bar;
    window_ = *bar;
    return Bar(static_cast<RemoteRegisters&>(*this), faults_->bar_size);
  }
  Result<void> set_bus_master(bool enabled) override {
    if (faults_->bus_master_error) return tl::unexpected<Error>(*faults_->bus_master_error);
    faults_->bus_master = enabled;
    return inner_->set_bus_master(enabled);
  }
  Result<void> reset() override {
    if (faults_->reset_error) return tl::unexpected<Error>(*faults_->reset_error);
    ++faults_->resets;
    return inner_->reset();
  }
  DmaDomain& dma_domain() override { return inner_->dma_domain(); }
  unsigned interrupt_vectors() const override { return inner_->interrupt_vectors(); }
  Result<std::span<const int>> enable_interrupts(unsigned count) override {
    if (faults_->interrupt_error) return tl::unexpected<Error>(*faults_->interrupt_error);
    auto events = inner_->enable_interrupts(count);
    if (events) faults_->interrupt_events.assign(events->begin(), events->end());
    return events;
  }
  int error_event() const override { return faults_->error_event; }
  bool removed() const override { return faults_->removed || faults_->removal_wanted; }

 private:
  std::uint32_t read32(std::uint32_t offset) noexcept override {
    if (faults_->removed) return ~std::uint32_t{0};
    if (faults_->on_read) {
      if (const auto value = faults_->on_read(offset)) return *value;
    }
    return window_.read32(offset);
  }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override {
    if (faults_->removed) return;
    faults_->writes.emplace_back(offset, value);
    if (faults_->discards && faults_->discards(offset, value)) return;
    window_.write32(offset, value);
  }
  void flush() noexcept override { window_.flush(); }

  std::unique_ptr<Device> inner_;
  std::shared_ptr<Faults> faults_;
  Bar window_;
};

/// For Faults::on_read: reads of the register at offset `at` return `value`.
inline std::function<std::optional<std::uint32_t>(std::uint32_t)> answer(std::uint32_t at, std::uint32_t value) {
  return [=](std::uint32_t offset) -> std::optional<std::uint32_t> {
    return offset == at ? std::optional(value) : std::nullopt;
  };
}

}  // namespace pollux::drivers::igb
