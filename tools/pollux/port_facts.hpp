// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "environment.hpp"
#include "pci_facts.hpp"

namespace pollux::tool {

/// What the port itself reports. For this the port is reset, started to see its link, which takes seconds if it has
/// none, and released. `with_registers` adds every register that can be read without side effects, with its value
/// before the start.
[[nodiscard]] Result<Facts> port_facts(const Environment& environment, const std::string& uri, bool with_registers);

}  // namespace pollux::tool
