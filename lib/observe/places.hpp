// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <span>

#include "pollux/base/clock.hpp"

namespace pollux::observe {

/// One of a limited number of places, which a client or its capture has.
struct Place {
  std::uint64_t client = 0;
  uid_t user = 0;
  Time active{};         ///< when the client gave its last sign of life
  bool is_idle = false;  ///< it has given none for kIdleTime, and waits for nothing
};

constexpr Duration kIdleTime = std::chrono::seconds(1);

/// The place that is lost to a newcomer's where all are taken; nullptr if none is. It is an idle one, unless its user
/// has fewer places than the newcomer's, or else one of a user who would still have as many as the newcomer's. Of
/// several it is one of the user with most places, the one that has been silent for the longest time.
[[nodiscard]] const Place* place_for(std::span<const Place> taken, uid_t newcomer);

}  // namespace pollux::observe
