// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

namespace pollux::tool {

/// The driver of Pollux that knows the card; empty: none.
[[nodiscard]] std::string driver_of(std::uint16_t vendor, std::uint16_t device);

}  // namespace pollux::tool
