// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux_setup.hpp"

namespace baselines {

/// Frames circulate as in `forward`, but over a ForwardPath, which exchanges buffers: frames that port 1 sends arrive
/// at port 0, and are forwarded to port 1 again. DPDK has no equivalent.
class FusedLoop {
 public:
  explicit FusedLoop(const Options& options)
      : setup_(options, 2), path_(need(setup_.ports[0].forward_path(0, setup_.ports[1], 0))) {
    setup_.start();
  }

  /// Frames can be added to the circulation, but not removed. So call this with increasing burst sizes.
  template <unsigned B>
  void run(std::uint64_t rounds) {
    for (; going_ < B; ++going_) send_one();
    const Line line("fused", B, rounds * B);
    const std::uint64_t start = stamp();
    for (std::uint64_t round = 0; round < rounds; ++round) move(B);
    line.ticks("ticks", stamp() - start);
  }

 private:
  [[gnu::always_inline]] void move(std::uint32_t frames) {
    const auto untouched = [](pollux::ForwardedFrame&) noexcept {};
    std::uint32_t moved = path_->burst(frames, untouched);
    for (std::uint32_t tries = 0; moved != frames; moved += path_->burst(frames - moved, untouched)) {
      if (++tries == kMaxEmptyPolls) give_up("frames were lost");
    }
  }

  // Sends on queue 1, because the path uses queue 0.
  void send_one() {
    pollux::Burst<1> burst;
    if (!burst.fill(setup_.cache, 1)) give_up("the pool is exhausted");
    write(burst, broadcast_frame());
    if (setup_.ports[1].tx(1).tx_burst(burst) != 1) give_up("a frame was not enqueued");
  }

  PolluxSetup setup_;
  std::unique_ptr<pollux::ForwardPath> path_;
  std::uint32_t going_ = 0;
};

inline void run_fused(const Options& options) {
  if (options.ports.size() != 2) give_up("this case needs two ports");
  const auto wanted = [&](unsigned burst) {
    return std::find(options.bursts.begin(), options.bursts.end(), burst) != options.bursts.end();
  };
  FusedLoop loop(options);
  if (wanted(1)) loop.run<1>(options.frames);
  if (wanted(32)) loop.run<32>(options.frames / 32);
}

}  // namespace baselines
