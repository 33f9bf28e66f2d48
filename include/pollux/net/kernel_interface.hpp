// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// An IP address of an interface, with the length of its network's prefix.
struct InterfaceAddress {
  bool ipv6 = false;                     ///< false: IPv4
  std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first four
  std::uint8_t prefix = 0;               ///< bits: 0 to 32, or 0 to 128

  [[nodiscard]] bool operator==(const InterfaceAddress&) const = default;
};

/// Capability (see capability.hpp): the interface of the kernel at the other end of a port, such as that of a `tap:`
/// port. Its settings last as long as the interface; stops and starts of the port do not change them, but the carrier.
/// States: opened, configured, started. Errors: permission_denied (the hint is the command to run
/// as root), io_error.
class POLLUX_API KernelInterface {
 public:
  static constexpr CapabilityId kId{"kernel_interface"};

  virtual ~KernelInterface() = default;
  /// Its name in the network namespace of the thread that opened the port.
  [[nodiscard]] virtual std::string interface_name() const = 0;
  /// The MAC address of the kernel's end, which is not that of the port.
  [[nodiscard]] virtual Result<MacAddress> interface_mac() const = 0;
  /// Also while the interface is up. Error invalid_argument: a multicast or all-zero address.
  [[nodiscard]] virtual Result<void> set_interface_mac(const MacAddress& mac) = 0;
  /// What the kernel takes for the link. Starting the port sets it, stopping the port clears it.
  [[nodiscard]] virtual Result<void> set_interface_carrier(bool on) = 0;
  /// Adds an IP address; the kernel adds the route of its network if the interface is up. One that the interface has
  /// already is no error. Call it in the interface's network namespace. Errors: invalid_argument (the prefix),
  /// not_supported (IPv6 is disabled on the interface).
  [[nodiscard]] virtual Result<void> add_interface_address(const InterfaceAddress& address) = 0;
};

}  // namespace pollux
