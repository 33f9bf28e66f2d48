// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/qtest/command_line.hpp"
#include "backends/qtest/connection.hpp"
#include "backends/qtest/domain.hpp"
#include "backends/qtest/interrupts.hpp"
#include "backends/qtest/launch.hpp"
#include "backends/qtest/pci_bus.hpp"
#include "backends/qtest/process.hpp"
#include "backends/qtest/target.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::qtest {

/// One QEMU process with two cards, connected by a hub. It runs as long as one of its devices exists. A QEMU that does
/// not respond is killed at once, so that a card reported as removed cannot write to memory any more.
/// Thread rule: `claim` and `release` may be called from any thread. `bus` needs `bus_lock`. The connection has its own
/// lock.
class Machine {
 public:
  /// Starts QEMU and waits until it responds. Errors: QEMU is missing, lacks an igb or is too old, has exited, or there
  /// is no memory.
  [[nodiscard]] static Result<std::shared_ptr<Machine>> start(Context& context, const Target& target);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  /// Ends QEMU, then detaches its domain from the Context.
  ~Machine();

  /// Claims `card` (0 or 1) for a device. False if it is already claimed.
  [[nodiscard]] bool claim(unsigned card);
  void release(unsigned card);

  [[nodiscard]] QtestConnection& connection() noexcept { return *connection_; }
  [[nodiscard]] std::mutex& bus_lock() noexcept { return bus_lock_; }
  [[nodiscard]] PciBus& bus() noexcept { return bus_; }
  [[nodiscard]] static unsigned slot(unsigned card) noexcept { return MachineConfig::kFirstSlot + 2 * card; }
  [[nodiscard]] const BarLayout& bars(unsigned card) const noexcept { return bars_[card]; }
  [[nodiscard]] Domain& domain() noexcept { return *domain_; }
  [[nodiscard]] const DoorbellServer& doorbells() const noexcept { return doorbells_; }
  /// Physical address for interrupt messages.
  [[nodiscard]] std::uint64_t doorbell_address() const noexcept { return doorbell_address_; }
  [[nodiscard]] pid_t pid() const noexcept { return process_.pid(); }
  /// Logs the error of a failed connection, once. Not for the hot path.
  void log_failure();

 private:
  Machine(std::shared_ptr<ContextState> context, const Target& target, LaunchedQemu launched);
  [[nodiscard]] Result<void> set_up(Context& context, int memory, std::uint64_t ram);
  [[nodiscard]] Result<void> set_up_bus();
  [[nodiscard]] Error failure();

  std::shared_ptr<ContextState> context_;
  std::string uri_;
  Process process_;
  DoorbellServer doorbells_;
  std::optional<QtestConnection> connection_;
  PciBus bus_;
  std::mutex bus_lock_;
  std::array<BarLayout, MachineConfig::kCards> bars_;
  std::uint64_t doorbell_address_ = 0;
  std::shared_ptr<Domain> domain_;
  bool attached_ = false;
  std::mutex claim_lock_;
  std::array<bool, MachineConfig::kCards> claimed_{};
  bool failure_logged_ = false;
};

}  // namespace pollux::qtest
