// SPDX-License-Identifier: BSD-3-Clause
#include "observe/queue_meter.hpp"

#include <chrono>

namespace pollux::observe {
namespace {

void add_to(std::atomic<std::uint64_t>& counter, std::uint64_t value) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace

double CycleRate::per_second() const {
  const Duration passed = clock_.now() - start_;
  if (passed < std::chrono::milliseconds(1)) return 0;
  return static_cast<double>(read_cycles() - cycles_) / std::chrono::duration<double>(passed).count();
}

void RxMeter::polled(std::uint64_t frames) noexcept {
  const std::uint64_t now = read_cycles();
  if (last_poll_ != 0) {
    const std::uint64_t interval = now - last_poll_;
    poll_intervals_.add(interval);
    add_busy(interval);
  }
  last_poll_ = now;
  last_frames_ = frames;
}

void RxMeter::add_busy(std::uint64_t cycles) noexcept {
  if (last_frames_ == 0) return;
  add_to(busy_cycles_, cycles);
  add_to(busy_frames_, last_frames_);
}

// The queue may have been armed before the last poll, since polling an armed queue is allowed.
void RxMeter::slept(const RxQueue&, std::uint64_t since) noexcept {
  if (since > last_poll_ && last_poll_ != 0) add_busy(since - last_poll_);
  last_poll_ = 0;
}

void RxMeter::received(const RxQueue&, std::span<Mbuf* const> frames) noexcept {
  add_to(bursts_, 1);
  add_to(frames_, frames.size());
  burst_sizes_.add(frames.size());
  polled(frames.size());
}

void RxMeter::found_none(const RxQueue&) noexcept {
  add_to(empty_polls_, 1);
  polled(0);
}

void TxMeter::sending(const TxQueue&, std::span<Mbuf* const> frames) noexcept { given_ = frames.size(); }

void TxMeter::sent(const TxQueue&, std::uint32_t count) noexcept {
  add_to(bursts_, 1);
  add_to(frames_, count);
  add_to(refused_, given_ - count);
  burst_sizes_.add(count);
}

}  // namespace pollux::observe
