// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/sim/config_space.hpp"
#include "backends/sim/domain.hpp"
#include "backends/sim/wire.hpp"
#include "base/file_descriptor.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::sim {

/// An in-process card at one end of a wire, or a virtual function of one, presented as a PCI device.
/// Thread rule: that of Device. The Bars may be used from any thread, because each access takes the wire's lock.
class SimDevice final : public Device {
 public:
  /// Error busy if the card already has a device, and those of Context::attach.
  [[nodiscard]] static Result<std::unique_ptr<SimDevice>> create(Context& context, std::string name,
                                                                 std::shared_ptr<Wire> wire, unsigned place);
  /// Stops the card's DMA, resets it and releases it.
  ~SimDevice() override;

  [[nodiscard]] const std::string& name() const override { return name_; }
  [[nodiscard]] PciIdentity identity() const override { return identity_; }
  [[nodiscard]] int numa_node() const override { return -1; }
  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<Bar> bar(unsigned index) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] Domain& dma_domain() override { return *domain_; }
  [[nodiscard]] unsigned interrupt_vectors() const override { return vectors_; }
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;
  [[nodiscard]] unsigned max_functions() override { return config_.max_functions(); }
  [[nodiscard]] unsigned functions() override { return config_.functions(); }
  [[nodiscard]] Result<void> set_functions(unsigned count) override;
  [[nodiscard]] Wakeup next_wakeup() const override { return wire_->next_wakeup(); }

  [[nodiscard]] Wire& wire() noexcept { return *wire_; }
  /// Register accesses in power state D3hot, in which the card reads all ones and ignores writes.
  [[nodiscard]] std::uint64_t accesses_asleep() const noexcept { return accesses_asleep_.load(); }

 private:
  class Window final : public RemoteRegisters {
   public:
    Window(SimDevice& device, unsigned bar) : device_(device), wire_(*device.wire_), place_(device.place_), bar_(bar) {}
    [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override { return read_narrow(offset, 4); }
    void write32(std::uint32_t offset, std::uint32_t value) noexcept override { write_narrow(offset, 4, value); }
    // Accesses of any width: a model has one function for all widths.
    [[nodiscard]] std::uint32_t read_narrow(std::uint32_t offset, unsigned width) noexcept override;
    void write_narrow(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;
    void flush() noexcept override;

   private:
    SimDevice& device_;
    Wire& wire_;
    unsigned place_;
    unsigned bar_;
  };

  SimDevice(Context& context, std::string name, std::shared_ptr<Wire> wire, unsigned place);
  [[nodiscard]] Result<void> check_config_access(std::uint32_t offset, unsigned width) const;
  void log_refused_accesses();
  /// Logs what happened to the wire's files. Called after reads, which no burst does.
  void log_wire_reports();
  /// Whether the card is in D3hot. Counts the access that this is asked for.
  [[nodiscard]] bool refuses_access() noexcept;
  void reset_card(DeviceModel& card);
  void mask_vectors(DeviceModel& card, unsigned unmasked);

  std::shared_ptr<ContextState> context_;
  std::string name_;
  std::shared_ptr<Wire> wire_;
  unsigned place_;
  PciIdentity identity_;
  unsigned vectors_;
  ConfigSpace config_;
  std::shared_ptr<Domain> domain_;
  std::atomic<bool> asleep_ = false;
  std::atomic<std::uint64_t> accesses_asleep_ = 0;
  bool claimed_ = false;
  bool attached_ = false;
  std::array<std::unique_ptr<Window>, 6> windows_;
  std::vector<FileDescriptor> events_;
  std::vector<int> event_numbers_;
};

}  // namespace pollux::sim
