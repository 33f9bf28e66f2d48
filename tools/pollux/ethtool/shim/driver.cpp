// SPDX-License-Identifier: BSD-3-Clause
// What the port is: ethtool -i and -P, and the sets of strings that other verbs need.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "hex.hpp"
#include "memory.hpp"
#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

/// The bus address of a card that VFIO gives to the program, as the kernel names it; else the port's URI.
std::string bus_info(const std::string& uri) {
  constexpr std::string_view kScheme = "vfio:";
  if (!uri.starts_with(kScheme)) return uri;
  return uri.substr(kScheme.size(), uri.find('?') - kScheme.size());
}

/// ethtool decodes a dump of registers by the name of a driver of Linux, and reads as far as that driver's dump goes,
/// however long the dump is. So igb keeps its name with a dump of that length or none, and others whose dumps ethtool
/// does not decode.
std::string driver_name(const std::string& name, std::uint32_t dump_bytes) {
  constexpr std::array<std::string_view, 7> kNotDecoded{"igbvf", "virtio_net", "xdp", "tap", "ring", "pcap", "null"};
  const bool is_igb = name == "igb" && (dump_bytes == kIgbDumpBytes || dump_bytes == 0);
  return is_igb || std::ranges::find(kNotDecoded, name) != kNotDecoded.end() ? name : "pollux-" + name;
}

int driver_info(Port& port, void* data) {
  Json info;
  if (const int error = port.ask("port.info", info)) return error;
  Json process;
  if (const int error = port.ask("process", process)) return error;
  auto& driver = *static_cast<ethtool_drvinfo*>(data);
  driver = {};
  driver.cmd = ETHTOOL_GDRVINFO;
  put(driver.version, sizeof driver.version, text(process, "version"));
  put(driver.bus_info, sizeof driver.bus_info, bus_info(text(info, "uri")));
  const NvmSummary nvm = nvm_summary(port);
  put(driver.fw_version, sizeof driver.fw_version, nvm.version);
  driver.eedump_len = nvm.bytes;
  driver.regdump_len = register_bytes(port);
  put(driver.driver, sizeof driver.driver, driver_name(text(info, "driver"), driver.regdump_len));
  if (contains(member(info, "capabilities"), "self_test"))
    driver.testinfo_len = static_cast<std::uint32_t>(test_names().size());
  driver.n_stats = static_cast<std::uint32_t>(statistics_names(port).size());
  return 0;
}

constexpr std::array kSets{ETH_SS_TEST, ETH_SS_STATS, ETH_SS_FEATURES, ETH_SS_RSS_HASH_FUNCS};

// The mask of the answer has the sets that exist, and their lengths follow in the order of its bits.
int set_lengths(Port& port, void* data) {
  auto& request = *static_cast<ethtool_sset_info*>(data);
  const std::uint64_t wanted = request.sset_mask;
  std::uint32_t* length = request.data;
  request.sset_mask = 0;
  for (const std::uint32_t set : kSets) {
    const std::uint64_t bit = std::uint64_t{1} << set;
    if ((wanted & bit) == 0) continue;
    const auto strings = strings_of(port, set);
    if (!strings) continue;
    request.sset_mask |= bit;
    *length++ = static_cast<std::uint32_t>(strings->size());
  }
  return 0;
}

int strings(Port& port, void* data) {
  auto& request = *static_cast<ethtool_gstrings*>(data);
  const auto all = strings_of(port, request.string_set);
  if (!all) return EOPNOTSUPP;
  request.len = std::min(request.len, static_cast<std::uint32_t>(all->size()));
  char* field = reinterpret_cast<char*>(request.data);  // NOLINT(*-reinterpret-cast): bytes of a C structure
  for (std::uint32_t i = 0; i < request.len; ++i, field += ETH_GSTRING_LEN) put(field, ETH_GSTRING_LEN, (*all)[i]);
  return 0;
}

constexpr std::uint32_t kAddressBytes = 6;

int permanent_address(Port& port, void* data) {
  Json info;
  if (const int error = port.ask("port.info", info)) return error;
  auto& address = *static_cast<ethtool_perm_addr*>(data);
  std::string digits = text(info, "permanent_mac");
  std::erase(digits, ':');
  const auto bytes = bytes_of(digits);
  if (!bytes || bytes->size() != kAddressBytes) return EOPNOTSUPP;
  if (address.size < kAddressBytes) return EINVAL;
  address.size = kAddressBytes;
  std::ranges::copy(*bytes, address.data);
  return 0;
}

constexpr std::array kDriverVerbs{
    Verb{ETHTOOL_GDRVINFO, driver_info},
    Verb{ETHTOOL_GSSET_INFO, set_lengths},
    Verb{ETHTOOL_GSTRINGS, strings},
    Verb{ETHTOOL_GPERMADDR, permanent_address},
};

}  // namespace

void put(char* field, std::size_t size, const std::string& text) {
  const std::size_t length = text.copy(field, size - 1);
  std::memset(field + length, 0, size - length);
}

std::optional<std::vector<std::string>> strings_of(Port& port, std::uint32_t set) {
  switch (set) {
    case ETH_SS_STATS: return statistics_names(port);
    case ETH_SS_FEATURES: return feature_names();
    case ETH_SS_TEST: return test_names();
    case ETH_SS_RSS_HASH_FUNCS: return hash_names();
    default: return std::nullopt;
  }
}

std::span<const Verb> driver_verbs() { return kDriverVerbs; }

}  // namespace pollux::ethtool
