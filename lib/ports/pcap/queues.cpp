// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/queues.hpp"

#include <array>

#include "net/checksums.hpp"

namespace pollux::pcap {
namespace {

constexpr std::array<std::uint8_t, 6> kNoDestination{};

}  // namespace

// Reads a record unless one is pending. Returns false if there is none.
bool RxQueue::read_next() noexcept {
  if (pending_) return true;
  while (!ended_) {
    switch (reader_->next(record_)) {
      case Reader::Outcome::record: return pending_ = true;
      case Reader::Outcome::malformed:
        count_error();
        ended_ = true;
        malformed_.store(true, std::memory_order_release);
        break;
      case Reader::Outcome::end:
        // Restart at most once per burst, and never if the file has no records.
        if (rewound_) return false;
        ended_ = !loop_ || taken_ == 0 || !reader_->rewind();
        rewound_ = true;
        taken_ = 0;
        epoch_.reset();
        break;
    }
  }
  return false;
}

// When the pending record is due; Time::max(): never.
Time RxQueue::due(Time now) noexcept {
  if (alarm_ == nullptr) return now;
  if (!epoch_) epoch_ = Epoch{record_.seconds, record_.nanoseconds, now};
  // Timestamps are untrusted, so arithmetic must not overflow. A frame older than the first one is due at once.
  constexpr std::int64_t kLongest = 1'000'000'000;  // seconds
  std::int64_t seconds = 0;
  if (__builtin_sub_overflow(record_.seconds, epoch_->seconds, &seconds)) {
    return record_.seconds < epoch_->seconds ? now : Time::max();
  }
  if (seconds < 0) return now;
  if (seconds > kLongest) return Time::max();
  std::int64_t nanoseconds = 0;
  if (__builtin_sub_overflow(record_.nanoseconds, epoch_->nanoseconds, &nanoseconds)) return now;
  if (__builtin_add_overflow(nanoseconds, Duration(std::chrono::seconds(seconds)).count(), &nanoseconds) ||
      __builtin_add_overflow(nanoseconds, epoch_->time.count(), &nanoseconds)) {
    return Time::max();
  }
  return Time(nanoseconds);
}

std::shared_ptr<ports::WakeEvent> RxQueue::make_wake_event(const Alarm* alarm) {
  return alarm != nullptr ? std::make_shared<ports::WakeEvent>(alarm->event_fd())
                          : std::make_shared<ports::WakeEvent>();
}

// Without an alarm, a frame is always ready until the file ends, so the queue is not armed before. With an alarm, it is
// armed if the next frame is due later.
bool RxQueue::watch() noexcept {
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

void RxQueue::unwatch() noexcept {
  if (alarm_ != nullptr) alarm_->set(Time::max());
}

// Receives the pending record. Sets `out` to its mbuf, or to nullptr if it was dropped. Returns false if the pool is
// exhausted; the record then stays pending.
bool RxQueue::take(Mbuf*& out) noexcept {
  out = nullptr;
  if (record_.length < kEthernetHeaderBytes) {
    drop(ports::RxDrop::too_short, kNoDestination.data(), record_.length);
  } else if (record_.bytes.size() < record_.length) {
    const bool has_destination = record_.bytes.size() >= kNoDestination.size();
    drop(ports::RxDrop::truncated, has_destination ? record_.bytes.data() : kNoDestination.data(), record_.length);
  } else if (record_.length > filter().longest()) {
    drop(ports::RxDrop::too_long, record_.bytes.data(), record_.length);
  } else {
    MbufPtr frame = copy(record_.bytes.first(record_.length));
    if (frame == nullptr) return false;
    count_arrival(record_.bytes.data(), record_.length);
    out = frame.release();
  }
  pending_ = false;
  ++taken_;
  return true;
}

std::uint32_t RxQueue::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  if (!queue.reader_) return 0;
  queue.rewound_ = false;
  const Time now = queue.alarm_ != nullptr ? queue.clock_.now() : Time(0);
  std::uint32_t received = 0;
  // Dropped records count towards the limit, too.
  for (std::uint32_t records = 0; records < limit; ++records) {
    if (!queue.read_next() || queue.due(now) > now || !queue.take(out[received])) break;
    if (out[received] != nullptr) ++received;
  }
  queue.count_handed_out(received);
  return received;
}

void TxQueue::write(const Mbuf& frame, Duration now) noexcept {
  const bool is_partial = frame.has_partial_checksum();
  if (frame.segments() == 1 && !is_partial) return writer_->put(frame.bytes(), now);
  const std::span<std::uint8_t> whole(scratch_.data(), frame.copy_out(0, scratch_));
  if (is_partial) complete_checksums_in(whole, frame.tx_offload());
  writer_->put(whole, now);
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
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
    queue.count_drops(ports::TxDrop::no_file, frames);
  } else if (frames != 0 && queue.writer_->flush()) {
    queue.count_sent(bytes, frames);
  } else {
    queue.count_drops(ports::TxDrop::write_failed, frames);
  }
  queue.count_taken(count);
  return count;
}

}  // namespace pollux::pcap
