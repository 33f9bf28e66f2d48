// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/igb/forward_burst.hpp"

namespace pollux::igb {
namespace {

template <bool Remote, bool Small, bool OneDelta>
POLLUX_HOT std::uint32_t several(ForwardQueue& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::several<ScalarForwardRunner<OneDelta>, Remote, Small>(path, frames, limit);
}

template <bool Remote, bool Small, bool OneDelta>
POLLUX_HOT std::uint32_t burst(ForwardPath& path, ForwardedFrame* frames, std::uint32_t limit) noexcept {
  return ForwardHotPath::burst<several<Remote, Small, OneDelta>, Remote, Small, OneDelta>(path, frames, limit);
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

}  // namespace pollux::igb
