// SPDX-License-Identifier: BSD-3-Clause
// Forwards frames between two in-process cards for a long time at full rate. What a burst costs at the end, in
// instructions, is what it cost in the beginning, and memory and mbufs are where they were. The in-process card's own
// instructions are counted, too, where a doorbell sets it to work; that is most of what tx_burst shows here.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "cycles.hpp"
#include "fixture.hpp"
#include "measure.hpp"
#include "swap_macs.hpp"

namespace pollux::bench {
namespace {

using Seconds = std::chrono::duration<double>;

constexpr std::uint32_t kBurst = 32;
constexpr std::uint32_t kRing = 512;
constexpr std::uint32_t kSampled = 8 * kRing;  // frames
constexpr std::uint32_t kCirculating = 8 * kBurst;
constexpr std::uint32_t kPassesBetweenLooks = 1000;
constexpr double kWithin = 0.02;
constexpr double kMemoryWithin =
    64 * 1024;  // bytes: what the C library does with its own; a leak would be a thousand times that

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  if (!(file >> all >> resident)) give_up("cannot read /proc/self/statm");
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

/// How things stood in one tenth of the time.
struct Stretch {
  std::vector<double> receive;  // instructions of a frame, one sample a second
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
          {.rx = {.pool = &pool_, .cache = &cache_, .ring = kRing}, .tx = {.cache = &cache_}, .promiscuous = true})));
    }
    for (Port& port : ports_) need(port.wait_for_link(std::chrono::seconds(10)));
    Burst<kBurst> burst;
    for (std::uint32_t sent = 0; sent < kCirculating; sent += kBurst) {
      if (!burst.fill(cache_, kBurst)) give_up("the pool is dry");
      for (Mbuf& mbuf : burst) std::fill_n(need_room(mbuf.append(60)), 60, std::uint8_t{2});
      if (ports_[0].tx(0).tx_burst(burst) != kBurst) give_up("the transmit ring is full");
    }
  }

  Stretch run(Seconds length) {
    Stretch stretch;
    const auto began = std::chrono::steady_clock::now();
    auto next_sample = began;
    for (auto now = began; now - began < length; now = std::chrono::steady_clock::now()) {
      for (std::uint32_t pass = 0; pass < kPassesBetweenLooks; ++pass) stretch.frames += turn();
      static_cast<void>(need(context_.control().run_due()));
      if (now < next_sample) continue;
      next_sample = now + std::chrono::seconds(1);
      sample(stretch);
    }
    stretch.seconds = Seconds(std::chrono::steady_clock::now() - began).count();
    stretch.memory = resident_bytes();
    stretch.pool = pool_.stats();
    return stretch;
  }

 private:
  static std::uint8_t* need_room(std::uint8_t* at) {
    if (at == nullptr) give_up("no room in an mbuf");
    return at;
  }
  // Back to where it came from.
  static std::uint32_t forward(Port& port) {
    Burst<kBurst> burst;
    port.rx(0).rx_burst(burst);
    for (Mbuf& mbuf : burst) swap_macs(mbuf.data());
    const std::uint32_t sent = port.tx(0).tx_burst(burst);
    if (!burst.empty()) give_up("the transmit ring is full");
    return sent;
  }
  // All frames once there and back.
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
  // Over several receive rings, since a burst at one place costs a little more than at another, and one that asks the
  // pool's shared list for more.
  void sample(Stretch& stretch) {
    InstructionCounter counter;
    std::uint64_t receive = 0;
    for (std::uint32_t done = 0; done < kSampled; done += kBurst) {
      // After a turn all frames are before the first port.
      Burst<kBurst> burst;
      counter.start();
      ports_[0].rx(0).rx_burst(burst);
      receive += counter.stop();
      if (!burst.full()) give_up(fmt::format("{} of {} frames were there to be forwarded", burst.size(), kBurst));
      if (done == 0) counter.start();
      ports_[0].tx(0).tx_burst(burst);
      if (done == 0) stretch.transmit.push_back(static_cast<double>(counter.stop()) / kBurst);
      if (!burst.empty() || forward(ports_[1]) != kBurst) give_up("the frames do not come back");
    }
    stretch.receive.push_back(static_cast<double>(receive) / kSampled);
  }

  Context context_{talking()};
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
  std::vector<Stretch> stretches;
  for (int tenth = 0; tenth < 10; ++tenth) {
    stretches.push_back(soak.run(Seconds(seconds / 10)));
    const Stretch& last = stretches.back();
    fmt::print(stderr, "{:.0f} s: {:.2f} Mpps, {:.1f} + {:.1f} instructions a frame, {} MiB, {} mbufs in use\n",
               seconds / 10 * (tenth + 1), static_cast<double>(last.frames) / last.seconds / 1e6, median(last.receive),
               median(last.transmit), last.memory >> 20, last.pool.in_use());
  }
  const Stretch& second = stretches[1];
  const Stretch& last = stretches.back();
  fmt::print("{:<28} {:>14} {:>14}\n", "", "second tenth", "last tenth");
  bool held =
      same("rx_burst, instructions", median(second.receive), median(last.receive), kWithin * median(second.receive));
  held &=
      same("tx_burst, instructions", median(second.transmit), median(last.transmit), kWithin * median(second.transmit));
  held &= same("bytes of memory", static_cast<double>(second.memory), static_cast<double>(last.memory), kMemoryWithin);
  held &= same("mbufs in use", second.pool.in_use(), last.pool.in_use(), 0);
  held &= same("mbufs refused", static_cast<double>(second.pool.allocation_failures),
               static_cast<double>(last.pool.allocation_failures), 0);
  return held ? 0 : 1;
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  double seconds = 600;
  CLI::App app("Forwards between two in-process cards and compares the last tenth of the time with the second one.");
  app.add_option("--seconds", seconds, "how long")->capture_default_str()->check(CLI::Range(1.0, 86400.0));
  CLI11_PARSE(app, argc, argv);
  return pollux::bench::soak(seconds);
}
