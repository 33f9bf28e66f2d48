// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::xdp {

/// Opens a port on the kernel's interface `which`, the rest of an "xdp:" URI, by AF_XDP. While the port is started, it
/// takes the frames that its flow rules (Settings::rules) name, on the queues that it has configured; all others go to
/// the kernel. The first rules are those of "?rule=": see parse_rules. Rules that take more than spares_host lists need
/// "force" on the interface of the default route. Nothing of the interface is changed: the XDP program is attached at
/// start and gone at stop, also if the process is killed. A receive queue and the transmit queue of the same number
/// share a queue of the interface.
///
/// "?mode=" after the name demands one way of exchanging frames: "zero-copy", "copy" (native, in the driver) or
/// "generic". Otherwise start takes the best, and logs it with the reason why it is not a better one. Zero copy needs
/// huge pages.
///
/// "busy-poll=20": an empty burst makes the kernel look at the queue, for at most as many microseconds, and interrupts
/// end while the port is polled (Linux 5.11).
/// "keep=PATH": what the port has of the kernel is held by `pollux keeper`, which listens there, or with
/// "keep=systemd" by systemd. After a crash the next program that opens the interface so continues its queues: ADR 25.
///
/// "helper=PATH": the process needs no privileges; what needs some is done by `pollux xdp-helper`, which listens there.
///
/// Errors: invalid_argument (the name, an option), not_found, not_supported, io_error; at start permission_denied, busy
/// (another XDP program is attached, which the hint names), memlock_too_small, invalid_argument (the interface's MTU is
/// too small, pools that do not lie side by side); each hint says what to do. Port::service returns device_removed if
/// the interface was deleted.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_xdp(Context& context, std::string_view which);

}  // namespace pollux::xdp
