// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/rx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

template <bool Remote, bool OneDelta>
POLLUX_HOT std::uint32_t burst_loop(RxRing& ring, Mbuf** out, std::uint32_t limit) noexcept {
  return rx_burst_loop<ScalarRxLoop<OneDelta>, Remote, OneDelta>(ring, out, limit);
}

template <bool Remote, bool OneDelta>
constexpr pollux::RxQueue::BurstFunction* kBurst = &rx_burst<burst_loop<Remote, OneDelta>, Remote, OneDelta>;

}  // namespace

pollux::RxQueue::BurstFunction* rx_burst_scalar(bool remote, bool one_delta) noexcept {
  if (remote) return one_delta ? kBurst<true, true> : kBurst<true, false>;
  return one_delta ? kBurst<false, true> : kBurst<false, false>;
}

}  // namespace pollux::drivers::intel
