// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/collisions.hpp"

#include <algorithm>

namespace pollux::models::igb {

bool Collisions::send() {
  if (!half_duplex_ || injected_.empty()) return true;
  const Contention next = injected_.front();
  injected_.pop_front();
  if (next.deferred) statistics_.count<hw::DC>();
  if (!count_collisions(next.collisions)) return false;
  if (!next.late) return true;
  statistics_.count<hw::LATECOL>();
  return registers_.get<hw::TCTL>().has(hw::TCTL::RTLC);
}

// TCTL.CT is the number of repetitions: with 15, the 16th collision is the last one (IEEE 802.3, attemptLimit).
bool Collisions::count_collisions(std::uint32_t collisions) {
  const std::uint32_t limit = registers_.get<hw::TCTL>().get(hw::TCTL::CT) + 1;
  const bool sent = collisions < limit;
  for (std::uint32_t i = 0; i < std::min(collisions, limit); ++i) statistics_.count<hw::COLC>();
  if (!sent) {
    statistics_.count<hw::ECOL>();
  } else if (collisions == 1) {
    statistics_.count<hw::SCC>();
  } else if (collisions > 1) {
    statistics_.count<hw::MCC>();
  }
  return sent;
}

}  // namespace pollux::models::igb
