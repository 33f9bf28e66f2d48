// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux {

/// What a PHY sends on a twisted pair while there are no frames. The PHY at the other end derives speed and duplex mode
/// from it (IEEE 802.3, clauses 28 and 40). The default is an ordinary link partner that supports every mode.
struct LinkSignal {
  enum class Crossover : std::uint8_t { automatic, mdi, mdix };
  enum class Role : std::uint8_t { automatic, master, slave };
  /// 10 and 100 Mb/s with half and full duplex, symmetric and asymmetric pause, selector IEEE 802.3.
  static constexpr std::uint16_t kAllAbilities = 0x0DE1;

  /// The modes up to 100 Mb/s that the PHY advertises, or its forced mode, in the format of PHY register 5.
  std::uint16_t abilities = kAllAbilities;
  bool gigabit_half = true;
  bool gigabit_full = true;
  /// False if the PHY is forced to one mode. Parallel detection then finds its speed but not its duplex mode, so a link
  /// partner that negotiates chooses half duplex.
  bool negotiates = true;
  bool present = true;  ///< false: the PHY is powered down, in reset or in loopback
  bool busy = false;    ///< the PHY has not finished its part of the negotiation
  Crossover crossover = Crossover::automatic;
  Role role = Role::automatic;  ///< at 1000 Mb/s

  [[nodiscard]] bool operator==(const LinkSignal&) const = default;
};

}  // namespace pollux
