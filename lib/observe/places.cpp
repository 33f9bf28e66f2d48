// SPDX-License-Identifier: BSD-3-Clause
#include "observe/places.hpp"

#include <algorithm>
#include <cstddef>
#include <map>

namespace pollux::observe {

const Place* place_for(std::span<const Place> taken, uid_t newcomer) {
  const Place* idle = nullptr;
  std::map<uid_t, std::size_t> counts;
  for (const Place& place : taken) {
    ++counts[place.user];
    if (place.is_idle && (idle == nullptr || place.active < idle->active)) idle = &place;
  }
  if (idle != nullptr || taken.empty()) return idle;
  const auto most = std::ranges::max_element(counts, {}, [](const auto& count) { return count.second; });
  if (most->second < counts[newcomer] + 2) return nullptr;
  const Place* silent = nullptr;  // for the longest time
  for (const Place& place : taken) {
    if (place.user != most->first) continue;
    if (silent == nullptr || place.active < silent->active) silent = &place;
  }
  return silent;
}

}  // namespace pollux::observe
