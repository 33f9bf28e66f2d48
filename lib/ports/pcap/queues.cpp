// SPDX-License-Identifier: BSD-3-Clause
#include "ports/pcap/queues.hpp"

#include <algorithm>
#include <array>

#include "net/checksums.hpp"
#include "net/frame_size.hpp"

namespace pollux::pcap {
namespace {

constexpr std::array<std::uint8_t, 6> kNoDestination{};

}  // namespace

// Reads a frame unless one is pending. Returns false if there is none.
bool RxQueue::read_next() noexcept {
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
Time RxQueue::due(Time now) noexcept {
  if (alarm_ == nullptr) return now;
  if (!frame_.at) return Time::max();
  if (!epoch_) epoch_ = now - *frame_.at;
  return *frame_.at > Time::max() - std::max(*epoch_, Time(0)) ? Time::max() : *epoch_ + *frame_.at;
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

// Receives the pending frame. Sets `out` to its mbuf, or to nullptr if it was dropped. Returns false if the pool is
// exhausted; the frame then stays pending.
bool RxQueue::take(Mbuf*& out) noexcept {
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

std::uint32_t RxQueue::burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
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

void TxQueue::write(const Mbuf& frame, Duration now) noexcept {
  const bool is_partial = frame.has_partial_checksum();
  if (frame.segments() == 1 && !is_partial) return writer_->put(std::as_bytes(frame.bytes()), now);
  const std::span<std::uint8_t> whole(scratch_.data(), frame.copy_out(0, scratch_));
  if (is_partial) complete_checksums_in(whole, frame.tx_offload());
  writer_->put(std::as_bytes(whole), now);
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

}  // namespace pollux::pcap
