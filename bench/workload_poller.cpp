// SPDX-License-Identifier: BSD-3-Clause
// Forwarding in a Poller: by a handler, in a RunLoop, and by a coroutine.
#include <utility>
#include <vector>

#include "pollux/runtime/awaitables.hpp"
#include "pollux/runtime/poller.hpp"
#include "pollux/runtime/run_loop.hpp"
#include "port_fixture.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

/// A handler of the receive queue that swaps addresses and sends.
auto forward_to(TxQueue& tx) {
  return [&tx](Burst<Setup::kMaxBurst>& burst) {
    for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
    tx.tx_burst(burst);
  };
}

Task<> forward_packets(RxQueue& rx, TxQueue& tx) {
  for (;;) {
    auto burst = co_await packets<Setup::kMaxBurst>(rx);
    for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
    tx.tx_burst(burst);
  }
}

/// A workload that calls `run_once` until it has returned all frames.
class ForwardInRounds : public Workload {
 public:
  void prepare() override { fixture_.next_round(); }
  void run() override {
    for (std::uint32_t done = 0; done < operations();) {
      const auto found = run_once();
      if (!found || *found == 0) give_up("a frame was not polled");
      done += *found;
    }
  }

 protected:
  ForwardInRounds(const Setup& setup, std::uint32_t frames) : Workload(frames, setup.rounds()), fixture_(setup) {}
  [[nodiscard]] virtual Result<std::uint32_t> run_once() = 0;

  PortFixture fixture_;
};

class ForwardPoller : public ForwardInRounds {
 public:
  explicit ForwardPoller(const Setup& setup) : ForwardPoller(setup, setup.frames() * setup.queues) {}

 protected:
  ForwardPoller(const Setup& setup, std::uint32_t frames) : ForwardInRounds(setup, frames) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue)
      need(poller_.add(fixture_.rx(queue), forward_to(fixture_.tx(queue)), {.weight = setup.limit()}));
  }

 private:
  Result<std::uint32_t> run_once() override { return poller_.run_once(); }

  Poller poller_{fixture_.context()};
};

// Frames arrive on the first of the queues. The others cost polls.
class ForwardPollerOne final : public ForwardPoller {
 public:
  explicit ForwardPollerOne(const Setup& setup) : ForwardPoller(setup, setup.frames()) {}
  void prepare() override {
    fixture_.finish_transmits(0, std::exchange(sent_, operations()));
    fixture_.receive(0);
  }

 private:
  std::uint32_t sent_ = 0;
};

class ForwardRunLoop final : public ForwardInRounds {
 public:
  explicit ForwardRunLoop(const Setup& setup) : ForwardInRounds(setup, setup.frames() * setup.queues) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue) {
      need(loop_.poller().add(fixture_.rx(queue), forward_to(fixture_.tx(queue)), {.weight = setup.limit()}));
      loop_.add(fixture_.tx(queue));
    }
  }

 private:
  Result<std::uint32_t> run_once() override { return loop_.run_once(); }

  RunLoop loop_{fixture_.context()};
};

class ForwardTask final : public ForwardInRounds {
 public:
  explicit ForwardTask(const Setup& setup) : ForwardInRounds(setup, setup.frames() * setup.queues) {
    for (std::uint16_t queue = 0; queue < setup.queues; ++queue) {
      tasks_.push_back(forward_packets(fixture_.rx(queue), fixture_.tx(queue)));
      need(tasks_.back().start(poller_));
      need(poller_.find(fixture_.rx(queue))->set_weight(setup.limit()));
    }
  }

 private:
  Result<std::uint32_t> run_once() override { return poller_.run_once(); }

  Poller poller_{fixture_.context()};
  std::vector<Task<>> tasks_;
};

}  // namespace

std::unique_ptr<Workload> forward_poller(const Setup& setup) { return std::make_unique<ForwardPoller>(setup); }
std::unique_ptr<Workload> forward_poller_one(const Setup& setup) { return std::make_unique<ForwardPollerOne>(setup); }
std::unique_ptr<Workload> forward_run_loop(const Setup& setup) { return std::make_unique<ForwardRunLoop>(setup); }
std::unique_ptr<Workload> forward_task(const Setup& setup) { return std::make_unique<ForwardTask>(setup); }

}  // namespace pollux::bench
