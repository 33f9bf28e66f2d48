// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "fixture.hpp"
#include "swap_macs.hpp"
#include "workload.hpp"

namespace pollux::bench {

/// Frames that arrive on each queue at once, by a seed: the same for all drivers. In a period each queue gets each size
/// equally often, in an order of its own.
class Arrivals {
 public:
  static constexpr std::array<std::uint32_t, 3> kSizes{32, 64, 256};
  static constexpr std::uint32_t kSteps = 12;
  static constexpr std::uint32_t kFrames = kSteps / 3 * (kSizes[0] + kSizes[1] + kSizes[2]);  ///< of a queue and period

  explicit Arrivals(std::uint32_t queues) : sizes_(queues) {
    std::mt19937 random(55);
    for (auto& sizes : sizes_) {
      for (std::uint32_t step = 0; step < kSteps; ++step) sizes[step] = kSizes[step % kSizes.size()];
      // Not std::shuffle, whose order is the library's choice.
      for (std::uint32_t left = kSteps; left > 1; --left) std::swap(sizes[left - 1], sizes[random() % left]);
    }
  }
  [[nodiscard]] std::uint32_t at(std::uint32_t queue, std::uint32_t step) const { return sizes_[queue][step]; }

 private:
  std::vector<std::array<std::uint32_t, kSteps>> sizes_;
};

/// Forwards what has arrived on a queue of Pollux. Returns how many frames that was.
inline std::uint32_t forward_once(RxQueue& rx, TxQueue& tx, std::uint32_t limit) {
  Burst<Setup::kMaxBurst> burst;
  const std::uint32_t count = rx.rx_burst(burst, limit);
  if (count == 0) return 0;
  for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
  tx.tx_burst(burst);
  return count;
}

/// One thread forwards what arrives on several queues, which it polls in turn. The card works between two turns: it
/// sends, and moves what waits in it into what is armed. `Port`: a driver's, with `card()` and `forward(queue, limit)`.
template <class Port>
class ForwardArrivals final : public Workload {
 public:
  template <class... Driver>
  explicit ForwardArrivals(const Setup& setup, const Driver&... driver)
      : Workload(Arrivals::kFrames * setup.queues, 1, Arrivals::kSteps * kTurns),
        port_(driver..., setup),
        arrivals_(setup.queues),
        setup_(setup),
        sent_(setup.queues) {}
  void prepare() override {
    auto& card = port_.card();
    for (std::uint32_t queue = 0; queue < setup_.queues; ++queue) {
      if (card.finish_transmits(queue) != sent_[queue]) give_up("the driver did not send what it had received");
      if (turn_ % kTurns == 0) card.offer(queue, arrivals_.at(queue, turn_ / kTurns));
      card.deliver(queue, setup_.frame);
    }
    turn_ = (turn_ + 1) % pieces();
  }
  void run() override {
    for (std::uint16_t queue = 0; queue < setup_.queues; ++queue) sent_[queue] = port_.forward(queue, kLimit);
  }
  [[nodiscard]] std::uint64_t lost() const override { return port_.card().lost(); }

 private:
  static constexpr std::uint32_t kLimit = 32;
  static constexpr std::uint32_t kTurns = Arrivals::kSizes.back() / kLimit;  // of each step

  Port port_;
  Arrivals arrivals_;
  Setup setup_;
  std::vector<std::uint32_t> sent_;  // on each queue in the last turn
  std::uint32_t turn_ = 0;
};

}  // namespace pollux::bench
