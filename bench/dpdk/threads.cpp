// SPDX-License-Identifier: BSD-3-Clause
// Forwarding by several threads, each with queues of its own of one port.
#include <rte_lcore.h>

#include <memory>
#include <vector>

#include "dpdk_fixture.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class DpdkOnThreads final : public ThreadedWorkload {
 public:
  DpdkOnThreads(const DpdkDriver& driver, const Setup& setup) : setup_(setup), fixture_(driver, setup) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue) lanes_.push_back(std::make_unique<Lane>());
  }
  // Gives the thread a cache in each pool.
  void enter() override {
    if (rte_thread_register() != 0) give_up("DPDK does not register a thread");
  }
  void leave() override { rte_thread_unregister(); }
  void prepare(std::uint32_t thread) override {
    fixture_.finish_transmits(lanes_[thread]->first ? 0 : setup_.frames(), thread);
    lanes_[thread]->first = false;
    fixture_.receive(thread);
  }
  void run(std::uint32_t thread) override {
    std::array<rte_mbuf*, Setup::kMaxBurst> mbufs{};
    for (std::uint32_t done = 0; done < setup_.frames(); done += setup_.limit()) {
      const std::uint32_t count = fixture_.rx(mbufs.data(), setup_.limit(), thread);
      for (std::uint32_t i = 0; i < count; ++i) swap_macs(data_of(mbufs[i]));
      fixture_.tx(mbufs.data(), count, thread);
    }
  }

 private:
  struct alignas(64) Lane {
    bool first = true;
  };

  Setup setup_;
  DpdkFixture fixture_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace

std::unique_ptr<ThreadedWorkload> dpdk_packaged_on_threads(const Setup& setup) {
  return std::make_unique<DpdkOnThreads>(dpdk_igb_packaged, setup);
}
std::unique_ptr<ThreadedWorkload> dpdk_native_on_threads(const Setup& setup) {
  return std::make_unique<DpdkOnThreads>(dpdk_igb_native, setup);
}

}  // namespace pollux::bench
