// SPDX-License-Identifier: BSD-3-Clause
#include "bench/forwarder.hpp"

#include <algorithm>
#include <utility>

namespace pollux::tool::bench {

Forwarder::Forwarder(RxQueue& in, TxQueue& out, const ForwarderOptions& options)
    : in_(&in),
      out_(&out),
      options_(options),
      free_(Time(0), std::max<std::uint64_t>(options.rate, 1)),
      random_(options.seed) {}

void Forwarder::poll(Time now) {
  Burst<1> one;
  while (in_->rx_burst(one) != 0) take(one.pop(), now);
  while (next() <= now) {
    MbufPtr done = std::move(waiting_.front().mbuf);
    waiting_.pop_front();
    if (one.push(done) && out_->tx_burst(one) == 0) drop(one.pop(), ring_full_);
  }
}

void Forwarder::take(MbufPtr mbuf, Time now) {
  if (chance(options_.loss)) return drop(std::move(mbuf), lost_);
  if (waiting_.size() >= options_.queue) return drop(std::move(mbuf), queue_full_);
  free_.delay_until(now);
  if (options_.rate != 0) free_.advance(1);
  waiting_.push_back({std::move(mbuf), free_.next()});
}

void Forwarder::drop(MbufPtr mbuf, DropCounter& reason) noexcept {
  mbuf.reset();
  reason.add(1);
}

// splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
bool Forwarder::chance(std::uint32_t millionths) noexcept {
  random_ += 0x9E3779B97F4A7C15U;
  std::uint64_t value = random_;
  value = (value ^ value >> 30U) * 0xBF58476D1CE4E5B9U;
  value = (value ^ value >> 27U) * 0x94D049BB133111EBU;
  return (value ^ value >> 31U) % 1'000'000 < millionths;
}

}  // namespace pollux::tool::bench
