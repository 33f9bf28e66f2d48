// SPDX-License-Identifier: BSD-3-Clause
#include "arrivals.hpp"
#include "port_fixture.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class ArrivalsPort : public PortFixture {
 public:
  using PortFixture::PortFixture;
  std::uint32_t forward(std::uint16_t queue, std::uint32_t limit) {
    Burst<Setup::kMaxBurst> burst;
    const std::uint32_t count = rx(queue).rx_burst(burst, limit);
    if (count == 0) return 0;
    for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
    tx(queue).tx_burst(burst);
    return count;
  }
};

}  // namespace

std::unique_ptr<Workload> forward_arrivals(const Setup& setup) {
  return std::make_unique<ForwardArrivals<ArrivalsPort>>(setup);
}

}  // namespace pollux::bench
