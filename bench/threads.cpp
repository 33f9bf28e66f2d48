// SPDX-License-Identifier: BSD-3-Clause
#include "threads.hpp"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "cycles.hpp"
#include "measure.hpp"
#include "port_fixture.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {
namespace {

// The threads share a port and a pool. Each has a cache.
class ForwardOnThreads final : public ThreadedWorkload {
 public:
  explicit ForwardOnThreads(const Setup& setup) : setup_(setup), fixture_(setup) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue) {
      lanes_.push_back(std::make_unique<Lane>(fixture_.pool()));
      need(fixture_.rx(queue).use_cache(lanes_.back()->cache));
      need(fixture_.tx(queue).use_cache(lanes_.back()->cache));
    }
  }
  void prepare(std::uint32_t thread) override {
    const auto queue = static_cast<std::uint16_t>(thread);
    fixture_.finish_transmits(queue, lanes_[thread]->first ? 0 : setup_.frames());
    lanes_[thread]->first = false;
    fixture_.receive(queue);
  }
  void run(std::uint32_t thread) override {
    const auto queue = static_cast<std::uint16_t>(thread);
    RxQueue& rx = fixture_.rx(queue);
    TxQueue& tx = fixture_.tx(queue);
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < setup_.frames(); done += setup_.limit()) {
      rx.rx_burst(burst, setup_.limit());
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      tx.tx_burst(burst);
    }
  }

 private:
  struct alignas(64) Lane {
    explicit Lane(Mempool& pool) : cache(pool, MempoolCache::kMaxCapacity) {}
    MempoolCache cache;
    bool first = true;
  };

  Setup setup_;
  PortFixture fixture_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

bool run_on(unsigned core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

double cycles_on_thread(ThreadedWorkload& workload, const Setup& setup, std::uint32_t thread,
                        std::atomic<std::uint32_t>& waiting, std::atomic<std::uint32_t>& busy) {
  constexpr std::uint32_t kFrames = 100'000;
  const std::uint32_t count = kFrames / setup.frames();
  static const double overhead = overhead_cycles();
  std::vector<double> rounds;
  const auto round = [&] {
    workload.prepare(thread);
    const std::uint64_t start = start_cycles();
    workload.run(thread);
    return std::max(0.0, static_cast<double>(stop_cycles() - start) - overhead);
  };
  for (std::uint32_t i = 0; i < count / 4; ++i) static_cast<void>(round());
  waiting.fetch_sub(1);
  while (waiting.load() != 0) sched_yield();
  for (std::uint32_t i = 0; i < count; ++i) rounds.push_back(round());
  // The others are measured beside a thread that works.
  busy.fetch_sub(1);
  while (busy.load() != 0) static_cast<void>(round());
  return median(std::move(rounds)) / setup.frames();
}

}  // namespace

std::unique_ptr<ThreadedWorkload> forward_on_threads(const Setup& setup) {
  return std::make_unique<ForwardOnThreads>(setup);
}

double cycles_on_threads(ThreadedWorkload& workload, const Setup& setup, std::span<const unsigned> cores) {
  std::atomic<std::uint32_t> waiting{static_cast<std::uint32_t>(cores.size())};
  std::atomic<std::uint32_t> busy{waiting.load()};
  std::vector<double> cycles(cores.size());
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < cores.size(); ++i) {
    threads.emplace_back([&, i] {
      if (!run_on(cores[i])) give_up("a thread cannot run on its processor");
      workload.enter();
      cycles[i] = cycles_on_thread(workload, setup, i, waiting, busy);
      workload.leave();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return std::accumulate(cycles.begin(), cycles.end(), 0.0) / static_cast<double>(cycles.size());
}

std::span<const unsigned> two_cores() {
  static const std::vector<unsigned> cores = [] {
    std::vector<unsigned> found{static_cast<unsigned>(sched_getcpu())};
    const auto all = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_CONF));
    // tools/bench pins the program to one, so each other is tried.
    std::thread([&] {
      for (unsigned core = 0; core < all && found.size() < 2; ++core) {
        if (core != found[0] && run_on(core)) found.push_back(core);
      }
    }).join();
    return found;
  }();
  return cores;
}

}  // namespace pollux::bench
