// SPDX-License-Identifier: BSD-3-Clause
// Receiving only, sending only, and empty polls.
#include "do_not_optimize.hpp"
#include "port_fixture.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kMaxFrames = 4096;

class Receive final : public Workload {
 public:
  explicit Receive(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()), fixture_(setup), limit_(setup.limit()) {}
  ~Receive() override { burst_.drop(measured_, fixture_.cache()); }
  void prepare() override {
    if (!first_ && burst_.size() != operations()) give_up("the driver did not deliver what had arrived");
    first_ = false;
    burst_.drop(measured_, fixture_.cache());
    fixture_.receive();
  }
  void run() override {
    RxQueue& rx = fixture_.rx();
    for (std::uint32_t done = 0; done < operations(); done += limit_) rx.rx_burst(burst_, limit_);
  }

 private:
  PortFixture fixture_;
  std::uint32_t limit_;
  bool first_ = true;
  DropCounter measured_{"measured"};
  Burst<kMaxFrames> burst_;
};

class Transmit final : public Workload {
 public:
  explicit Transmit(const Setup& setup)
      : Workload(setup.frames(), setup.rounds()),
        fixture_(setup),
        setup_(setup),
        bursts_((setup.frames() + setup.burst - 1) / setup.burst) {}
  void prepare() override {
    fixture_.finish_transmits(first_ ? 0 : operations());
    first_ = false;
    std::uint32_t left = operations();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) {
      const std::uint32_t count = std::min(left, setup_.burst);
      if (!burst.fill(fixture_.cache(), count)) give_up("the pool is too small");
      for (Mbuf& mbuf : burst) fill_in(mbuf);
      left -= count;
    }
  }
  void run() override {
    TxQueue& tx = fixture_.tx();
    for (Burst<Setup::kMaxBurst>& burst : bursts_) tx.tx_burst(burst);
  }

 private:
  void fill_in(Mbuf& mbuf) {
    do_not_optimize(mbuf.append(std::min(setup_.frame, Setup::kBuffer)));
    for (std::uint32_t done = Setup::kBuffer; done < setup_.frame; done += Setup::kBuffer) {
      MbufPtr more = fixture_.cache().allocate();
      do_not_optimize(more->append(std::min(setup_.frame - done, Setup::kBuffer)));
      if (!mbuf.chain(more)) give_up("the frame has too many segments");
    }
  }

  PortFixture fixture_;
  Setup setup_;
  bool first_ = true;
  std::vector<Burst<Setup::kMaxBurst>> bursts_;
};

class EmptyPoll final : public Workload {
 public:
  explicit EmptyPoll(const Setup& setup) : Workload(kPolls, 1), fixture_(setup) {}
  void prepare() override {}
  void run() override {
    RxQueue& rx = fixture_.rx();
    Burst<32> burst;
    for (std::uint32_t i = 0; i < kPolls; ++i) rx.rx_burst(burst);
  }

 private:
  static constexpr std::uint32_t kPolls = 448;
  PortFixture fixture_;
};

}  // namespace

std::unique_ptr<Workload> receive(const Setup& setup) { return std::make_unique<Receive>(setup); }
std::unique_ptr<Workload> receive_split(const Setup& setup) {
  Setup split = setup;
  split.split = true;
  return std::make_unique<Receive>(split);
}
std::unique_ptr<Workload> transmit(const Setup& setup) { return std::make_unique<Transmit>(setup); }
std::unique_ptr<Workload> empty_poll(const Setup& setup) { return std::make_unique<EmptyPoll>(setup); }

}  // namespace pollux::bench
