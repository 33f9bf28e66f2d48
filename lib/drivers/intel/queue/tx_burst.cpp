// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/tx_burst.hpp"

namespace pollux::drivers::intel {
namespace {

template <bool Remote, bool Small>
POLLUX_HOT std::uint32_t burst_loop(TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst_loop<ScalarTxLoop, Remote, Small>(queue, mbufs, count);
}

template <bool Remote, bool Small>
POLLUX_HOT std::uint32_t burst(pollux::TxQueue& queue, Mbuf* const* mbufs, std::uint32_t count) noexcept {
  return TxHotPath::burst<burst_loop<Remote, Small>, Remote, Small>(queue, mbufs, count);
}

}  // namespace

pollux::TxQueue::BurstFunction* tx_burst_scalar(bool remote, bool small) noexcept {
  if (remote) return small ? &burst<true, true> : &burst<true, false>;
  return small ? &burst<false, true> : &burst<false, false>;
}

}  // namespace pollux::drivers::intel
