// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/receiver.hpp"

#include <algorithm>

namespace pollux::tools {

Receiver::Receiver(RxQueue& queue, MempoolCache& cache, const Options& options)
    : queue_(&queue), cache_(&cache), options_(options) {}

std::uint32_t Receiver::poll() noexcept {
  const std::uint64_t left = options_.limit - frames_.value();
  const auto limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(options_.burst, left));
  const std::uint32_t count = queue_->rx_burst(burst_, limit);
  ++polls_;
  if (count == 0) {
    ++empty_polls_;
    return 0;
  }
  busy_.include(read_cycles());
  std::uint64_t bytes = 0;
  for (const Mbuf& mbuf : burst_) {
    bytes += mbuf.packet_length();
    if (options_.check) check(mbuf);
  }
  bytes_.add(bytes);
  frames_.add(count);
  burst_.drop(consumed_, *cache_);
  return count;
}

void Receiver::check(const Mbuf& mbuf) {
  const FrameChecker::CheckResult result = checker_.check(mbuf);
  switch (result.status) {
    case FrameChecker::Status::good:
      good_.add(1);
      sequences_.observe(result.flow, result.sequence);
      break;
    case FrameChecker::Status::corrupt: ++corrupt_; break;
    case FrameChecker::Status::foreign: foreign_.add(1); break;
  }
}

}  // namespace pollux::tools
