// SPDX-License-Identifier: BSD-3-Clause
#include "differential/traffic.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pollux::differential {
namespace {

/// The rarest known difference occurs about once in 15 rounds, so 300 rounds miss one about once in 10^8 runs.
constexpr unsigned kMinRounds = 300;

TEST(Traffic, RandomRoundsGiveTheSameObservations) {
  const std::uint64_t seed = choose_seed();
  const auto model = Fixture::of_model();
  const auto qemu = Fixture::of_qemu();
  for (Fixture* const fixture : {model.get(), qemu.get()}) {
    fixture->reset();
    fixture->raise_link();
  }
  const auto end = std::chrono::steady_clock::now() + choose_duration();
  Comparison comparison(Scope::traffic);
  unsigned rounds = 0;
  std::size_t frames = 0;
  while (rounds < kMinRounds || std::chrono::steady_clock::now() < end) {
    Random random(seed + rounds);
    const Round round = random_round(random);
    comparison.add(run_round(*model, round), run_round(*qemu, round), fmt::format("POLLUX_SEED={}", seed + rounds));
    ++rounds;
    frames += round.frames.size();
  }
  fmt::print("{} rounds, {} frames sent, {} observations compared\n", rounds, frames, comparison.compared());
  for (const auto& [tag, times] : comparison.met()) fmt::print("  {}: {} times\n", tag, times);
  EXPECT_TRUE(comparison.alike()) << comparison.report();
  EXPECT_EQ(comparison.stale(), "");
}

}  // namespace
}  // namespace pollux::differential
