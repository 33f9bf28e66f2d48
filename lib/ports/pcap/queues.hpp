// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/base/clock.hpp"
#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"
#include "ports/pcap/reader.hpp"
#include "ports/pcap/writer.hpp"

namespace pollux::pcap {

enum class Pace : std::uint8_t {
  none,  ///< as fast as it is polled
  real,  ///< as far apart as the stamps
};

/// Receives the frames of a file. One that finds the pool dry waits.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxRules& rules, Clock& clock, std::optional<Reader> reader, Pace pace, bool loop) noexcept
      : ports::RxQueue(&burst, rules), clock_(clock), reader_(std::move(reader)), pace_(pace), loop_(loop) {}

  /// The next frame is due at once, and later ones are counted from it. With the queue closed.
  void begin() noexcept { epoch_.reset(); }
  /// Whether the file turned out malformed: nothing more comes then. From any thread.
  [[nodiscard]] bool is_malformed() const noexcept { return malformed_.load(std::memory_order_acquire); }
  /// Why, if it is.
  [[nodiscard]] std::string complaint() const { return reader_->complaint(); }

 private:
  /// A stamp of the file, and the time of the clock that it stands for.
  struct Epoch {
    std::int64_t seconds;
    std::int64_t nanoseconds;
    Duration time;
  };

  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool look_ahead() noexcept;
  [[nodiscard]] bool is_due(Duration now) noexcept;
  [[nodiscard]] bool take(Mbuf*& out) noexcept;

  Clock& clock_;
  std::optional<Reader> reader_;
  Pace pace_;
  bool loop_;
  bool pending_ = false;     // record_ has not been taken yet
  bool ended_ = false;       // nothing more comes
  bool rewound_ = false;     // in this burst
  std::uint64_t taken_ = 0;  // since the file's beginning
  Reader::Record record_;
  std::optional<Epoch> epoch_;
  std::atomic<bool> malformed_{false};
};

/// Sends frames to a file, with all their checksums; drops them if there is none.
class TxQueue final : public ports::TxQueue {
 public:
  TxQueue(Clock& clock, std::optional<Writer> writer) noexcept
      : ports::TxQueue(&burst), clock_(clock), writer_(std::move(writer)) {}

  /// Ends the file. With the queue closed.
  void end() noexcept { writer_.reset(); }

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  void write(const Mbuf& frame, Duration now) noexcept;

  Clock& clock_;
  std::optional<Writer> writer_;
  std::vector<std::uint8_t> scratch_ =
      std::vector<std::uint8_t>(65536);  // a chain in one piece, and a frame whose checksums are computed
};

}  // namespace pollux::pcap
