// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::null {

/// Opens a port that discards all frames sent. `which` is the rest of a "null:" URI. If it is empty, the port receives
/// nothing. If it is "?rx=BYTES", every poll returns as many frames of that length (with FCS, 18 to 65,539 bytes) as it
/// asks for. They are broadcast frames with the EtherType for local experiments and a payload of zeros. The port has up
/// to 16 queues in each direction, and no MAC address filter. Errors: invalid_argument.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_null(Context& context, std::string_view which);

}  // namespace pollux::null
