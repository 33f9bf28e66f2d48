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
    if (one.push(done) && out_->tx_burst(one) == 0) one.pop().reset();  // its ring is full
  }
}

void Forwarder::take(MbufPtr mbuf, Time now) {
  if (random_.chance(options_.loss / 1e6) || waiting_.size() >= options_.queue) return;  // frees the frame
  free_.delay_until(now);
  if (options_.rate != 0) free_.advance(1);
  waiting_.push_back({std::move(mbuf), free_.next()});
}

}  // namespace pollux::tool::bench
