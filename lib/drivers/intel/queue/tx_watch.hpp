// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/intel/queue/queue_set.hpp"
#include "pollux/net/transmit_watch.hpp"

namespace pollux::drivers::intel {

/// Whether the heads of the transmit queues move. Linux, igb_main.c, igb_clean_tx_irq, compares the age of the oldest
/// frame, which only the queue's own thread knows; the head is there for any thread.
class TxWatch {
 public:
  /// `queues`: how many of the card's are in use.
  [[nodiscard]] TransmitWatch::Report look(const QueueRegisters& registers, std::uint16_t queues, Time now,
                                           Duration limit);
  /// Waiting frames have a reason to wait, so their time begins again.
  void forget() noexcept { stands_.clear(); }

 private:
  struct Stand {
    std::uint32_t head = 0;
    Time since{0};
  };
  std::vector<std::optional<Stand>> stands_;  // by queue
};

}  // namespace pollux::drivers::intel
