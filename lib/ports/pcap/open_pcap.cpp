// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/open_pcap.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/uri_options.hpp"
#include "files/capture_file_writer.hpp"
#include "mem/context_state.hpp"
#include "net/checksums.hpp"
#include "net/frame_size.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/files/capture_file_reader.hpp"
#include "pollux/net/queue_driver.hpp"
#include "ports/common/port.hpp"

namespace pollux::pcap {
namespace {

constexpr std::array<std::uint8_t, 6> kNoDestination{};

/// Receives the frames of a file. While the pool is exhausted, the next frame waits. `alarm` wakes a sleeping program
/// when the next frame is due; null: frames come as fast as the queue is polled.
class PcapRxQueue final : public RxQueueDriver {
 public:
  PcapRxQueue(const RxFilter& filter, Clock& clock, std::optional<CaptureFileReader> reader,
              std::unique_ptr<Alarm> alarm, bool loop)
      : RxQueueDriver(&burst, &filter),
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
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
    auto& queue = static_cast<PcapRxQueue&>(base);
    if (!queue.reader_) return 0;
    queue.rewound_ = false;
    const Time now = queue.alarm_ != nullptr ? queue.clock_.now() : Time(0);
    std::uint32_t received = 0;
    // Dropped frames count towards the limit, too.
    for (std::uint32_t frames = 0; frames < limit; ++frames) {
      if (!queue.read_next() || queue.due(now) > now || !queue.take(out[received])) break;
      if (out[received] != nullptr) ++received;
    }
    queue.count_returned(received);
    return received;
  }
  // Without an alarm, a frame is always ready until the file ends, so the queue is not armed before. With an alarm, it
  // is armed if the next frame is due later.
  [[nodiscard]] bool watch() noexcept override {
    if (!reader_) return true;
    rewound_ = false;
    if (!read_next()) return ended_;
    if (alarm_ == nullptr) return false;
    const Time now = clock_.now();
    const Time next = due(now);
    if (next <= now) return false;
    alarm_->set(next);
    return true;
  }
  void unwatch() noexcept override {
    if (alarm_ != nullptr) alarm_->set(Time::max());
  }
  // Reads a frame unless one is pending. Returns false if there is none.
  [[nodiscard]] bool read_next() noexcept {
    if (pending_) return true;
    while (!ended_) {
      switch (reader_->next(frame_)) {
        case CaptureFileReader::Outcome::frame: return pending_ = true;
        case CaptureFileReader::Outcome::unreadable:
          count_error();
          ended_ = true;
          unreadable_.store(true, std::memory_order_release);
          break;
        case CaptureFileReader::Outcome::end:
          // Restart at most once per burst, and never if the file has no frames.
          if (rewound_) return false;
          ended_ = !loop_ || reader_->frames() == 0 || !reader_->rewind();
          rewound_ = true;
          break;
      }
    }
    return false;
  }
  // When the pending frame is due; Time::max(): never.
  [[nodiscard]] Time due(Time now) noexcept {
    if (alarm_ == nullptr) return now;
    if (!frame_.at) return Time::max();
    if (!epoch_) epoch_ = now - *frame_.at;
    return *frame_.at > Time::max() - std::max(*epoch_, Time(0)) ? Time::max() : *epoch_ + *frame_.at;
  }
  // Receives the pending frame. Sets `out` to its mbuf, or to nullptr if it was dropped. Returns false if the pool is
  // exhausted; the frame then stays pending.
  [[nodiscard]] bool take(Mbuf*& out) noexcept {
    out = nullptr;
    const std::uint8_t* const bytes = frame_.bytes.data();
    if (frame_.length < kEthernetHeaderBytes) {
      drop(&RxDrops::too_short, kNoDestination.data(), frame_.length);
    } else if (!frame_.is_whole()) {
      const bool has_destination = frame_.bytes.size() >= kNoDestination.size();
      drop(&RxDrops::truncated, has_destination ? bytes : kNoDestination.data(), frame_.length);
    } else if (frame_.length > filter().longest()) {
      drop(&RxDrops::too_long, bytes, frame_.length);
    } else {
      MbufPtr mbuf = copy(frame_.bytes);
      if (mbuf == nullptr) return false;
      count_arrival(bytes, frame_.length);
      out = mbuf.release();
    }
    pending_ = false;
    return true;
  }

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
class PcapTxQueue final : public TxQueueDriver {
 public:
  PcapTxQueue(Clock& clock, std::optional<files::CaptureFileWriter> writer)
      : TxQueueDriver(&burst), clock_(clock), writer_(std::move(writer)) {}

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
  static std::uint32_t burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    auto& queue = static_cast<PcapTxQueue&>(base);
    if (count == 0) return 0;
    const Duration now = queue.clock_.now();
    std::uint64_t frames = 0;
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (queue.reject(mbufs[i])) continue;
      ++frames;
      bytes += mbufs[i]->packet_length();
      if (queue.writer_) queue.write(*mbufs[i], now);
      queue.give_back(*mbufs[i]);
    }
    if (!queue.writer_) {
      queue.count_drops(&TxDrops::no_file, frames);
    } else if (frames != 0 && queue.writer_->flush()) {
      queue.count_sent(bytes, frames);
    } else if (frames != 0) {
      queue.count_drops(&TxDrops::write_failed, frames);
      queue.failed_.store(true, std::memory_order_release);
    }
    queue.count_taken(count);
    return count;
  }
  void write(const Mbuf& frame, Duration now) noexcept {
    const bool is_partial = frame.has_partial_checksum();
    if (frame.segments() == 1 && !is_partial) return writer_->put(std::as_bytes(frame.bytes()), now);
    const std::span<std::uint8_t> whole(scratch_.data(), frame.copy_out(0, scratch_));
    if (is_partial) complete_checksums_in(whole, frame.tx_offload());
    writer_->put(std::as_bytes(whole), now);
  }

  Clock& clock_;
  std::optional<files::CaptureFileWriter> writer_;
  std::atomic<bool> failed_{false};
  std::vector<std::uint8_t> scratch_ =
      std::vector<std::uint8_t>(65536);  // for frames that are linearized or whose checksums are computed
};

constexpr std::string_view kExample =
    "pcap:in=FILE,out=FILE (either may be omitted), with pace=real or loop for the input";
constexpr std::array<std::string_view, 4> kKeys{"in", "out", "pace", "loop"};
constexpr std::array kRxDrops{&RxDrops::too_short, &RxDrops::too_long, &RxDrops::truncated};
constexpr std::array kTxDrops{&TxDrops::no_file, &TxDrops::write_failed};
constexpr ports::PortTraits kTraits{.driver = "pcap",
                                    .what = "capture files",
                                    .limits = software_limits(1, 1),
                                    .offloads = software_offloads(TxOffload::kChecksums),
                                    .rx_drops = kRxDrops,
                                    .tx_drops = kTxDrops};

class PcapPort final : public ports::SoftwarePort {
 public:
  PcapPort(const ports::PortIdentity& identity, std::optional<CaptureFileReader> reader,
           std::optional<files::CaptureFileWriter> writer, std::unique_ptr<Alarm> alarm, bool loop)
      : ports::SoftwarePort(identity, kTraits),
        rx_(filter(), context()->clock(), std::move(reader), std::move(alarm), loop),
        tx_(context()->clock(), std::move(writer)) {
    add(rx_);
    add(tx_);
  }

  [[nodiscard]] Result<Duration> service() override {
    log_failures();
    return ports::SoftwarePort::service();
  }

 private:
  [[nodiscard]] Result<void> begin() override {
    rx_.begin();
    return {};
  }
  void close() override {
    log_failures();
    tx_.end();
  }
  void log_failures() {
    const auto log_once = [this](const std::optional<Error>& failure, bool& logged) {
      if (failure && !std::exchange(logged, true)) context()->log(LogLevel::error, failure->message());
    };
    log_once(rx_.failure(), input_logged_);
    log_once(tx_.failure(), output_logged_);
  }

  PcapRxQueue rx_;
  PcapTxQueue tx_;
  bool input_logged_ = false;
  bool output_logged_ = false;
};

tl::unexpected<Error> reject(std::string_view name, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': {}", name, what), fmt::format("write {}", kExample));
}

/// What the file of a key is opened as; nullopt without that key.
template <class File>
Result<std::optional<File>> open_file(const UriOptions& options, std::string_view key, std::string_view name,
                                      const auto& open) {
  const auto path = options.get(key);
  if (!path) return std::nullopt;
  Result<File> file = open(std::string(*path), name);
  if (!file) return pass_on(std::move(file));
  return std::optional<File>(*std::move(file));
}

}  // namespace

Result<std::unique_ptr<PortDriver>> open_pcap(Context& context, std::string_view which) {
  const std::string name = fmt::format("pcap:{}", which);
  auto options = UriOptions::parse(which, kKeys, name, kExample);
  if (!options) return pass_on(std::move(options));
  const bool has_input = options->has("in");
  if (!has_input && !options->has("out")) return reject(name, "in or out is required");
  if (options->get("in") == "" || options->get("out") == "") return reject(name, "a file name is empty");
  const std::string_view pace = options->get("pace").value_or("none");
  if (pace != "none" && pace != "real") return reject(name, "pace must be real or none");
  const auto loop = options->flag("loop");
  if (!loop) return tl::unexpected<Error>(loop.error());
  if (!has_input && (options->has("pace") || options->has("loop"))) return reject(name, "pace and loop need in=FILE");

  auto reader = open_file<CaptureFileReader>(*options, "in", name, &CaptureFileReader::open);
  if (!reader) return pass_on(std::move(reader));
  const auto create = [&](const std::string& path, std::string_view of) {
    return files::CaptureFileWriter::create(path, of, context.clock());
  };
  auto writer = open_file<files::CaptureFileWriter>(*options, "out", name, create);
  if (!writer) return pass_on(std::move(writer));
  std::unique_ptr<Alarm> alarm;
  if (pace == "real") {
    auto made = context.clock().make_alarm();
    if (!made) return pass_on(std::move(made));
    alarm = *std::move(made);
  }
  return ports::make_port<PcapPort>(context, name, ports::mac_for(name), *std::move(reader), *std::move(writer),
                                    std::move(alarm), *loop);
}

}  // namespace pollux::pcap
