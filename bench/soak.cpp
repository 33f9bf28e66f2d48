// SPDX-License-Identifier: BSD-3-Clause
// Forwards frames between two in-process cards for a long time at full rate. The instructions of a burst, memory and
// mbufs in use must be the same at the end as at the beginning. The in-process card runs inside the
// doorbell write, so its instructions are counted, too. They are most of the count of tx_burst.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <vector>

#include <fmt/format.h>

#include "common/cli.hpp"
#include "cycles.hpp"
#include "fixture.hpp"
#include "measure.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::uint32_t kBurst = 32;
constexpr std::uint32_t kRing = 512;
constexpr std::uint32_t kSampled = 2 * kRing;  // frames: each slot of the rings twice
constexpr std::uint32_t kCirculating = 8 * kBurst;
constexpr std::uint32_t kPassesBetweenChecks = 1000;
constexpr double kWithin = 0.02;
constexpr double kMemoryWithin =
    64 * 1024;  // bytes, for changes in the C library's memory; a leak would be a thousand times as large

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  if (!(file >> all >> resident)) give_up("cannot read /proc/self/statm");
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// The measurements of one tenth of the time.
struct Interval {
  std::vector<double> receive;  // instructions per frame, one sample per second of those that are compared
  std::vector<double> transmit;
  std::uint64_t frames = 0;
  double seconds = 0;
  std::size_t memory = 0;
  MempoolStats pool;
};

class Soak {
 public:
  Soak() {
    for (const char* const uri : {"sim:0", "sim:1"}) {
      ports_.push_back(need(open(
          context_, uri,
          {.rx = {{.pool = pool_, .cache = cache_, .ring = kRing}}, .tx = {{.cache = cache_}}, .promiscuous = true})));
    }
    for (Port& port : ports_) need(port.wait_for_link(std::chrono::seconds(10)));
    Burst<kBurst> burst;
    for (std::uint32_t sent = 0; sent < kCirculating; sent += kBurst) {
      if (!burst.fill(cache_, kBurst)) give_up("the pool is exhausted");
      for (Mbuf& mbuf : burst) std::fill_n(need_room(mbuf.append(60)), 60, std::uint8_t{2});
      if (ports_[0].tx(0).tx_burst(burst) != kBurst) give_up("the transmit ring is full");
    }
  }

  Interval run(Seconds length, bool is_compared) {
    Interval interval;
    const auto began = std::chrono::steady_clock::now();
    auto next_sample = began;
    for (auto now = began; now - began < length; now = std::chrono::steady_clock::now()) {
      for (std::uint32_t pass = 0; pass < kPassesBetweenChecks; ++pass) interval.frames += turn();
      static_cast<void>(need(context_.control().run_due()));
      if (!is_compared || now < next_sample) continue;
      next_sample = now + std::chrono::seconds(1);
      sample(interval);
    }
    interval.seconds = Seconds(std::chrono::steady_clock::now() - began).count();
    interval.memory = resident_bytes();
    interval.pool = pool_.stats();
    return interval;
  }

 private:
  static std::uint8_t* need_room(std::uint8_t* at) {
    if (at == nullptr) give_up("no room in an mbuf");
    return at;
  }
  // Sends received frames back on the same port.
  static std::uint32_t forward(Port& port) {
    Burst<kBurst> burst;
    port.rx(0).rx_burst(burst);
    for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
    const std::uint32_t sent = port.tx(0).tx_burst(burst);
    if (!burst.empty()) give_up("the transmit ring is full");
    return sent;
  }
  // Moves every frame to the other port and back.
  std::uint32_t turn() {
    std::uint32_t frames = 0;
    for (Port& port : ports_) {
      std::uint32_t moved = 0;
      while (moved < kCirculating) {
        const std::uint32_t now = forward(port);
        if (now == 0) break;
        moved += now;
      }
      frames += moved;
    }
    return frames;
  }
  // Samples several laps of the receive ring. The cost of a burst depends a little on its slot, and on whether the
  // cache is refilled from the pool's shared list.
  void sample(Interval& interval) {
    InstructionCounter counter;
    std::uint64_t receive = 0;
    for (std::uint32_t done = 0; done < kSampled; done += kBurst) {
      // After a turn, all frames wait at the first port.
      Burst<kBurst> burst;
      counter.start();
      ports_[0].rx(0).rx_burst(burst);
      receive += counter.stop();
      if (!burst.full()) give_up(fmt::format("only {} of {} frames were received", burst.size(), kBurst));
      if (done == 0) counter.start();
      ports_[0].tx(0).tx_burst(burst);
      if (done == 0) interval.transmit.push_back(static_cast<double>(counter.stop()) / kBurst);
      if (!burst.empty() || forward(ports_[1]) != kBurst) give_up("the frames did not return");
    }
    interval.receive.push_back(static_cast<double>(receive) / kSampled);
  }

  Context context_{logging_options()};
  Mempool pool_{need(Mempool::create(context_, {.count = 4096}))};
  MempoolCache cache_{pool_, MempoolCache::kMaxCapacity};
  std::vector<Port> ports_;
};

bool same(const char* what, double before, double after, double within) {
  const bool held = std::abs(after - before) <= within;
  fmt::print("{:<28} {:>14.1f} {:>14.1f}  {}\n", what, before, after, held ? "held" : "NOT HELD");
  return held;
}

int soak(double seconds) {
  Soak soak;
  std::vector<Interval> intervals;
  for (int tenth = 0; tenth < 10; ++tenth) {
    intervals.push_back(soak.run(Seconds(seconds / 10), tenth == 1 || tenth == 9));
    const Interval& last = intervals.back();
    fmt::print(stderr, "{:.0f} s: {:.2f} Mpps, {} MiB, {} mbufs in use\n", seconds / 10 * (tenth + 1),
               static_cast<double>(last.frames) / last.seconds / 1e6, last.memory >> 20, last.pool.in_use());
  }
  const Interval& second = intervals[1];
  const Interval& last = intervals.back();
  fmt::print("{:<28} {:>14} {:>14}\n", "", "second tenth", "last tenth");
  bool held =
      same("rx_burst, instructions", median(second.receive), median(last.receive), kWithin * median(second.receive));
  held &=
      same("tx_burst, instructions", median(second.transmit), median(last.transmit), kWithin * median(second.transmit));
  held &= same("bytes of memory", static_cast<double>(second.memory), static_cast<double>(last.memory), kMemoryWithin);
  held &= same("mbufs in use", second.pool.in_use(), last.pool.in_use(), 0);
  held &= same("failed allocations", static_cast<double>(second.pool.allocation_failures),
               static_cast<double>(last.pool.allocation_failures), 0);
  return held ? 0 : 1;
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  double seconds = 600;
  pollux::cli::App app(
      "Forwards between two in-process cards and compares the last tenth of the time with the second one.");
  app.add_option("--seconds", seconds, "how long")->capture_default_str()->check(pollux::cli::range(1.0, 86400.0));
  if (const auto status = app.parse(argc, argv, std::cout, std::cerr)) return *status;
  return pollux::bench::soak(seconds);
}
