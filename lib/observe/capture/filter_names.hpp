// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pollux::observe {

/// The first word of a filter expression (pcap-filter(7)) that libpcap would look up as the name of a host or network,
/// which may ask a name server and take many seconds. nullopt: there is none. Names of ports and protocols are read
/// from files, and are none. In doubt, a word that is in no valid expression counts as a name.
[[nodiscard]] std::optional<std::string> name_to_look_up(std::string_view expression);

}  // namespace pollux::observe
