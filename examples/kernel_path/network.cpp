// SPDX-License-Identifier: BSD-3-Clause
#include "kernel_path/network.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>

#include "command_line.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::examples {

std::optional<InterfaceAddress> parse_interface_address(const std::string& text) {
  const std::size_t slash = std::min(text.find('/'), text.size());
  const std::string ip = text.substr(0, slash);
  InterfaceAddress address{.ipv6 = ip.find(':') != std::string::npos};
  const std::uint8_t longest = address.ipv6 ? 128 : 32;
  const auto prefix =
      read_number<std::uint8_t>(std::string_view(text).substr(std::min(slash + 1, text.size())), 0, longest);
  if (!prefix || inet_pton(address.ipv6 ? AF_INET6 : AF_INET, ip.c_str(), address.bytes.data()) != 1) return {};
  address.prefix = *prefix;
  return address;
}

Result<InterfaceNetwork> network_before_bind(std::string_view port) {
  constexpr std::string_view kScheme = "vfio:";
  constexpr const char* kGiveAddresses = "give the interface its addresses: --ip 10.0.0.1/24";
  if (!port.starts_with(kScheme)) {
    return fail(ErrorCode::not_found,
                fmt::format("the kernel had no network on {}, which `pollux bind` has not taken", port),
                kGiveAddresses);
  }
  const std::string_view text = port.substr(kScheme.size());
  const auto address = pci::Address::parse(text.substr(0, text.find('?')));
  if (!address) return tl::unexpected<Error>(address.error());
  auto interfaces = host::saved_interfaces({}, *address);
  if (!interfaces) return pass_on(std::move(interfaces));
  const auto used = std::find_if(interfaces->begin(), interfaces->end(), [](const host::InterfaceBackup& one) {
    return !one.addresses.empty() || one.master != 0;
  });
  if (used != interfaces->end()) return InterfaceNetwork{{}, std::move(*used)};
  return fail(ErrorCode::not_found, fmt::format("the kernel had no address on {} when it was bound", port),
              kGiveAddresses);
}

packet::Ipv4Address first_ipv4_address(const InterfaceNetwork& network) {
  packet::Ipv4Address first{};
  const auto take = [&](bool ipv6, const std::array<std::uint8_t, 16>& bytes) {
    if (!ipv6 && first == packet::Ipv4Address{}) std::copy_n(bytes.begin(), first.size(), first.begin());
  };
  for (const InterfaceAddress& address : network.addresses) take(address.ipv6, address.bytes);
  if (!network.saved) return first;
  for (const host::IpPrefix& address : host::addresses_of(*network.saved)) take(address.v6, address.bytes);
  return first;
}

Result<void> give_network(const InterfaceNetwork& network, const Capability<KernelInterface>& interface) {
  for (const InterfaceAddress& address : network.addresses) {
    if (auto added = interface->add_interface_address(address); !added) return added;
  }
  if (!network.saved) return {};
  return host::hand_network_to(*network.saved, interface->interface_name());
}

}  // namespace pollux::examples
