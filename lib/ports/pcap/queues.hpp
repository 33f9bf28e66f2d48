// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/base/clock.hpp"
#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"
#include "ports/pcap/reader.hpp"
#include "ports/pcap/writer.hpp"

namespace pollux::pcap {

/// Receives the frames of a file. While the pool is exhausted, the next frame waits. `alarm` wakes a sleeping program
/// when the next frame is due; null: frames come as fast as the queue is polled.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxFilter& filter, Clock& clock, std::optional<Reader> reader, std::unique_ptr<Alarm> alarm,
          bool loop)
      : ports::RxQueue(&burst, filter, make_wake_event(alarm.get())),
        clock_(clock),
        reader_(std::move(reader)),
        alarm_(std::move(alarm)),
        loop_(loop) {}

  /// Restarts the pace: the next frame is due immediately, and the times of later ones are relative to it. Call it with
  /// the queue closed.
  void begin() noexcept { epoch_.reset(); }
  /// Whether a malformed record has ended the input. May be called from any thread.
  [[nodiscard]] bool is_malformed() const noexcept { return malformed_.load(std::memory_order_acquire); }
  /// libpcap's message about the malformed record.
  [[nodiscard]] std::string error_text() const { return reader_->error_text(); }

 private:
  /// A timestamp of the file, and the clock's time that corresponds to it.
  struct Epoch {
    std::int64_t seconds;
    std::int64_t nanoseconds;
    Duration time;
  };

  [[nodiscard]] static std::shared_ptr<ports::WakeEvent> make_wake_event(const Alarm* alarm);
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override;
  [[nodiscard]] bool read_next() noexcept;
  [[nodiscard]] Time due(Time now) noexcept;
  [[nodiscard]] bool take(Mbuf*& out) noexcept;

  Clock& clock_;
  std::optional<Reader> reader_;
  std::unique_ptr<Alarm> alarm_;  // null: frames come as fast as the queue is polled
  bool loop_;
  bool pending_ = false;     // record_ has not been received yet
  bool ended_ = false;       // no more records follow
  bool rewound_ = false;     // the input restarted in this burst
  std::uint64_t taken_ = 0;  // records since the beginning of the file
  Reader::Record record_;
  std::optional<Epoch> epoch_;
  std::atomic<bool> malformed_{false};
};

/// Writes frames to a file and completes their checksums. Drops all frames if there is no file.
class TxQueue final : public ports::TxQueue {
 public:
  TxQueue(Clock& clock, std::optional<Writer> writer) noexcept
      : ports::TxQueue(&burst), clock_(clock), writer_(std::move(writer)) {}

  /// Closes the file. Call it with the queue closed.
  void end() noexcept { writer_.reset(); }

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  void write(const Mbuf& frame, Duration now) noexcept;

  Clock& clock_;
  std::optional<Writer> writer_;
  std::vector<std::uint8_t> scratch_ =
      std::vector<std::uint8_t>(65536);  // for frames that are linearized or whose checksums are computed
};

}  // namespace pollux::pcap
