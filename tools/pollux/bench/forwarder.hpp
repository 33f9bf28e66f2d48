// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>

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

  [[nodiscard]] std::uint64_t dropped() const noexcept {
    return queue_full_.value() + lost_.value() + ring_full_.value();
  }

 private:
  struct Waiting {
    MbufPtr mbuf;
    Time done;
  };

  void take(MbufPtr mbuf, Time now);
  void drop(MbufPtr mbuf, DropCounter& reason) noexcept;
  [[nodiscard]] bool chance(std::uint32_t millionths) noexcept;

  RxQueue* in_;
  TxQueue* out_;
  ForwarderOptions options_;
  std::deque<Waiting> waiting_;
  examples::SlotSchedule free_;  // when the processing of the next frame may begin
  std::uint64_t random_;
  DropCounter queue_full_{"dut_queue_full"};
  DropCounter lost_{"dut_lost"};
  DropCounter ring_full_{"dut_ring_full"};
};

}  // namespace pollux::tool::bench
