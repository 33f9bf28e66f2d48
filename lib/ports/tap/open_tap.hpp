// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::tap {

/// Opens a port that is the link partner of the kernel's TAP interface `which`, the rest of a "tap:" URI: the kernel
/// receives from the interface what the port sends, and the port receives what the kernel sends. An interface that does
/// not exist is created, and removed when the port is closed; an existing interface persists. Start brings the
/// interface up if that is permitted. The interface gets the port's MTU. The port's MAC address is that of the
/// interface with another last byte. The port has one queue in each direction. With "?superframes" after the name, the
/// kernel may send frames that request TCP or UDP segmentation (`SegmentingTx` sends them on any port); each read then
/// reserves mbufs for 64 KiB. Errors: invalid_argument (the name, an option, or
/// an interface that is not a TAP), module_not_loaded, permission_denied, busy, io_error; each hint is a command.
/// Port::service returns device_removed if the interface was deleted.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_tap(Context& context, std::string_view which);

}  // namespace pollux::tap
