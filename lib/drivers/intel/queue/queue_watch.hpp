// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/intel/queue/queue_set.hpp"
#include "pollux/base/clock.hpp"

namespace pollux::drivers::intel {

/// The head of a transmit queue, for TxWatch; nullopt if it has no frames or was stopped.
[[nodiscard]] std::optional<std::uint32_t> tx_position(const QueueRegisters& registers, std::uint16_t queue);

/// Frames that a card has counted since any moment.
struct CountedFrames {
  /// All that passed its filters or were lost in front of the queues. nullopt: others than the port get some of them.
  std::optional<std::uint64_t> all = {};
  /// Those that the card dropped at a queue, by the port's queues.
  std::vector<std::uint64_t> dropped = {};
};

/// Whether receive queues take frames. A queue is stalled if it has free descriptors, but neither the card's head nor
/// the program moves. It hangs if the card counts frames meanwhile: frames that it drops at this queue, or any while
/// all queues are stalled, since a queue that does not drop holds up the others.
class RxWatch {
 public:
  /// `counted` was read before the call. Returns the first queue that hangs; it is watched anew.
  [[nodiscard]] std::optional<std::uint16_t> look(const QueueRegisters& registers, QueueSet& queues,
                                                  std::uint16_t count, const CountedFrames& counted, Time now,
                                                  Duration limit);
  /// The queues start anew.
  void forget() noexcept;

 private:
  /// Frames that are counted while a queue is stalled.
  struct Evidence {
    std::optional<std::uint64_t> base;
    std::optional<Time> since;  ///< the first one that was counted after `base`

    [[nodiscard]] bool holds(std::uint64_t counted, Time now, Duration limit);
  };
  struct Queue {
    std::uint32_t head = ~std::uint32_t{0};
    std::uint64_t packets = 0;
    Evidence dropped;
  };

  /// Notes where the queue is. Returns whether it is stalled.
  [[nodiscard]] static bool is_stalled(Queue& queue, const QueueRegisters& registers, IntelRxQueue& ring,
                                       std::uint16_t number);

  std::vector<Queue> queues_;
  Evidence all_;
};

}  // namespace pollux::drivers::intel
