// SPDX-License-Identifier: BSD-3-Clause
// A ForwardPath, which exchanges buffers between a receive and a transmit ring.
#include "port_fixture.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class Fused final : public Workload {
 public:
  explicit Fused(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), fixture_(setup), path_(fixture_.fuse()), limit_(setup.limit()) {}
  void prepare() override { fixture_.next_round(); }
  void run() override {
    ForwardPath& path = *path_;
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      path.burst(limit_, [](ForwardedFrame& frame) { swap_macs(frame.data); });
    }
  }

 private:
  PortFixture fixture_;
  std::unique_ptr<ForwardPath> path_;
  std::uint32_t limit_;
};

}  // namespace

std::unique_ptr<Workload> fused(const Setup& setup) { return std::make_unique<Fused>(setup); }

}  // namespace pollux::bench
