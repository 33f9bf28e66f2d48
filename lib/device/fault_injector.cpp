// SPDX-License-Identifier: BSD-3-Clause
#include <utility>

#include "pollux/device/fault.hpp"

namespace pollux {

FaultPoint point_of(FaultKind kind) noexcept {
  switch (kind) {
    case FaultKind::ones:
    case FaultKind::zeros: return FaultPoint::read;
    case FaultKind::lost_write: return FaultPoint::write;
    case FaultKind::call_fails: return FaultPoint::call;
    case FaultKind::map_fails: return FaultPoint::map;
    case FaultKind::unmap_fails: return FaultPoint::unmap;
    case FaultKind::stuck_register: return FaultPoint::stuck_register;
    case FaultKind::lost_interrupts: return FaultPoint::vector;
    default: return FaultPoint::access;
  }
}

FaultInjector::FaultInjector(FaultPlan plan) : plan_(std::move(plan)) {}

std::uint64_t FaultInjector::occurrences(FaultPoint point) const noexcept {
  return occurrences_[static_cast<std::size_t>(point)].load(std::memory_order_relaxed);
}

bool FaultInjector::should_inject(FaultPoint point, std::uint32_t register_offset) noexcept {
  const std::uint64_t occurrence =
      occurrences_[static_cast<std::size_t>(point)].fetch_add(1, std::memory_order_relaxed);
  if (plan_.kind == FaultKind::none || point != point_of(plan_.kind) || disabled()) return false;
  if (occurrence < plan_.at || occurrence - plan_.at >= plan_.count) return false;
  if (triggers_.fetch_add(1, std::memory_order_relaxed) == 0) {
    register_.store(register_offset, std::memory_order_relaxed);
  }
  return true;
}

}  // namespace pollux
