// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

/// What the host's network loses when a program takes a card, and gets back.
namespace pollux::host {

/// An IPv4 or IPv6 address with its prefix length in bits.
struct POLLUX_API IpPrefix {
  bool v6 = false;                       ///< false: IPv4
  std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first four
  std::uint8_t length = 0;               ///< 0..32 or 0..128

  [[nodiscard]] bool is_link_local() const;  ///< within 169.254.0.0/16 or fe80::/10
  [[nodiscard]] bool is_multicast() const;   ///< within 224.0.0.0/4 or ff00::/8
  /// Such as "192.0.2.7/24" or "2001:db8::1/64".
  [[nodiscard]] std::string to_string() const;
};

/// What the kernel forgets about a network interface when its driver leaves the device: a message of rtnetlink(7) for
/// each address and route, and the properties of the link. Link-local IPv6 addresses that the kernel adds by itself are
/// not in it, nor are routes that a router announces for a time, nor is what lies on top of the interface (VLANs), its
/// queueing disciplines and settings of ethtool. A plain value; any thread.
struct InterfaceBackup {
  std::string name;                               ///< when it was saved
  std::uint32_t index = 0;                        ///< at that time; another one after the driver has come back
  bool up = false;                                ///< whether it was up (IFF_UP)
  std::uint32_t mtu = 0;                          ///< bytes; 0: not known
  std::uint32_t master = 0;                       ///< index of the bridge or bond that has it; 0: none
  std::vector<std::byte> mac;                     ///< the current hardware address
  std::vector<std::vector<std::byte>> addresses;  ///< RTM_NEWADDR
  std::vector<std::vector<std::byte>> routes;     ///< RTM_NEWROUTE, those that do not come with an address

  friend bool operator==(const InterfaceBackup&, const InterfaceBackup&) = default;
};

/// The IP addresses of an interface, in the kernel's order.
[[nodiscard]] POLLUX_API std::vector<IpPrefix> addresses_of(const InterfaceBackup& backup);

/// Saves an interface of this network namespace. Errors: `not_found`, `io_error`.
[[nodiscard]] POLLUX_API Result<InterfaceBackup> back_up_interface(const std::string& name);

/// Gives an interface, which may have another name and index now, its saved name, link, addresses and routes. IPv6
/// addresses are valid at once, without duplicate address detection; lifetimes begin again. Routes of other interfaces
/// stay, also those to the same destination with the same metric. Can be called again.
/// Errors: `not_found`, `io_error`; goes on after an error, and returns the first.
[[nodiscard]] POLLUX_API Result<void> restore_interface(const InterfaceBackup& backup, const std::string& current_name);

/// Gives the saved network to another interface, which takes the place of the saved one: it goes up, and gets the
/// bridge, the addresses and the routes, with their metrics and tables. Its name, MAC address and MTU stay. Otherwise
/// as `restore_interface`.
[[nodiscard]] POLLUX_API Result<void> hand_network_to(const InterfaceBackup& backup, const std::string& interface);

/// What `Binder::bind` saved of the interfaces of a device that is bound to vfio-pci now. Empty: the device had none.
/// Errors, each with a hint: `not_found` (no such device, or nothing was saved), `not_bound` (what was saved is out of
/// date), `bad_state` (it is of another card), `io_error` (it is malformed).
[[nodiscard]] POLLUX_API Result<std::vector<InterfaceBackup>> saved_interfaces(const pci::SystemPaths& paths,
                                                                               pci::Address address);

}  // namespace pollux::host
