// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pollux/device/device.hpp"

namespace pollux {

/// A Device that owns another one and forwards every call to it: the base class of devices that change or record the
/// calls. Its Bars are always remote windows, so each register access passes through `read_register`, `write_register`
/// and `flush_registers`.
/// Thread rule: that of Device. The three register functions may be called from any thread, as Bars may.
class DeviceDecorator : public Device {
 public:
  explicit DeviceDecorator(std::unique_ptr<Device> inner);
  ~DeviceDecorator() override;

  [[nodiscard]] const std::string& name() const override;
  [[nodiscard]] PciIdentity identity() const override;
  [[nodiscard]] int numa_node() const override;
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<Bar> bar(unsigned index) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] DmaDomain& dma_domain() override;
  [[nodiscard]] unsigned interrupt_vectors() const override;
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;
  [[nodiscard]] unsigned max_functions() override;
  [[nodiscard]] unsigned functions() override;
  [[nodiscard]] Result<void> set_functions(unsigned count) override;
  [[nodiscard]] int error_event() const override;
  [[nodiscard]] int removal_event() const override;
  [[nodiscard]] bool removed() const override;
  [[nodiscard]] Wakeup next_wakeup() const override;

 protected:
  [[nodiscard]] Device& inner() const noexcept { return *inner_; }

  /// Called when a register of window `bar` is read or written, or its queued writes are flushed. `width` is 1,
  /// 2 or 4 bytes. The default implementation forwards to the window of the inner device.
  [[nodiscard]] virtual std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept;
  virtual void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;
  virtual void flush_registers(unsigned bar) noexcept;

 private:
  class Window final : public RemoteRegisters {
   public:
    Window(DeviceDecorator& owner, unsigned index, const Bar& bar) : inner(bar), owner_(owner), index_(index) {}
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override;
    void write32(std::uint32_t offset, std::uint32_t value) noexcept override;
    [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override;
    void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;
    void flush() noexcept override;

    const Bar inner;

   private:
    DeviceDecorator& owner_;
    unsigned index_;
  };

  std::unique_ptr<Device> inner_;
  std::array<std::unique_ptr<Window>, 6> windows_;
};

}  // namespace pollux
