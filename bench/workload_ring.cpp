// SPDX-License-Identifier: BSD-3-Clause
// A `ring:` port that receives what it sends.
#include <cstring>

#include "fixture.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class RingPort final : public Workload {
 public:
  explicit RingPort(const Setup& setup) : Workload(setup.frames(), 1), limit_(setup.burst) {
    if (!burst_.fill(cache_, limit_)) give_up("the pool is too small");
    for (Mbuf& mbuf : burst_) {
      std::uint8_t* const data = mbuf.append(60);
      if (data == nullptr) give_up("no room in an mbuf");
      std::memset(data, 0xFF, 60);  // a broadcast, which each port receives
    }
  }
  ~RingPort() override { burst_.drop(measured_, cache_); }
  void prepare() override {}
  void run() override {
    RxQueue& rx = port_.rx(0);
    TxQueue& tx = port_.tx(0);
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      if (tx.tx_burst(burst_) != limit_) give_up("a frame was not sent");
      if (rx.rx_burst(burst_, limit_) != limit_) give_up("a frame did not arrive");
    }
  }

 private:
  std::uint32_t limit_;
  Context context_{logging_options()};
  Mempool pool_ = need(Mempool::create(context_, {.count = 1024}));
  MempoolCache cache_{pool_};
  Port port_ =
      need(open(context_, "ring:bench", {.rx = {{.pool = pool_, .cache = cache_}}, .tx = {{.cache = cache_}}}));
  DropCounter measured_{"measured"};
  Burst<Setup::kMaxBurst> burst_;
};

}  // namespace

std::unique_ptr<Workload> ring_port(const Setup& setup) { return std::make_unique<RingPort>(setup); }

}  // namespace pollux::bench
