// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "environment.hpp"
#include "host/binding.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"

namespace pollux::tool {

/// Writes the error and its hint, both as `printable` shows them.
void print_error(std::ostream& err, const Error& error);
/// Writes the error and its hint to stderr. Returns kUsage for invalid_argument, since all values are the user's, and
/// kFailure for other errors.
int report(const Environment& environment, const Error& error);

/// Parses each of `words` as a PCI address, with or without "vfio:" in front.
[[nodiscard]] Result<std::vector<pci::Address>> parse_addresses(const std::vector<std::string>& words);

/// Prints one line per device.
void print_outcomes(const Environment& environment, const std::vector<host::BindOutcome>& outcomes);

/// Returns "-" for an empty text.
[[nodiscard]] std::string or_dash(std::string_view text);

/// Joins both with a space, or returns the one that is not empty.
[[nodiscard]] std::string joined(const std::string& first, const std::string& second);

}  // namespace pollux::tool
