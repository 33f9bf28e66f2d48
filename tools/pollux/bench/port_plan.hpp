// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/device_text.hpp"
#include "pollux/base/error.hpp"

namespace pollux::tool::bench {

/// The ports of a measurement.
struct PortPlan {
  /// In the order in which a frame passes them: sending, those of the forwarder (if there is one), receiving.
  std::vector<std::string> uris;
  bool virtual_time = false;               ///< all are in-process cards, on a clock that steps them
  std::optional<std::uint64_t> wire_rate;  ///< of the in-process wires, bits per second
};

/// Decides which ports to open. Two in-process cards on one wire are measured in virtual time. Their wire gets the rate
/// `line_rate` unless its options name one, so that its frames have slots. A forwarder is put into the middle of that
/// wire: then the sending card and the receiving one are each on a wire of their own, with the same options, and the
/// forwarder's cards are at the other ends. Errors: invalid_argument (the two cards are not on one wire, or a forwarder
/// for other ports).
[[nodiscard]] Result<PortPlan> plan_ports(const std::string& sending, const std::string& receiving,
                                          const DeviceUnderTest& device, std::optional<std::uint64_t> line_rate);

}  // namespace pollux::tool::bench
