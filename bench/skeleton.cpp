// SPDX-License-Identifier: BSD-3-Clause
// Forwards between two ports and does nothing else, with the ring sizes, the pool and the bursts of DPDK's example
// `skeleton`, beside which tools/bench --starts measures it. usage: skeleton URI URI; prints how long each `open` took,
// and ends when it is killed.
#include <pollux/pollux.hpp>

#include <chrono>
#include <cstdio>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: skeleton URI URI\n"), 2;
  pollux::Context context;
  const auto pool = pollux::Mempool::create(context, {.count = 2 * 8191, .name = "frames"});
  if (!pool) return std::fprintf(stderr, "%s\n", pool.error().message().c_str()), 1;
  pollux::MempoolCache cache(*pool, 250);
  pollux::Settings settings;
  settings.promiscuous = true;
  settings.rx = {{.pool = *pool, .cache = cache, .ring = 1024}};
  settings.tx = {{.cache = cache, .ring = 1024}};
  std::vector<pollux::Port> ports;
  for (const char* const uri : {argv[1], argv[2]}) {
    const auto begun = std::chrono::steady_clock::now();
    auto port = pollux::open(context, uri, settings);
    if (!port) return std::fprintf(stderr, "%s\n", port.error().message().c_str()), 1;
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - begun;
    std::printf("%s opened in %.2f ms\n", uri, taken.count());
    ports.push_back(std::move(*port));
  }
  if (std::fflush(stdout) != 0) return 1;
  pollux::DropCounter unsent("unsent");
  pollux::Burst<32> burst;
  for (unsigned from = 0;; from ^= 1U) {
    ports[from].rx(0).rx_burst(burst);
    ports[from ^ 1U].tx(0).tx_burst(burst);
    burst.drop(unsent);
  }
}
