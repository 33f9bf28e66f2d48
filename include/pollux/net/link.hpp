// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "pollux/base/api.hpp"

namespace pollux {

/// Whether both ends may send at the same time.
enum class Duplex { half, full };

/// The state of the link, as the card reports it.
struct Link {
  bool up = false;               ///< whether frames can pass
  std::uint32_t speed = 0;       ///< Mb/s; 10,000 for a port without a card; 0 while down
  Duplex duplex = Duplex::full;  ///< half: the card handles collisions and back-off
  bool autonegotiated = true;    ///< false: both are forced, or the port has no wire

  [[nodiscard]] bool operator==(const Link&) const = default;
};

/// "up, 1000 Mb/s, full duplex" or "down".
[[nodiscard]] POLLUX_API std::string to_string(const Link& link);

/// An Ethernet address, first byte on the wire first.
using MacAddress = std::array<std::uint8_t, 6>;

/// "52:54:00:12:34:56"
[[nodiscard]] POLLUX_API std::string to_string(const MacAddress& mac);

}  // namespace pollux
