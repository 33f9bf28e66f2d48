// SPDX-License-Identifier: BSD-3-Clause
// Forwarding while the frames of both directions are captured. Reading the rings belongs to another thread and is not
// measured.
#include <string>

#include "pollux/observe/capture.hpp"
#include "workload_forward.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

class ForwardCaptured final : public Forward {
 public:
  ForwardCaptured(const Setup& setup, std::string filter)
      : Forward(setup), capture_(need(Capture::start(fixture.port(), {.filter = std::move(filter)}))) {}
  ~ForwardCaptured() override {
    if (capture_->counts().lost != 0) give_up("the capture lost frames, so copying them was not measured");
  }

  void prepare() override {
    fixture.next_round();
    file_.clear();
    capture_->drain(file_, SIZE_MAX);
  }

 private:
  std::unique_ptr<Capture> capture_;
  std::vector<std::byte> file_;
};

}  // namespace

std::unique_ptr<Workload> forward_captured(const Setup& setup) { return std::make_unique<ForwardCaptured>(setup, ""); }
std::unique_ptr<Workload> forward_unmatched(const Setup& setup) {
  return std::make_unique<ForwardCaptured>(setup, "tcp port 80");
}

}  // namespace pollux::bench
