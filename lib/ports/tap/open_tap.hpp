// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::tap {

/// Opens a port that is joined by a wire with the kernel's TAP interface `which`, the rest of a "tap:" URI: what the
/// port sends the kernel receives from it, and the other way round. The interface is made if there is none of that
/// name, and then goes away with the port; one that somebody made before, and may be the user's, stays. Start brings it
/// up where that is allowed. The interface gets the port's MTU. The port's own address is the interface's with another
/// last byte. One queue each way.
/// Errors: invalid_argument (the name, or an interface that is no TAP), module_not_loaded, permission_denied, busy,
/// io_error; each names the command that mends it. Port::service tells device_removed when the interface was deleted.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_tap(Context& context, std::string_view which);

}  // namespace pollux::tap
