// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/file_descriptor.hpp"
#include "device/decorator.hpp"
#include "mem/context_state.hpp"
#include "pollux/device/fault.hpp"

namespace pollux {

/// A DMA domain without a device. It is attached to the Context so that mapping memory can be made to fail.
class FaultDomain final : public DmaDomain {
 public:
  FaultDomain(std::vector<IovaRange> usable, std::shared_ptr<FaultInjector> faults);

  [[nodiscard]] std::string_view name() const override { return "fault domain"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return usable_; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

 private:
  std::vector<IovaRange> usable_;
  std::shared_ptr<FaultInjector> faults_;
};

/// See with_faults.
class FaultDevice final : public DeviceDecorator {
 public:
  FaultDevice(std::shared_ptr<ContextState> context, std::unique_ptr<Device> inner,
              std::shared_ptr<FaultInjector> faults);
  ~FaultDevice() override;
  /// Attaches the domain and creates the eventfd for faults that signal one.
  [[nodiscard]] Result<void> prepare();

  [[nodiscard]] Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  [[nodiscard]] Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  [[nodiscard]] Result<Bar> bar(unsigned index) override;
  [[nodiscard]] Result<void> set_bus_master(bool enabled) override;
  [[nodiscard]] Result<void> reset() override;
  [[nodiscard]] Result<std::span<const int>> enable_interrupts(unsigned count) override;
  [[nodiscard]] int error_event() const override;
  [[nodiscard]] int removal_event() const override;
  [[nodiscard]] bool removed() const override;

 private:
  [[nodiscard]] std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override;
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;

  [[nodiscard]] bool removed_by_fault() const noexcept {
    return removed_by_fault_.load(std::memory_order_relaxed) && !faults_->disabled();
  }
  /// Counts an access, and injects a fault planned for it.
  void enter_access(std::uint32_t offset) noexcept;
  /// Counts an access if the register is FaultPlan::stuck. Returns whether it is stuck now.
  [[nodiscard]] bool is_stuck(unsigned bar, std::uint32_t offset) noexcept;
  void raise_all_vectors() noexcept;
  /// Counts a call. Returns an error if the call is planned to fail or the card is removed.
  [[nodiscard]] Result<void> enter_call(const char* what);
  [[nodiscard]] bool is(FaultKind kind) const noexcept { return faults_->plan().kind == kind; }

  std::shared_ptr<ContextState> context_;
  std::shared_ptr<FaultInjector> faults_;
  std::shared_ptr<FaultDomain> domain_;
  bool attached_ = false;
  FileDescriptor event_;                // for removal_event and error_event
  std::vector<FileDescriptor> silent_;  // replace the eventfds of vectors whose interrupts are lost
  std::vector<int> vectors_;
  std::atomic<bool> removed_by_fault_{false};
  std::atomic<bool> release_requested_{false};
  std::atomic<bool> in_action_{false};  // accesses inside an action are not counted
};

}  // namespace pollux
