// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"

/// PCI devices and their IOMMU groups, as sysfs has them.
namespace pollux::pci {

/// The address of a PCI function: domain, bus, device (0..31), function (0..7). The order is that of `lspci`.
/// A plain value; any thread.
struct POLLUX_API Address {
  /// As `lspci -D` prints them; the domain has up to 32 bits.
  ///@{
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;
  std::uint8_t function = 0;
  ///@}

  /// Parses "0000:01:00.0" or, in domain 0, "01:00.0". Digits are hexadecimal, in upper or lower case. A domain has
  /// four to eight digits, because domains of Intel VMD start at 10000. Error: `invalid_argument`, which quotes the
  /// text.
  [[nodiscard]] static Result<Address> parse(std::string_view text);

  /// The form that sysfs uses: "0000:01:00.0", lower case.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Address&, const Address&) = default;
};

}  // namespace pollux::pci
