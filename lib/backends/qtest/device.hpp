// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "backends/qtest/machine.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::qtest {

/// A card in a QEMU without a guest.
/// Thread rule: that of Device. The Bars may be used from any thread, because each access takes the connection's lock.
/// QEMU itself signals the eventfds of interrupts (see DoorbellServer), without a thread or polling here.
class QtestDevice final : public Device {
 public:
  /// Errors: busy if the card already has a device, device_removed if QEMU does not respond.
  [[nodiscard]] static Result<std::unique_ptr<QtestDevice>> create(Context& context, std::string name,
                                                                   const std::shared_ptr<Machine>& machine,
                                                                   unsigned card);
  /// Resets the function, which ends its DMA, and releases it.
  ~QtestDevice() override;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override { return identity_; }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<Bar> bar(unsigned index) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] DmaDomain& dma_domain() override { return machine_->domain(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return vectors_; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;
  [[nodiscard]] bool removed() const override { return machine_->connection().failed(); }

  [[nodiscard]] Machine& machine() noexcept { return *machine_; }

 private:
  class Window final : public RemoteRegisters {
   public:
    Window(QtestConnection& connection, std::uint64_t address) : connection_(connection), address_(address) {}
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override {
      return connection_.read32(address_ + offset);
    }
    void write32(std::uint32_t offset, std::uint32_t value) noexcept override {
      connection_.write32(address_ + offset, value);
    }
    [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override {
      return connection_.read(address_ + offset, width);
    }
    void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
      connection_.write(address_ + offset, width, value);
    }
    void flush() noexcept override { connection_.flush(); }

   private:
    QtestConnection& connection_;
    std::uint64_t address_;
  };

  QtestDevice(Context& context, std::string name, std::shared_ptr<Machine> machine, unsigned card);
  [[nodiscard]] Result<void> read_identity();
  [[nodiscard]] Result<void> check_config_access(std::uint32_t offset, unsigned width) const;
  [[nodiscard]] tl::unexpected<Error> explain(Error error);

  std::shared_ptr<ContextState> context_;
  std::string name_;
  std::shared_ptr<Machine> machine_;
  unsigned card_;
  unsigned slot_;
  PciIdentity identity_;
  std::uint32_t msix_ = 0;     // offset of the MSI-X capability; 0 if it is missing
  std::uint32_t power_ = 0;    // offset of the power management capability; 0 if it is missing
  std::uint32_t express_ = 0;  // offset of the PCI Express capability; 0 if it is missing
  unsigned vectors_ = 0;
  std::array<std::unique_ptr<Window>, 6> windows_;
};

/// Opens the card that `uri` names, the part of a URI after "qtest:".
/// Errors: invalid_argument, busy if the card is open, and those of Machine::start.
[[nodiscard]] Result<std::unique_ptr<Device>> open_qtest(Context& context, std::string_view uri);

}  // namespace pollux::qtest
