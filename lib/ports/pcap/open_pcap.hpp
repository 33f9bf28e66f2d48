// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::pcap {

/// Opens a port that receives the frames of one capture file and sends to another. `which`, the rest of a "pcap:" URI,
/// has "in=FILE", "out=FILE" or both, and for the input
///     pace=none   every poll gets as many frames as it asks for (the default); or
///     pace=real   frames come as far apart as their stamps say, by the Context's clock, from the first poll on
///     loop        at its end the file begins again
/// The input is pcap (with micro- or nanoseconds) or pcapng, of Ethernet. Every frame of it is received, whatever the
/// port's address is; one that was captured in part only is dropped as "rx_truncated", one longer than the MTU allows
/// as "rx_too_long". Where the file turns out malformed it ends: counted in Stats::rx_errors, and told to the log by
/// Port::service. The output is pcap with nanoseconds; stamps are the Context's clock. Stop and start go on where the
/// files were. Without an output frames are dropped as "tx_no_file"; those that the system does not take are dropped
/// as "tx_write_failed". Reading and writing may wait for the disk, as no other port's bursts do.
/// Errors: invalid_argument, not_found, permission_denied, busy, io_error.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_pcap(Context& context, std::string_view which);

}  // namespace pollux::pcap
