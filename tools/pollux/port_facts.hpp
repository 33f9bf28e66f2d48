// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "environment.hpp"
#include "pci_facts.hpp"

namespace pollux::tool {

/// What a port tells of itself. It is reset for that, started to see its link, for which a port without one takes
/// seconds, and handed back. `with_registers`: every register that can be read without changing anything, too, as they
/// are before the start.
[[nodiscard]] Result<Facts> port_facts(const Environment& environment, const std::string& uri, bool with_registers);

}  // namespace pollux::tool
