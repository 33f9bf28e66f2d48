// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "port_fixture.hpp"
#include "swap_macs.hpp"
#include "workload.hpp"

namespace pollux::bench {

/// rx_burst, a swap of the MAC addresses, tx_burst.
class Forward : public Workload {
 public:
  explicit Forward(const Setup& setup)
      : Workload(setup.frames() * setup.queues, setup.rounds()),
        fixture(setup),
        frames(setup.frames()),
        limit(setup.limit()) {}
  void prepare() override { fixture.next_round(); }
  [[nodiscard]] const FakedCard* card() const override { return &fixture.card(); }
  void run() override {
    RxQueue& rx = fixture.rx();
    TxQueue& tx = fixture.tx();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      rx.rx_burst(burst, limit);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      tx.tx_burst(burst);
    }
  }

 protected:
  PortFixture fixture;
  std::uint32_t frames;
  std::uint32_t limit;
};

}  // namespace pollux::bench
