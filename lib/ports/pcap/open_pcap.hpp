// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::pcap {

/// Opens a port that receives the frames of one capture file and sends to another. `which`, the rest of a "pcap:" URI,
/// has "in=FILE", "out=FILE" or both, and these options for the input:
///     pace=none   every poll gets as many frames as it asks for (the default)
///     pace=real   frames arrive at their times (CapturedFrame::at), by the Context's clock, from the first poll on
///     loop        the input restarts at its end, with pace=real after the mean gap between its frames
/// The input is a file that CaptureFileReader reads. The port has no MAC address filter. A frame that was captured only
/// in part is dropped as "rx_truncated", one longer than the MTU allows as "rx_too_long". At a record that cannot be
/// read the input ends; this is counted in Stats::rx_errors and logged by Port::service. The output is a pcap file with
/// nanosecond timestamps of the Context's clock. After a stop and start, both files continue where they were. Without
/// an output, frames are dropped as "tx_no_file"; if a write fails, this is logged by Port::service, and they are
/// dropped as "tx_write_failed". Unlike the bursts of other ports, these may block on disk access.
/// Errors: invalid_argument, not_found, permission_denied, busy, io_error.
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_pcap(Context& context, std::string_view which);

}  // namespace pollux::pcap
