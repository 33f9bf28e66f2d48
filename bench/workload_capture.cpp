// SPDX-License-Identifier: BSD-3-Clause
// Forwarding while the frames of both directions are captured. Reading the rings belongs to another thread and is not
// measured.
#include <string>

#include "pollux/observe/capture.hpp"
#include "port_fixture.hpp"
#include "swap_macs.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class ForwardCaptured final : public Workload {
 public:
  ForwardCaptured(const Setup& setup, std::string filter)
      : Workload(setup.frames(), setup.rounds()),
        fixture_(setup),
        frames_(setup.frames()),
        limit_(setup.limit()),
        capture_(need(Capture::start(fixture_.port(), {.filter = std::move(filter)}))) {}
  ~ForwardCaptured() override {
    if (capture_->counts().lost != 0) give_up("the capture lost frames, so copying them was not measured");
  }

  void prepare() override {
    fixture_.next_round();
    file_.clear();
    capture_->drain(file_, SIZE_MAX);
  }
  void run() override {
    RxQueue& rx = fixture_.rx();
    TxQueue& tx = fixture_.tx();
    Burst<Setup::kMaxBurst> burst;
    for (std::uint32_t done = 0; done < frames_; done += limit_) {
      rx.rx_burst(burst, limit_);
      for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
      tx.tx_burst(burst);
    }
  }

 private:
  PortFixture fixture_;
  std::uint32_t frames_;
  std::uint32_t limit_;
  std::unique_ptr<Capture> capture_;
  std::vector<std::byte> file_;
};

}  // namespace

std::unique_ptr<Workload> forward_captured(const Setup& setup) { return std::make_unique<ForwardCaptured>(setup, ""); }
std::unique_ptr<Workload> forward_unmatched(const Setup& setup) {
  return std::make_unique<ForwardCaptured>(setup, "tcp port 80");
}

}  // namespace pollux::bench
