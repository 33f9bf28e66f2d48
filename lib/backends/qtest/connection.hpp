// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/file_descriptor.hpp"

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

}  // namespace pollux::qtest
