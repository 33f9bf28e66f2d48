// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/qtest/connection.hpp"
#include "backends/qtest/launch.hpp"
#include "backends/qtest/process.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::qtest {

/// Addresses and sizes of a function's BARs. A size of 0 means that the BAR does not exist.
struct BarLayout {
  std::array<std::uint64_t, 6> address{};
  std::array<std::uint32_t, 6> size{};
};

/// Sets up PCI bus 0 of a q35 that runs no firmware, as far as the cards need it.
/// After a failed connection every error is device_removed. Thread rule: one thread at a time.
class PciBus {
 public:
  static constexpr unsigned kSlots = 32;

  explicit PciBus(QtestConnection& connection) : connection_(&connection) {}

  /// Enables the memory window onto all configuration spaces. Error not_supported if the machine is not a q35.
  [[nodiscard]] Result<void> enable_config_window();

  /// `width` is 1, 2 or 4 and `offset` a multiple of it below 4,096. An empty slot reads all ones.
  [[nodiscard]] Result<std::uint32_t> read(unsigned slot, std::uint32_t offset, unsigned width);
  [[nodiscard]] Result<void> write(unsigned slot, std::uint32_t offset, unsigned width, std::uint32_t value);

  /// Assigns addresses to the BARs of the function in `slot` and enables memory decoding.
  [[nodiscard]] Result<BarLayout> assign(unsigned slot);
  /// Writes the same addresses again, because a reset clears them.
  [[nodiscard]] Result<void> restore(unsigned slot, const BarLayout& layout);
  /// The offset of a capability; empty if the function has none of that id.
  [[nodiscard]] Result<std::optional<std::uint32_t>> find_capability(unsigned slot, std::uint8_t id);

 private:
  [[nodiscard]] Result<std::uint32_t> read_bar_size(unsigned slot, std::uint32_t offset);
  [[nodiscard]] Result<std::uint64_t> allocate_address(std::uint64_t size);

  QtestConnection* connection_;
  std::uint64_t next_;
};

/// The DMA domain of QEMU's cards. QEMU's RAM is the Context's memory file, so the cards can access all of that file
/// and nothing else.
class Domain final : public DmaDomain {
 public:
  /// The first `ram` bytes of the file `descriptor` are QEMU's RAM.
  Domain(int descriptor, std::uint64_t ram);

  [[nodiscard]] std::string_view name() const override { return "QEMU's RAM"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override;
  /// Checks that the segment is in the file. Error not_supported for other memory: of another page size, or the
  /// application's own.
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  std::uint64_t ram_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

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
