// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "environment.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/binding.hpp"

namespace pollux::tool {

/// Writes what failed and what mends it to stderr, and returns `code`.
int report(const Environment& environment, const Error& error, ExitCode code = kFailure);

/// Each of `words` as a PCI address, with or without "vfio:" in front.
[[nodiscard]] Result<std::vector<pci::Address>> parse_addresses(const std::vector<std::string>& words);

/// One line a device.
void print_outcomes(const Environment& environment, const std::vector<pci::BindOutcome>& outcomes);

/// "-" for what is not there.
[[nodiscard]] std::string or_dash(std::string_view text);

/// Both with a space between, or the one that is not empty.
[[nodiscard]] std::string joined(const std::string& first, const std::string& second);

}  // namespace pollux::tool
