// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"

namespace pollux::pci {

/// Where a PCI function sits: domain, bus, device (0..31), function (0..7). Ordered as `lspci` lists them.
/// A plain value; any thread.
struct POLLUX_API Address {
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;
  std::uint8_t function = 0;

  /// Reads "0000:01:00.0" or, in domain 0, "01:00.0". Digits are hexadecimal, either case. A domain has four to eight
  /// digits, since hosts with Intel VMD count theirs from 10000. Error `invalid_argument` quotes the text.
  [[nodiscard]] static Result<Address> parse(std::string_view text);

  /// The form that sysfs uses: "0000:01:00.0", lower case.
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const Address&, const Address&) = default;
};

}  // namespace pollux::pci
