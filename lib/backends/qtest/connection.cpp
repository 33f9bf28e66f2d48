// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/machine.hpp"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "pollux/device/bar.hpp"

namespace pollux::qtest {
namespace {

/// Polls of the socket before sleeping. If QEMU has its own processor, it replies sooner than this thread could sleep
/// and wake up. If not, each poll yields the processor to QEMU.
constexpr unsigned kPollsBeforeSleep = 200;
/// `flush` reads replies if at least this many are outstanding, or if there is nothing to send.
constexpr std::uint32_t kReceiveAt = 256;

std::string_view write_number(char* at, char* end, std::uint64_t value) {
  at[0] = '0';
  at[1] = 'x';
  return {at, static_cast<std::size_t>(std::to_chars(at + 2, end, value, 16).ptr - at)};
}

/// Parses "0x" followed by hexadecimal digits.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (!text.starts_with("0x")) return std::nullopt;
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data() + 2, end, value, 16);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

}  // namespace

QtestConnection::QtestConnection(FileDescriptor socket, Limits limits, std::function<void()> on_failure)
    : limits_(limits), on_failure_(std::move(on_failure)), socket_(std::move(socket)) {}

void QtestConnection::write(std::uint64_t address, unsigned width, std::uint32_t value) noexcept {
  std::array<char, kMaxCommand> line;
  const std::string_view verb = width == 4 ? "writel " : width == 2 ? "writew " : "writeb ";
  char* at = std::copy(verb.begin(), verb.end(), line.data());
  at += write_number(at, line.data() + line.size(), address).size();
  *at++ = ' ';
  at += write_number(at, line.data() + line.size(), value).size();
  post({line.data(), static_cast<std::size_t>(at - line.data())});
}

std::uint32_t QtestConnection::read(std::uint64_t address, unsigned width) noexcept {
  std::array<char, kMaxCommand> line;
  const std::string_view verb = width == 4 ? "readl " : width == 2 ? "readw " : "readb ";
  char* at = std::copy(verb.begin(), verb.end(), line.data());
  at += write_number(at, line.data() + line.size(), address).size();
  const auto value = ask({line.data(), static_cast<std::size_t>(at - line.data())});
  return part_of_word(value ? static_cast<std::uint32_t>(*value) : ~std::uint32_t{0}, 0, width);
}

void QtestConnection::flush() noexcept {
  if (!busy_.load(std::memory_order_relaxed)) return;
  const std::lock_guard guard(lock_);
  if (out_size_ == 0) return poll_replies();
  send_queued();
  if (unanswered_ >= kReceiveAt) static_cast<void>(receive());
}

void QtestConnection::post(std::string_view text) noexcept {
  const std::lock_guard guard(lock_);
  if (failed()) return;
  if (unanswered_ >= limits_.unanswered) {
    send_queued();
    wait_until_unanswered(limits_.unanswered / 2);
  }
  queue(text);
  ++unanswered_;
}

std::optional<std::uint64_t> QtestConnection::ask(std::string_view text) noexcept {
  const std::lock_guard guard(lock_);
  if (failed()) return std::nullopt;
  queue(text);
  value_awaited_ = true;
  value_.reset();
  send_queued();
  wait_until_unanswered(0);
  return std::exchange(value_, std::nullopt);
}

void QtestConnection::queue(std::string_view text) noexcept {
  if (text.size() + 1 > out_.size() - out_size_) send_queued();
  if (failed()) return;
  if (unanswered_ == 0) progress_ = std::chrono::steady_clock::now();
  std::copy(text.begin(), text.end(), out_.data() + out_size_);
  out_[out_size_ + text.size()] = '\n';
  out_size_ += text.size() + 1;
  busy_.store(true, std::memory_order_relaxed);
}

void QtestConnection::send_queued() noexcept {
  const Instant limit = deadline();
  while (out_size_ != 0 && !failed() && send_some(limit)) continue;
}

// Reads replies while the send buffer is full, because QEMU reads no commands while its own send buffer is full.
bool QtestConnection::send_some(Instant deadline) noexcept {
  const ssize_t sent = ::send(socket_.get(), out_.data(), out_size_, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent > 0) {
    out_size_ -= static_cast<std::size_t>(sent);
    std::memmove(out_.data(), out_.data() + sent, out_size_);
    return true;
  }
  if (sent < 0 && errno == EINTR) return true;
  if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    if (!wait_for_input(deadline, POLLIN | POLLOUT)) return false;
    static_cast<void>(receive());
    return true;
  }
  fail(ConnectionFailure::closed);
  return false;
}

bool QtestConnection::receive() noexcept {
  if (failed()) return false;
  const ssize_t got = ::recv(socket_.get(), in_.data() + in_size_, in_.size() - in_size_, MSG_DONTWAIT);
  if (got > 0) {
    process_lines(static_cast<std::size_t>(got));
    return true;
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
  fail(ConnectionFailure::closed);
  return false;
}

bool QtestConnection::wait_for_input(Instant deadline, short events) noexcept {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
  pollfd look{.fd = socket_.get(), .events = events, .revents = 0};
  const int ready = left <= 0 ? 0 : ::poll(&look, 1, static_cast<int>(left));
  if (ready > 0 || (ready < 0 && errno == EINTR)) return true;
  fail(ConnectionFailure::silent);
  return false;
}

void QtestConnection::wait_until_unanswered(std::uint32_t most) noexcept {
  const Instant limit = deadline();
  unsigned polls = 0;
  while (!failed() && (unanswered_ > most || (most == 0 && value_awaited_))) {
    if (receive()) {
      polls = 0;
    } else if (++polls < kPollsBeforeSleep) {
      ::sched_yield();
    } else if (!failed() && !wait_for_input(limit, POLLIN)) {
      return;
    }
    // Lines that are not replies must not extend the wait.
    if (polls == 0 && std::chrono::steady_clock::now() > limit && (unanswered_ > most || value_awaited_)) {
      return fail(ConnectionFailure::silent);
    }
  }
}

void QtestConnection::process_lines(std::size_t length) noexcept {
  const std::string_view input(in_.data(), in_size_ + length);
  std::size_t start = 0;
  for (std::size_t end = input.find('\n', in_size_); end != std::string_view::npos && !failed();
       end = input.find('\n', start)) {
    process_line(input.substr(start, end - start));
    start = end + 1;
  }
  if (failed()) return;
  in_size_ = input.size() - start;
  if (in_size_ == in_.size()) return fail(ConnectionFailure::garbled);
  std::memmove(in_.data(), in_.data() + start, in_size_);
  if (unanswered_ == 0 && out_size_ == 0 && !value_awaited_) busy_.store(false, std::memory_order_relaxed);
}

void QtestConnection::process_line(std::string_view line) noexcept {
  if (line.starts_with("IRQ ")) return;
  progress_ = std::chrono::steady_clock::now();
  if (line == "OK" && unanswered_ != 0) {
    --unanswered_;
    return;
  }
  if (line.starts_with("OK ") && unanswered_ == 0 && value_awaited_) {
    value_ = parse_number(line.substr(3));
    value_awaited_ = false;
    if (value_) return;
  }
  fail(ConnectionFailure::garbled);
}

// Called for an empty poll of a queue. On a machine with one processor QEMU runs only if this thread yields.
void QtestConnection::poll_replies() noexcept {
  if (receive() || failed() || unanswered_ == 0) return;
  if (std::chrono::steady_clock::now() - progress_ > limits_.timeout) return fail(ConnectionFailure::silent);
  ::sched_yield();
}

void QtestConnection::fail(ConnectionFailure how) noexcept {
  if (failed()) return;
  out_size_ = in_size_ = 0;
  unanswered_ = 0;
  value_awaited_ = false;
  value_.reset();
  busy_.store(false, std::memory_order_relaxed);
  failure_.store(how, std::memory_order_release);
  if (on_failure_) on_failure_();
  socket_ = FileDescriptor();
}

QtestConnection::Instant QtestConnection::deadline() const noexcept {
  return std::chrono::steady_clock::now() + limits_.timeout;
}

}  // namespace pollux::qtest
