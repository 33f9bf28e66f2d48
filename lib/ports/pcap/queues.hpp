// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "files/capture_file_writer.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/files/capture_file_reader.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux::pcap {

/// Receives the frames of a file. While the pool is exhausted, the next frame waits. `alarm` wakes a sleeping program
/// when the next frame is due; null: frames come as fast as the queue is polled.
class RxQueue final : public pollux::RxQueue {
 public:
  RxQueue(const RxFilter& filter, Clock& clock, std::optional<CaptureFileReader> reader, std::unique_ptr<Alarm> alarm,
          bool loop)
      : pollux::RxQueue(&burst, &filter),
        clock_(clock),
        reader_(std::move(reader)),
        alarm_(std::move(alarm)),
        loop_(loop) {
    allow_sleeping(alarm_ != nullptr ? alarm_->event_fd() : -1);
  }

  /// Restarts the pace: the next frame is due immediately, and the times of later ones are relative to it. Call it with
  /// the queue closed.
  void begin() noexcept { epoch_.reset(); }
  /// Why the rest of the input cannot be read; nullopt: it can. May be called from any thread.
  [[nodiscard]] std::optional<Error> failure() const {
    return unreadable_.load(std::memory_order_acquire) ? std::optional(reader_->error()) : std::nullopt;
  }

 private:
  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool watch() noexcept override;
  void unwatch() noexcept override;
  [[nodiscard]] bool read_next() noexcept;
  [[nodiscard]] Time due(Time now) noexcept;
  [[nodiscard]] bool take(Mbuf*& out) noexcept;

  Clock& clock_;
  std::optional<CaptureFileReader> reader_;
  std::unique_ptr<Alarm> alarm_;  // null: frames come as fast as the queue is polled
  bool loop_;
  bool pending_ = false;  // frame_ has not been received yet
  bool ended_ = false;    // no more frames follow
  bool rewound_ = false;  // the input restarted in this burst
  CapturedFrame frame_;
  std::optional<Time> epoch_;  // the clock's time at which the first frame of the file was or would have been due
  std::atomic<bool> unreadable_{false};
};

/// Writes frames to a file and completes their checksums. Drops all frames if there is no file.
class TxQueue final : public pollux::TxQueue {
 public:
  TxQueue(Clock& clock, std::optional<files::CaptureFileWriter> writer) noexcept
      : pollux::TxQueue(&burst), clock_(clock), writer_(std::move(writer)) {}

  /// Closes the file. Call it with the queue closed.
  void end() noexcept {
    failed_.store(false, std::memory_order_release);
    writer_.reset();
  }
  /// Why frames cannot be written; nullopt: they can. May be called from any thread.
  [[nodiscard]] std::optional<Error> failure() const {
    return failed_.load(std::memory_order_acquire) ? std::optional(writer_->error()) : std::nullopt;
  }

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  void write(const Mbuf& frame, Duration now) noexcept;

  Clock& clock_;
  std::optional<files::CaptureFileWriter> writer_;
  std::atomic<bool> failed_{false};
  std::vector<std::uint8_t> scratch_ =
      std::vector<std::uint8_t>(65536);  // for frames that are linearized or whose checksums are computed
};

}  // namespace pollux::pcap
