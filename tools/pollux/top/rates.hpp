// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "top/sample.hpp"

namespace pollux::tool::top {

/// A rate per second or a share; missing if it is not known.
using Figure = std::optional<double>;

struct QueueRates {
  std::string name = {};  ///< "rx0"
  Figure packets = {};
  Figure bits = {};
  Figure drops = {};
  Figure empty_polls = {};       ///< share of the polls that found nothing
  Figure burst = {};             ///< frames in a burst, those that are not empty
  Figure cycles_per_frame = {};  ///< from the end of a burst to the end of the queue's next poll, or until sleep
};

struct DropRate {
  std::string reason = {};
  Figure rate = {};
  std::uint64_t total = 0;
};

/// What happened at a port between two samples.
struct PortRates {
  PortSample now = {};
  Figure rx_packets = {};
  Figure rx_bits = {};
  Figure tx_packets = {};
  Figure tx_bits = {};
  Figure drops = {};  ///< of the library, and frames that the card missed
  Figure empty_polls = {};
  Figure cycles_per_frame = {};
  std::vector<QueueRates> queues = {};         ///< receive queues first
  std::vector<DropRate> reasons = {};          ///< those that ever dropped a frame
  std::vector<DropRate> program_reasons = {};  ///< the program's own, the same
  std::vector<double> burst_share = {};        ///< of receive bursts, by bucket; empty: not measured
};

/// `before` is nullptr for a port's first sample: then there are no rates.
[[nodiscard]] PortRates rates_of(const PortSample* before, const PortSample& now);

}  // namespace pollux::tool::top
