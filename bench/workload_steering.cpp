// SPDX-License-Identifier: BSD-3-Clause
// Steering frames to four consumers by the card's hash, and taking them from the consumers' rings.
#include <cstring>
#include <memory>

#include "fixture.hpp"
#include "pollux/pollux.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class SteeringHop final : public Workload {
 public:
  explicit SteeringHop(const Setup& setup) : Workload(setup.frames(), 1), limit_(setup.burst) {
    if (!burst_.fill(cache_, limit_)) give_up("the pool is too small");
    std::uint32_t flow = 0;
    for (Mbuf& mbuf : burst_) {
      std::uint8_t* const data = mbuf.append(60);
      if (data == nullptr) give_up("no room in an mbuf");
      std::memset(data, 0, 60);
      // As an 82576 reports it: a hash of TCP over IPv4, and packet types.
      mbuf.set_rx_words(RxFormat::intel_advanced, std::uint64_t{flow++ * 0x9E3779B1U} << 32 | 1, 0);
    }
  }
  ~SteeringHop() override { burst_.drop(measured_, cache_); }
  void prepare() override {}
  void run() override {
    for (std::uint32_t done = 0; done < operations(); done += limit_) {
      steering_->steer(burst_, cache_);
      for (std::uint16_t consumer = 0; consumer < kConsumers; ++consumer)
        steering_->consumer(consumer).rx_burst(burst_);
      if (burst_.size() != limit_) give_up("a frame did not arrive");
    }
  }

 private:
  static constexpr std::uint16_t kConsumers = 4;

  std::uint32_t limit_;
  Context context_{logging_options()};
  Mempool pool_ = need(Mempool::create(context_, {.count = 1024}));
  MempoolCache cache_{pool_};
  std::unique_ptr<PacketSteering> steering_ = need(PacketSteering::create(context_, {.consumers = kConsumers}));
  DropCounter measured_{"measured"};
  Burst<Setup::kMaxBurst> burst_;
};

}  // namespace

std::unique_ptr<Workload> steering_hop(const Setup& setup) { return std::make_unique<SteeringHop>(setup); }

}  // namespace pollux::bench
