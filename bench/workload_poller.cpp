// SPDX-License-Identifier: BSD-3-Clause
// Forwarding by the handler of a Poller.
#include "pollux/runtime/poller.hpp"
#include "port_fixture.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class ForwardPoller final : public Workload {
 public:
  explicit ForwardPoller(const Setup& setup)
      : Workload(setup.frames() * setup.queues, setup.rounds()), fixture_(setup), frames_(setup.frames()) {
    need(poller_.add(fixture_.rx(),
                     [&tx = fixture_.tx()](Burst<Setup::kMaxBurst>& burst) {
                       for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
                       tx.tx_burst(burst);
                     },
                     {.weight = setup.limit()}));
  }
  void prepare() override { fixture_.next_round(); }
  void run() override {
    for (std::uint32_t done = 0; done < frames_;) {
      const auto found = poller_.run_once();
      if (!found || *found == 0) give_up("a frame was not polled");
      done += *found;
    }
  }

 private:
  PortFixture fixture_;
  std::uint32_t frames_;
  Poller poller_{fixture_.context()};
};

}  // namespace

std::unique_ptr<Workload> forward_poller(const Setup& setup) { return std::make_unique<ForwardPoller>(setup); }

}  // namespace pollux::bench
