// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "faked_card.hpp"
#include "fixture.hpp"
#include "pollux/net/forward_path.hpp"
#include "pollux/pollux.hpp"
#include "setup.hpp"

namespace pollux::bench {

/// A started port on a faked card, of the igb driver or, with Setup::is_82574, of e1000e.
class PortFixture {
 public:
  explicit PortFixture(const Setup& setup);

  /// Completes the transmits of the last round and lets the next round's frames arrive on each queue. Ends the program
  /// if the last round was not sent completely.
  void next_round();
  /// Completes the transmits of `expected` frames on each queue, without receiving.
  void finish_transmits(std::uint32_t expected);
  /// The same for one queue, on the queue's thread.
  void finish_transmits(std::uint16_t queue, std::uint32_t expected);
  /// Lets a round's frames arrive on each queue, without completing transmits.
  void receive();
  /// The same for one queue, on the queue's thread.
  void receive(std::uint16_t queue) { card_.receive(queue, setup_.frames(), setup_.frame); }

  /// Makes a forward path from the first receive queue to the first transmit queue.
  [[nodiscard]] std::unique_ptr<ForwardPath> fuse();

  /// The first transmit queue, for several threads.
  [[nodiscard]] Result<SharedTxQueue> share() { return SharedTxQueue::create(tx(), pool_); }

  [[nodiscard]] RxQueue& rx(std::uint16_t queue = 0) { return port_.rx(queue); }
  [[nodiscard]] TxQueue& tx(std::uint16_t queue = 0) { return port_.tx(queue); }
  [[nodiscard]] Port& port() { return port_; }
  [[nodiscard]] const FakedCard& card() const { return card_; }
  [[nodiscard]] FakedCard& card() { return card_; }
  [[nodiscard]] Context& context() { return context_; }
  [[nodiscard]] Mempool& pool() { return pool_; }
  [[nodiscard]] MempoolCache& cache() { return cache_; }

 private:
  void rotate();

  Setup setup_;
  FakedCard card_;
  Context context_;
  Mempool pool_;
  MempoolCache cache_;
  Mempool headers_;  // with Setup::split
  Port port_;
  bool first_ = true;
  std::vector<MbufPtr> waiting_;  // with Setup::rotate, the mbufs to use next
  std::size_t turn_ = 0;
};

}  // namespace pollux::bench
