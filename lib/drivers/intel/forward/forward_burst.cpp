// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/forward/forward_burst.hpp"

namespace pollux::drivers::intel {
namespace {

template <bool Remote, bool Small, bool OneDelta>
POLLUX_HOT std::uint32_t burst_loop(ForwardQueue& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst_loop<ScalarForwardLoop<OneDelta>, Remote, Small>(path, frames, limit);
}

template <bool Remote, bool Small, bool OneDelta>
POLLUX_HOT std::uint32_t burst(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst<burst_loop<Remote, Small, OneDelta>, Remote, Small, OneDelta>(path, frames, limit);
}

template <bool Remote, bool Small>
ForwardPath::BurstFunction* choose(bool one_delta) noexcept {
  return one_delta ? &burst<Remote, Small, true> : &burst<Remote, Small, false>;
}

}  // namespace

ForwardPath::BurstFunction* forward_burst_scalar(bool remote, bool small, bool one_delta) noexcept {
  if (remote) return small ? choose<true, true>(one_delta) : choose<true, false>(one_delta);
  return small ? choose<false, true>(one_delta) : choose<false, false>(one_delta);
}

}  // namespace pollux::drivers::intel
