// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "faked_card.hpp"
#include "fixture.hpp"
#include "pollux/net/forward_path.hpp"
#include "pollux/pollux.hpp"
#include "setup.hpp"

namespace pollux::bench {

/// The shipped driver on a faked card, started.
class PortFixture {
 public:
  explicit PortFixture(const Setup& setup);

  /// Everything that was sent is done, and a round's frames have arrived on each queue. The program ends where the
  /// round before was not sent whole.
  void next_round();
  /// Only the card's transmits: those of `expected` frames on each queue.
  void finish_transmits(std::uint32_t expected);
  /// Only its receiving.
  void receive();

  /// Joins the first receive queue to the first transmit queue.
  [[nodiscard]] std::unique_ptr<ForwardPath> fuse();

  [[nodiscard]] RxQueue& rx(std::uint16_t queue = 0) { return port_.rx(queue); }
  [[nodiscard]] TxQueue& tx(std::uint16_t queue = 0) { return port_.tx(queue); }
  [[nodiscard]] MempoolCache& cache() { return cache_; }

 private:
  void rotate();

  Setup setup_;
  FakedCard card_;
  Context context_;
  Mempool pool_;
  MempoolCache cache_;
  Port port_;
  bool first_ = true;
  std::vector<MbufPtr> waiting_;  // with Setup::rotate, those whose turn comes
  std::size_t turn_ = 0;
};

}  // namespace pollux::bench
