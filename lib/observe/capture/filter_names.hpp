// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pollux::observe {

/// The first word of a filter expression (pcap-filter(7)) that libpcap would look up as the name of a host or network,
/// which may ask a name server and take many seconds. nullopt: there is none. Names of ports and protocols are read
/// from files. They are accepted only right after "port", "portrange", "proto" and "protochain", in a list of those and
/// in one pair of parentheses after such a word; in doubt, a word counts as a name.
[[nodiscard]] std::optional<std::string> name_to_look_up(std::string_view expression);

/// Number of words in the expression: keywords, names, numbers and addresses.
[[nodiscard]] std::size_t count_words(std::string_view expression);

}  // namespace pollux::observe
