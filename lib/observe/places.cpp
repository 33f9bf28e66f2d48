// SPDX-License-Identifier: BSD-3-Clause
#include "observe/places.hpp"

#include <cstddef>
#include <map>
#include <tuple>

namespace pollux::observe {

const Place* place_for(std::span<const Place> taken, uid_t newcomer) {
  std::map<uid_t, std::ptrdiff_t> counts;
  for (const Place& place : taken) ++counts[place.user];
  const Place* lost = nullptr;
  for (const Place& place : taken) {
    if (counts[place.user] < counts[newcomer] + (place.is_idle ? 0 : 2)) continue;
    const auto order = [&](const Place& one) { return std::tuple(!one.is_idle, -counts[one.user], one.active); };
    if (lost == nullptr || order(place) < order(*lost)) lost = &place;
  }
  return lost;
}

}  // namespace pollux::observe
