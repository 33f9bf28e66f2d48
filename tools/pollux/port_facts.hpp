// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "environment.hpp"
#include "pci_facts.hpp"

namespace pollux::tool {

/// What a port tells of itself once it is opened. It is reset for that and handed back, and carries no frames
/// meanwhile. `with_registers`: every register that can be read without changing anything, too.
[[nodiscard]] Result<Facts> port_facts(const Environment& environment, const std::string& uri, bool with_registers);

}  // namespace pollux::tool
