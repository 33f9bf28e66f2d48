// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/ethtool.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "port.hpp"

namespace pollux::ethtool {

/// Answers one request of SIOCETHTOOL. `data`: the structure of the request, as linux/ethtool.h declares it.
using Answer = int(Port& port, void* data);

struct Verb {
  std::uint32_t command = 0;  ///< such as ETHTOOL_GDRVINFO
  Answer* answer = nullptr;
};

/// The tables of verbs, each in its own file.
[[nodiscard]] std::span<const Verb> driver_verbs();
[[nodiscard]] std::span<const Verb> statistics_verbs();
[[nodiscard]] std::span<const Verb> link_verbs();
[[nodiscard]] std::span<const Verb> queue_verbs();
[[nodiscard]] std::span<const Verb> feature_verbs();
[[nodiscard]] std::span<const Verb> memory_verbs();
[[nodiscard]] std::span<const Verb> rss_verbs();
[[nodiscard]] std::span<const Verb> flow_verbs();
[[nodiscard]] std::span<const Verb> control_verbs();

/// The strings of a set (ETH_SS_STATS and so on), in the order of their values; nullopt: no such set.
[[nodiscard]] std::optional<std::vector<std::string>> strings_of(Port& port, std::uint32_t set);
/// The strings of each set.
[[nodiscard]] std::vector<std::string> statistics_names(Port& port);
[[nodiscard]] std::vector<std::string> feature_names();
[[nodiscard]] std::vector<std::string> hash_names();
[[nodiscard]] std::vector<std::string> test_names();

/// Copies a text to a field of `size` bytes, with a zero at its end.
void put(char* field, std::size_t size, const std::string& text);

}  // namespace pollux::ethtool
