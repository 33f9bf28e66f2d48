// SPDX-License-Identifier: BSD-3-Clause
// Forwarding through the interface for C.
#include <array>

#include "pollux/pollux.h"
#include "workload_forward.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class ForwardC final : public Forward {
 public:
  using Forward::Forward;
  void run() override {
    auto* const rx = reinterpret_cast<pollux_rx*>(&fixture.rx());
    auto* const tx = reinterpret_cast<pollux_tx*>(&fixture.tx());
    std::array<pollux_frame, Setup::kMaxBurst> received;
    for (std::uint32_t done = 0; done < frames; done += limit) {
      const std::uint32_t count = pollux_rx_burst(rx, received.data(), limit);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(received[i].data);
      pollux_tx_burst(tx, received.data(), count);
    }
  }
};

}  // namespace

std::unique_ptr<Workload> forward_c(const Setup& setup) { return std::make_unique<ForwardC>(setup); }

}  // namespace pollux::bench
