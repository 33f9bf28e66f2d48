// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "backends/qtest/launch.hpp"
#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::qtest {

/// How a connection to QEMU failed.
enum class ConnectionFailure : std::uint8_t {
  none,     ///< it works
  closed,   ///< QEMU has closed the socket, for instance because it ended
  silent,   ///< no reply within the limit
  garbled,  ///< an invalid reply
};

/// A client of QEMU's test protocol on a stream socket. Each command and each reply is one line, in order. Lines that
/// begin with "IRQ" may come at any time (QEMU, system/qtest.c, "QTest Protocol").
/// Writes are queued. They are sent together on `flush`, before a read, or when the queue is long. Their replies are
/// read later. The number of commands without a reply is bounded, so that neither side blocks while its replies are
/// unread. Waits are in real time, even with a virtual clock in the Context: another process does not run on that
/// clock. Thread rule: every member may be called from any thread; a lock serializes them.
class QtestConnection {
 public:
  struct Limits {
    /// Maximum number of commands without a reply. A socket's buffer holds the replies to many times that number.
    std::uint32_t unanswered = 1024;
    /// Maximum time for a reply. After that QEMU counts as stopped.
    std::chrono::milliseconds timeout{3000};
  };

  /// `on_failure` is called once, by the thread that detects the failure. It must not call the connection.
  QtestConnection(FileDescriptor socket, Limits limits, std::function<void()> on_failure = {});
  QtestConnection(const QtestConnection&) = delete;
  QtestConnection& operator=(const QtestConnection&) = delete;

  /// Queues a write of `width` bytes (1, 2 or 4) to a physical address. `value` must have no bits above them.
  void write(std::uint64_t address, unsigned width, std::uint32_t value) noexcept;
  /// Reads `width` bytes (1, 2 or 4) at a physical address. All ones after a failure.
  [[nodiscard]] std::uint32_t read(std::uint64_t address, unsigned width) noexcept;
  void write32(std::uint64_t address, std::uint32_t value) noexcept { write(address, 4, value); }
  [[nodiscard]] std::uint32_t read32(std::uint64_t address) noexcept { return read(address, 4); }
  /// Sends all queued commands. If the queue is empty and replies are outstanding, reads those that have arrived and
  /// yields the processor to QEMU.
  void flush() noexcept;

  /// Queues any command whose reply is "OK" alone. `text` has at most kMaxCommand characters and no line feed. Does
  /// nothing after a failure.
  void post(std::string_view text) noexcept;
  /// Sends any command whose reply is a value, and waits for it. Empty after a failure.
  [[nodiscard]] std::optional<std::uint64_t> ask(std::string_view text) noexcept;

  [[nodiscard]] bool failed() const noexcept { return failure() != ConnectionFailure::none; }
  [[nodiscard]] ConnectionFailure failure() const noexcept { return failure_.load(std::memory_order_acquire); }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }

  static constexpr std::size_t kMaxCommand = 96;

 private:
  using Instant = std::chrono::steady_clock::time_point;

  void queue(std::string_view text) noexcept;
  void send_queued() noexcept;
  [[nodiscard]] bool send_some(Instant deadline) noexcept;
  /// Reads the replies that have arrived. False if there were none.
  bool receive() noexcept;
  [[nodiscard]] bool wait_for_input(Instant deadline, short events) noexcept;
  void wait_until_unanswered(std::uint32_t most) noexcept;
  void process_lines(std::size_t length) noexcept;
  void process_line(std::string_view line) noexcept;
  void poll_replies() noexcept;
  void fail(ConnectionFailure how) noexcept;
  [[nodiscard]] Instant deadline() const noexcept;

  const Limits limits_;
  std::function<void()> on_failure_;
  mutable std::mutex lock_;
  FileDescriptor socket_;
  std::atomic<ConnectionFailure> failure_{ConnectionFailure::none};
  std::atomic<bool> busy_{false};  // a command is queued or has no reply yet
  std::uint32_t unanswered_ = 0;   // commands that are queued or sent
  bool value_awaited_ = false;     // a value is expected after all of these replies
  std::optional<std::uint64_t> value_;
  Instant progress_{};  // when the last reply came, or the first command without a reply was queued
  std::size_t out_size_ = 0;
  std::size_t in_size_ = 0;
  std::array<char, 16384> out_{};
  std::array<char, 4096> in_{};
};

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
