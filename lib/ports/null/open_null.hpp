// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::null {

/// Opens a port that sends into nothing. `which`, the rest of a "null:" URI: empty, and it receives nothing; or
/// "?rx=BYTES", and every poll is answered with as many frames of that length (with FCS, 18 bytes to 65,539) as it asks
/// for, which are broadcast and carry zeros behind the EtherType for local experiments. It has up to 16 queues each
/// way, and receives whatever its address is. Errors: invalid_argument.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_null(Context& context, std::string_view which);

}  // namespace pollux::null
