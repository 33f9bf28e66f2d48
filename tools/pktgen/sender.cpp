// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/sender.hpp"

#include <algorithm>
#include <utility>

namespace pollux::tools {

Sender::Sender(TxQueue& queue, MempoolCache& cache, Clock& clock, std::unique_ptr<FrameSource> frames,
               const Options& options)
    : queue_(&queue),
      cache_(&cache),
      clock_(&clock),
      frames_(std::move(frames)),
      pacer_(options.pace),
      options_(options) {}

void Sender::poll() noexcept {
  const std::uint64_t now = read_cycles();
  if (burst_.empty()) build();
  // Also with an empty burst, since this call frees the buffers of sent frames.
  const std::uint32_t taken = queue_->tx_burst(burst_);
  if (taken == 0) return;
  busy_.include(now);
  count_taken(taken);
  if (burst_.empty() && frames_->next_length() == 0) ended_.store(true, std::memory_order_relaxed);
}

void Sender::build() noexcept {
  gone_ = 0;
  const std::uint64_t left = options_.count - built_;
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.burst, left));
  if (pacer_.unlimited()) {
    build_burst(limit);
  } else {
    build_due(limit);
  }
}

void Sender::build_burst(std::uint32_t limit) noexcept {
  // A nearly exhausted pool refills when the queue frees sent frames; until then fewer are sent.
  while (limit != 0 && !burst_.fill(*cache_, limit)) limit /= 2;
  for (std::uint32_t place = 0; place < limit; ++place) {
    if (frames_->next_length() != 0 && build_next(burst_[place], place)) continue;
    while (burst_.size() > place) cache_->free(burst_.pop());
    return;
  }
}

void Sender::build_due(std::uint32_t limit) noexcept {
  const Time now = clock_->now();
  for (std::uint32_t place = 0; place < limit && frames_->next_length() != 0; ++place) {
    if (!pacer_.due(now, *frames_)) return;
    MbufPtr mbuf = cache_->allocate();
    if (mbuf == nullptr || !build_next(*mbuf, place)) return;
    pacer_.sent(lengths_[place]);
    static_cast<void>(burst_.push(mbuf));  // there is room: the limit is below its capacity
  }
}

bool Sender::build_next(Mbuf& mbuf, std::uint32_t place) noexcept {
  lengths_[place] = frames_->next_length();
  if (!frames_->build(mbuf, *cache_)) return false;
  ++built_;
  return true;
}

void Sender::count_taken(std::uint32_t taken) noexcept {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < taken; ++i) bytes += lengths_[gone_ + i];
  gone_ += taken;
  taken_.add(taken);
  taken_bytes_.add(bytes);
}

}  // namespace pollux::tools
