// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/link.hpp"

#include <fmt/format.h>

namespace pollux {

std::string to_string(const Link& link) {
  if (!link.up) return "down";
  return fmt::format("up, {} Mb/s, {} duplex", link.speed, link.duplex == Duplex::full ? "full" : "half");
}

std::string to_string(const MacAddress& mac) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

}  // namespace pollux
