// SPDX-License-Identifier: BSD-3-Clause
#include "arrivals.hpp"
#include "port_fixture.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class ArrivalsPort : public PortFixture {
 public:
  using PortFixture::PortFixture;
  std::uint32_t forward(std::uint16_t queue, std::uint32_t limit) { return forward_once(rx(queue), tx(queue), limit); }
};

}  // namespace

std::unique_ptr<Workload> forward_arrivals(const Setup& setup) {
  return std::make_unique<ForwardArrivals<ArrivalsPort>>(setup);
}

}  // namespace pollux::bench
