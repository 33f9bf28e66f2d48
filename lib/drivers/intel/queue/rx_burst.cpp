// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/rx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

template <bool Remote, bool OneDelta>
POLLUX_HOT std::uint32_t burst_loop(RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return RxHotPath::burst_loop<ScalarRxLoop<OneDelta>, Remote, OneDelta>(queue, out, limit);
}

template <bool Remote, bool OneDelta>
POLLUX_HOT std::uint32_t burst(pollux::RxQueue& queue, Mbuf** out, std::uint32_t limit) noexcept {
  return RxHotPath::burst<burst_loop<Remote, OneDelta>, Remote, OneDelta>(queue, out, limit);
}

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_scalar(bool remote, bool one_delta) noexcept {
  if (remote) return one_delta ? &burst<true, true> : &burst<true, false>;
  return one_delta ? &burst<false, true> : &burst<false, false>;
}

}  // namespace pollux::drivers::intel
