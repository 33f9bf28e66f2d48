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

/// How a conversation with QEMU ended.
enum class WireFailure : std::uint8_t {
  none,     ///< it has not
  closed,   ///< QEMU has closed the socket, as it does when it dies
  silent,   ///< no answer within the limit
  garbled,  ///< an answer that the protocol does not have
};

/// QEMU's test protocol on a stream socket: one line a command, one line a reply, in order; lines that begin with "IRQ"
/// come whenever they like (QEMU, system/qtest.c, "QTest Protocol").
/// Writes are queued. They go out together, on `flush`, before a read, or when there are many, and their replies are
/// taken when they are there anyway. What is unanswered is bounded: neither side may stand waiting with its own replies
/// unread. Waiting is in real time, whatever the Context's clock is: no virtual clock makes another process answer.
/// Thread rule: every member may be called from any thread; a lock orders them.
class QtestConnection {
 public:
  struct Limits {
    /// Commands on their way without an answer. QEMU's answers to so many fit a socket's buffer many times over.
    std::uint32_t unanswered = 1024;
    /// How long an answer may take, in all, before QEMU counts as stopped.
    std::chrono::milliseconds patience{3000};
  };

  /// `on_failure` is called once, by whoever finds out, when the conversation is over; it must not call the connection.
  QtestConnection(FileDescriptor socket, Limits limits, std::function<void()> on_failure = {});
  QtestConnection(const QtestConnection&) = delete;
  QtestConnection& operator=(const QtestConnection&) = delete;

  /// Queues a write of `width` bytes, 1, 2 or 4, at a physical address; `value` has no bits above them.
  void write(std::uint64_t address, unsigned width, std::uint32_t value) noexcept;
  /// All ones after a failure.
  [[nodiscard]] std::uint32_t read(std::uint64_t address, unsigned width) noexcept;
  void write32(std::uint64_t address, std::uint32_t value) noexcept { write(address, 4, value); }
  [[nodiscard]] std::uint32_t read32(std::uint64_t address) noexcept { return read(address, 4); }
  /// Sends what is queued. With nothing queued, but answers to come, takes those that are there and gives QEMU the
  /// processor.
  void flush() noexcept;

  /// The general form: `text` is a whole command of at most kLongest characters without its line feed. A command that
  /// brings back only "OK" is queued; nothing happens after a failure.
  void post(std::string_view text) noexcept;
  /// One that brings back a value; empty after a failure.
  [[nodiscard]] std::optional<std::uint64_t> ask(std::string_view text) noexcept;

  [[nodiscard]] bool failed() const noexcept { return failure() != WireFailure::none; }
  [[nodiscard]] WireFailure failure() const noexcept { return failure_.load(std::memory_order_acquire); }
  [[nodiscard]] const Limits& limits() const noexcept { return limits_; }

  static constexpr std::size_t kLongest = 96;

 private:
  using Instant = std::chrono::steady_clock::time_point;

  void queue(std::string_view text) noexcept;
  void send_queued() noexcept;
  [[nodiscard]] bool send_some(Instant deadline) noexcept;
  /// Takes what has come; false if nothing had.
  bool receive() noexcept;
  [[nodiscard]] bool wait_for_input(Instant deadline, short events) noexcept;
  void wait_until_unanswered(std::uint32_t most) noexcept;
  void take_lines(std::size_t length) noexcept;
  void take_line(std::string_view line) noexcept;
  void reap_idle() noexcept;
  void fail(WireFailure how) noexcept;
  [[nodiscard]] Instant deadline() const noexcept;

  const Limits limits_;
  std::function<void()> on_failure_;
  mutable std::mutex lock_;
  FileDescriptor socket_;
  std::atomic<WireFailure> failure_{WireFailure::none};
  std::atomic<bool> busy_{false};  // something is queued or unanswered
  std::uint32_t unanswered_ = 0;   // queued or sent
  bool value_awaited_ = false;     // behind all of these
  std::optional<std::uint64_t> value_;
  Instant progress_{};  // when an answer came or the first command without one was queued
  std::size_t out_size_ = 0;
  std::size_t in_size_ = 0;
  std::array<char, 16384> out_{};
  std::array<char, 4096> in_{};
};

}  // namespace pollux::qtest
