// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "pollux/device/device.hpp"

namespace pollux {

/// A Device that owns another one and forwards every call to it: the base class of devices that change or record the
/// calls. Its Bars are always remote windows, so each register access passes through `read_register`, `write_register`
/// and `flush_registers`.
/// Thread rule: that of Device. The three register functions may be called from any thread, as Bars may.
class DeviceDecorator : public Device {
 public:
  explicit DeviceDecorator(std::unique_ptr<Device> inner) : inner_(std::move(inner)) {}
  ~DeviceDecorator() override = default;

  [[nodiscard]] const std::string& name() const override { return inner_->name(); }
  [[nodiscard]] PciIdentity identity() const override { return inner_->identity(); }
  [[nodiscard]] int numa_node() const override { return inner_->numa_node(); }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override {
    return inner_->read_config(offset, width);
  }
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override {
    return inner_->write_config(offset, width, value);
  }
  [[nodiscard]] Result<Bar> bar(unsigned index) override {
    auto bar = inner_->bar(index);
    if (!bar) return bar;
    if (windows_[index] == nullptr) windows_[index] = std::make_unique<Window>(*this, index, *bar);
    return Bar(static_cast<RemoteRegisters&>(*windows_[index]), bar->size());
  }
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override { return inner_->set_bus_master(enabled); }
  [[nodiscard]] Result<void> reset() override { return inner_->reset(); }
  [[nodiscard]] DmaDomain& dma_domain() override { return inner_->dma_domain(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return inner_->interrupt_vectors(); }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override {
    return inner_->enable_interrupts(count);
  }
  [[nodiscard]] unsigned max_functions() override { return inner_->max_functions(); }
  [[nodiscard]] unsigned functions() override { return inner_->functions(); }
  [[nodiscard]] Result<void> set_functions(unsigned count) override { return inner_->set_functions(count); }
  [[nodiscard]] int error_event() const override { return inner_->error_event(); }
  [[nodiscard]] int removal_event() const override { return inner_->removal_event(); }
  [[nodiscard]] bool removed() const override { return inner_->removed(); }
  [[nodiscard]] Wakeup next_wakeup() const override { return inner_->next_wakeup(); }

 protected:
  [[nodiscard]] Device& inner() const noexcept { return *inner_; }

  /// Called when a register of window `bar` is read or written, or its queued writes are flushed. `width` is 1,
  /// 2 or 4 bytes. The default implementation forwards to the window of the inner device.
  [[nodiscard]] virtual std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept {
    return windows_[bar]->inner.read(offset, width);
  }
  virtual void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
    windows_[bar]->inner.write(offset, width, value);
  }
  virtual void flush_registers(unsigned bar) noexcept { windows_[bar]->inner.flush(); }

 private:
  class Window final : public RemoteRegisters {
   public:
    Window(DeviceDecorator& owner, unsigned index, const Bar& bar) : inner(bar), owner_(owner), index_(index) {}
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override {
      return owner_.read_register(index_, offset, 4);
    }
    void write32(std::uint32_t offset, std::uint32_t value) noexcept override {
      owner_.write_register(index_, offset, 4, value);
    }
    [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
      return part_of_word(owner_.read_register(index_, offset, width), 0, width);
    }
    void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
      owner_.write_register(index_, offset, width, value);
    }
    void flush() noexcept override { owner_.flush_registers(index_); }

    const Bar inner;

   private:
    DeviceDecorator& owner_;
    unsigned index_;
  };

  std::unique_ptr<Device> inner_;
  std::array<std::unique_ptr<Window>, 6> windows_;
};

}  // namespace pollux
