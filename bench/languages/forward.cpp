// SPDX-License-Identifier: BSD-3-Clause
// Forwards from a port that makes frames to one that discards them. forward.c, forward.py and
// lib/rust/pollux/examples/forward_cost.rs do the same. usage: forward_in_cpp BURST keep|swap; prints nanoseconds of
// processor time a frame.
#include <pollux/pollux.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

double seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: forward_in_cpp BURST keep|swap\n"), 2;
  const auto limit = static_cast<std::uint32_t>(std::atoi(argv[1]));
  const bool swaps = std::strcmp(argv[2], "swap") == 0;
  pollux::Context context;
  auto from = pollux::open(context, "null:?rx=64");
  auto to = pollux::open(context, "null:");
  if (!from || !to) return std::fprintf(stderr, "forward_in_cpp: the ports cannot be opened\n"), 1;
  pollux::DropCounter unsent("unsent");
  pollux::Burst<32> burst;
  const auto forward = [&](double duration) {
    double frames = 0;
    double passed = 0;
    for (const double begun = seconds(); passed < duration; passed = seconds() - begun) {
      for (int i = 0; i < 1000; ++i) {
        frames += from->rx(0).rx_burst(burst, limit);
        if (swaps) {
          for (pollux::Mbuf& mbuf : burst) std::swap_ranges(mbuf.data(), mbuf.data() + 6, mbuf.data() + 6);
        }
        to->tx(0).tx_burst(burst);
        burst.drop(unsent);
      }
    }
    return passed * 1e9 / frames;
  };
  forward(0.05);
  std::printf("%.3f\n", forward(0.2));
  return std::fflush(stdout) == 0 ? 0 : 1;
}
