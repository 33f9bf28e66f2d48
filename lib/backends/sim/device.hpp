// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backends/sim/wire.hpp"
#include "base/file_descriptor.hpp"
#include "pollux/device/device.hpp"
#include "pollux/device/device_model.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::sim {

/// The configuration space of an in-process card: its header, and the capabilities power management, MSI, MSI-X, PCI
/// Express, error reporting, virtual functions, and those of its vendor. A virtual function has MSI-X and PCI Express.
/// PCI Local Bus 3.0, 6.1 and 6.8, PCI Power Management 1.2, 3.2, and PCI Express Base, "PCI Express Capability
/// Structure", as given in Linux, include/uapi/linux/pci_regs.h.
class ConfigSpace {
 public:
  static constexpr std::uint32_t kSize = 4096;
  static constexpr std::uint32_t kCommand = 0x04;
  static constexpr std::uint32_t kCommandMemory = 0x0002;
  static constexpr std::uint32_t kCommandMaster = 0x0004;
  static constexpr std::uint32_t kCommandDisablePin = 0x0400;
  static constexpr std::uint32_t kStatus = 0x06;
  static constexpr std::uint32_t kStatusInterrupt = 0x0008;
  static constexpr std::uint32_t kInterruptPin = 0x3D;
  static constexpr std::uint32_t kPowerManagement = 0x40;
  static constexpr std::uint32_t kPowerState = kPowerManagement + 4;
  static constexpr std::uint32_t kPowerStateMask = 0x0003;
  static constexpr std::uint32_t kWakeStatus = 0x8000;
  static constexpr std::uint32_t kMsi = 0x50;
  static constexpr std::uint32_t kMsiControl = kMsi + 2;
  static constexpr std::uint32_t kMsiEnable = 0x0001;
  static constexpr std::uint32_t kMsix = 0x70;
  static constexpr std::uint32_t kMsixControl = kMsix + 2;
  static constexpr std::uint32_t kMsixEnable = 0x8000;
  static constexpr std::uint32_t kMsixTable = kMsix + 4;
  static constexpr std::uint32_t kMsixBarMask = 0x0007;
  static constexpr std::uint32_t kExpress = 0xA0;
  static constexpr std::uint32_t kDeviceControl = kExpress + 8;
  static constexpr std::uint32_t kInitiateReset = 0x8000;
  static constexpr std::uint32_t kLinkStatus = kExpress + 0x12;
  static constexpr std::uint32_t kDeviceControl2 = kExpress + 0x28;

  /// Advanced error reporting is first in the list of extended capabilities, and single root I/O virtualization second.
  static constexpr std::uint32_t kErrors = 0x100;
  static constexpr std::uint32_t kFunctions = 0x160;
  static constexpr std::uint32_t kFunctionsBytes = 0x40;
  static constexpr std::uint32_t kFunctionsControl = kFunctions + 8;
  static constexpr std::uint32_t kFunctionsEnable = 0x0001;
  static constexpr std::uint32_t kFunctionsNumber = kFunctions + 0x10;

  explicit ConfigSpace(DeviceModel& card);

  /// `width` must be 1, 2 or 4, and `offset` a multiple of it below kSize. The caller checks this.
  [[nodiscard]] std::uint32_t read(std::uint32_t offset, unsigned width) const noexcept;
  /// Changes the writable bits only.
  void write(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;

  /// Whether the card may access memory: bus mastering is enabled, and the power state is D0.
  [[nodiscard]] bool bus_master() const noexcept {
    return (read(kCommand, 2) & kCommandMaster) != 0 && power_state() == 0;
  }
  /// 0 for D0, 3 for D3hot.
  [[nodiscard]] std::uint32_t power_state() const noexcept { return read(kPowerState, 2) & kPowerStateMask; }
  [[nodiscard]] InterruptMode interrupt_mode() const noexcept;
  void enable_msix(bool enabled) noexcept;
  /// The offset of an access in the card's live capability; nothing if it does not lie in what the card answers.
  [[nodiscard]] std::optional<std::uint32_t> in_live_capability(std::uint32_t offset, unsigned width) const noexcept {
    if (offset < live_at_ + kLiveFrom || offset + width > live_end_) return std::nullopt;
    return offset - live_at_;
  }
  /// Sets the status register's interrupt bit, which reads do not change.
  void set_interrupt_pending(bool pending) noexcept;
  /// Sets PME_Status, which a write of 1 clears: see `ends_wake_request`.
  void set_wake_requested(bool requested) noexcept;
  /// Whether a write of `value` has a 1 for PME_Status.
  [[nodiscard]] static bool ends_wake_request(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept;
  /// The number of virtual functions that the card can have.
  [[nodiscard]] unsigned max_functions() const noexcept { return max_functions_; }
  /// The number of virtual functions that are enabled.
  [[nodiscard]] unsigned functions() const noexcept;
  /// Sets the capability of virtual functions to its values after a reset.
  void disable_functions() noexcept;
  /// Sets all registers to their values after a reset.
  void reset() noexcept { bytes_ = initial_; }
  [[nodiscard]] std::uint16_t device_control2() const noexcept {
    return static_cast<std::uint16_t>(read(kDeviceControl2, 2));
  }
  /// True if a function-level reset was requested. Clears the request, because the bit always reads as zero.
  [[nodiscard]] bool take_reset_request() noexcept;

 private:
  void define_interrupts(const DeviceModel& card);
  void define_vendor(const DeviceModel& card);
  void define_functions(unsigned count, DeviceModel& first);
  void define(std::uint32_t offset, unsigned width, std::uint32_t value, std::uint32_t writable = 0);

  std::array<std::uint8_t, kSize> bytes_{};
  std::array<std::uint8_t, kSize> initial_{};
  std::array<std::uint8_t, kSize> writable_{};
  unsigned max_functions_ = 0;
  static constexpr std::uint32_t kLiveFrom = 4;
  std::uint32_t live_at_ = 0;  // the live capability; it ends before `live_end_`
  std::uint32_t live_end_ = 0;
};

/// An in-process card's IOMMU: a table of the Context's mappings. The card can access nothing else.
/// Thread rule: `map` and `unmap` take the wire's lock. `translate` is called with the lock held, as is all of the
/// card's work.
class Domain final : public DmaDomain, public ModelDma {
 public:
  Domain(std::shared_ptr<std::mutex> wire_lock, std::shared_ptr<WorkBudget> budget)
      : lock_(std::move(wire_lock)), budget_(std::move(budget)) {}

  [[nodiscard]] std::string_view name() const override { return "sim domain"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override;
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

  [[nodiscard]] std::byte* translate(std::uint64_t iova, std::size_t length) noexcept override {
    return find(iova, length, true);
  }
  [[nodiscard]] const std::byte* translate_for_read(std::uint64_t iova, std::size_t length) noexcept override {
    return find(iova, length, false);
  }
  [[nodiscard]] std::size_t contiguous(std::uint64_t iova, std::size_t length) const noexcept override;
  [[nodiscard]] Duration read_latency() const noexcept override { return read_latency_; }
  /// Sets the time that memory takes to answer the card's reads. Call it while the card is idle.
  void set_read_latency(Duration latency) noexcept { read_latency_ = latency; }
  /// True if accesses were refused since the last `take_report`.
  [[nodiscard]] bool has_report() const noexcept { return refused() != reported_.load(std::memory_order_relaxed); }
  /// One line of text on the accesses that were refused since the last call.
  [[nodiscard]] std::string take_report();
  /// Number of accesses to memory that is not mapped, or not mapped for writing, or by a card whose budget is
  /// overdrawn.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::byte* find(std::uint64_t iova, std::size_t length, bool writes) noexcept;
  std::byte* refuse(const char* why, std::uint64_t iova, std::size_t length) noexcept;

  std::shared_ptr<std::mutex> lock_;
  std::shared_ptr<WorkBudget> budget_;
  std::map<std::uint64_t, DmaSegment> segments_;  // by IOVA
  std::array<DmaSegment, 4> recent_{};            // a cache: accesses alternate between rings and buffers
  std::size_t oldest_ = 0;                        // index in `recent_`
  Duration read_latency_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> reported_{0};  // value of `refused_` at the last report
  std::uint64_t refused_iova_ = 0;          // of the last refused access
  std::size_t refused_length_ = 0;
  const char* why_refused_ = "";
};

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
  /// Logs the accesses that were refused: at most once a minute, or `now`.
  void log_refused_accesses(bool now = false);
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
  std::atomic<Time> next_report_ = Time::min();  // of refused accesses
  bool claimed_ = false;
  bool attached_ = false;
  std::array<std::unique_ptr<Window>, 6> windows_;
  std::vector<FileDescriptor> events_;
  std::vector<int> event_numbers_;
};

}  // namespace pollux::sim
