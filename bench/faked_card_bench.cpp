// SPDX-License-Identifier: BSD-3-Clause
// Measures the igb driver through its public calls, on a card that is plain memory: the driver's own cycles and
// instructions per frame, beside the minimal loop. The name of a case is CASE/WHO/PATH/warm or cold/burst:N, followed
// by what differs from Setup's defaults.
#include <fmt/format.h>

#include <map>
#include <string>

#include "faked_card.hpp"
#include "report.hpp"
#include "workload.hpp"

namespace pollux::bench {
namespace {

std::string name_of(const Case& one, const Setup& setup) {
  constexpr Setup kDefault;
  std::string text = fmt::format("{}/{}/{}/{}/burst:{}", one.name, one.who, name(setup.mode),
                                 setup.cold ? "cold" : "warm", setup.burst);
  if (setup.ring != kDefault.ring) text += fmt::format("/ring:{}", setup.ring);
  if (setup.rotate) text += fmt::format("/pool:{}", setup.pool);
  if (setup.frame != kDefault.frame) text += fmt::format("/frame:{}", setup.frame);
  if (setup.queues != kDefault.queues) text += fmt::format("/queues:{}", setup.queues);
  if (setup.marked) text += "/marked";
  if (setup.trickle) text += "/trickle";
  return text;
}

void add(const Case& one, Setup setup) {
  // Measure a few hundred thousand frames, however many a round has.
  constexpr std::uint32_t kFrames = 450'000;
  const std::uint32_t rounds = std::clamp(kFrames / (setup.frames() * (setup.cold ? 4 : 1)), 100U, 20'000U);
  const auto body = [&one, setup](benchmark::State& state) {
    // Single-stepping is slow and always gives the same number, so it is done once per case.
    static std::map<std::string, double> counted;
    const std::string key = name_of(one, setup);
    if (!counted.contains(key)) counted[key] = instructions_of(one, setup);
    state.counters["instructions"] = counted[key];
    measure(state, *one.make(setup));
  };
  repeated(benchmark::RegisterBenchmark(name_of(one, setup).c_str(), body))->Iterations(rounds);
}

// Adds one setup for each burst mode and cache state (warm, cold) that makes a difference to the case.
template <class Change>
void add_all(std::string_view name, std::string_view who, Change change) {
  const Case& one = find_case(name, who);
  for (const BurstMode mode : kModes) {
    if (mode != BurstMode::scalar && (!one.has_modes || !processor_has(mode))) continue;
    for (const bool cold : {false, true}) {
      if (cold && !one.touches_frames) continue;
      Setup setup{.mode = mode, .cold = cold};
      change(setup);
      add(one, setup);
    }
  }
}

constexpr std::array<std::uint32_t, 4> kBursts{1, 8, 32, 64};

// The table of docs/performance-details.md.
void add_table() {
  for (const Case& one : cases()) {
    if (one.name == "forward_queues") continue;
    for (const std::uint32_t burst : kBursts) {
      if (one.name == "empty_poll" && burst != 32) continue;
      add_all(one.name, one.who, [&](Setup& setup) { setup.burst = burst; });
    }
  }
}

// How forwarding depends on rings, pool, frame length, arrival and the number of queues.
void add_sweeps(std::string_view who) {
  for (const std::uint32_t ring : {64U, 128U, 256U, 1024U, 2048U, 4096U}) {
    add_all("forward", who, [&](Setup& setup) {
      setup.ring = ring;
      setup.pool = std::max(setup.pool, 4 * ring);
    });
  }
  for (const std::uint32_t burst : {2U, 4U, 16U}) {
    add_all("forward", who, [&](Setup& setup) { setup.burst = burst; });
  }
  for (const std::uint32_t frame : {128U, 256U, 512U, 1024U, 1514U}) {
    add_all("forward", who, [&](Setup& setup) { setup.frame = frame; });
  }
  for (const std::uint32_t burst : kBursts) {
    add_all("forward", who, [&](Setup& setup) {
      setup.burst = burst;
      setup.trickle = true;
    });
  }
  if (who != kPollux) return;
  for (const char* const name : {"forward", "rx", "tx"}) {
    add_all(name, who, [&](Setup& setup) { setup.frame = 9000; });
  }
  add_all("forward_offload", who, [&](Setup& setup) { setup.marked = true; });
  for (std::uint32_t pool = 4096; pool <= 65536; pool *= 2) {
    add_all("forward", who, [&](Setup& setup) {
      setup.pool = pool;
      setup.rotate = true;
    });
  }
  for (std::uint16_t queues = 1; queues <= FakedCard::kQueues; queues = static_cast<std::uint16_t>(queues * 2)) {
    add_all("forward_queues", who, [&](Setup& setup) {
      setup.queues = queues;
      setup.pool = 32768;
    });
  }
}

}  // namespace
}  // namespace pollux::bench

int main(int argc, char** argv) {
  using namespace pollux::bench;
  using pollux::BurstMode;
  for (const BurstMode mode : kModes) {
    if (!processor_has(mode)) fmt::print(stderr, "LEFT OUT: {}, which this processor lacks\n", pollux::name(mode));
  }
  add_table();
  add_sweeps(kPollux);
  add_sweeps(kMinimalLoop);
  return run(argc, argv);
}
