// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>

#include "backends/sim/wire.hpp"
#include "bench/device_text.hpp"
#include "common/slot_schedule.hpp"
#include "pollux/pollux.hpp"

namespace pollux::tool::bench {

/// A device under test of known capacity: forwards frames from a receive queue to a transmit queue of in-process cards.
/// Each frame takes 1 / rate to process; frames wait in a queue of limited length for their turn. Thread rule: one
/// thread.
class Forwarder {
 public:
  /// The queues outlive the object.
  Forwarder(RxQueue& in, TxQueue& out, const ForwarderOptions& options);

  /// Takes the frames that have arrived by `now`, and sends those that are done.
  void poll(Time now);
  /// When the next frame is done; Time::max() if it holds none.
  [[nodiscard]] Time next() const noexcept { return waiting_.empty() ? Time::max() : waiting_.front().done; }

 private:
  struct Waiting {
    MbufPtr mbuf;
    Time done;
  };

  void take(MbufPtr mbuf, Time now);

  RxQueue* in_;
  TxQueue* out_;
  ForwarderOptions options_;
  std::deque<Waiting> waiting_;
  tools::SlotSchedule free_;  // when the processing of the next frame may begin
  sim::Random random_;
};

}  // namespace pollux::tool::bench
