// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/tx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

template <bool Remote, bool Small>
POLLUX_HOT std::uint32_t burst_loop(TxRing& ring, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return tx_burst_loop<ScalarTxLoop, Remote, Small>(ring, mbufs, count);
}

template <bool Remote, bool Small>
constexpr pollux::TxQueue::BurstFunction* kBurst = &tx_burst<burst_loop<Remote, Small>, Remote, Small>;

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_scalar(bool remote, bool small) noexcept {
  if (remote) return small ? kBurst<true, true> : kBurst<true, false>;
  return small ? kBurst<false, true> : kBurst<false, false>;
}

}  // namespace pollux::drivers::intel
