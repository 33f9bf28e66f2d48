// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/net/settings.hpp"

namespace pollux::test {

/// For Port::change: the port receives that VLAN, or does not any more.
[[nodiscard]] inline auto with_vlan(std::uint16_t vlan, bool receive = true) {
  return [=](Settings& settings) {
    if (!settings.vlans) settings.vlans.emplace();
    settings.vlans->set(vlan, receive);
  };
}

/// RSS as it is in force on a port.
[[nodiscard]] inline RssConfig rss_of(const auto& port) { return effective_rss(port.settings(), port.info().limits); }

}  // namespace pollux::test
