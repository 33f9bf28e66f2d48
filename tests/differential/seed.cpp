// SPDX-License-Identifier: BSD-3-Clause
#include "differential/seed.hpp"

#include <cstdio>
#include <cstdlib>

namespace pollux::differential {
namespace {

constexpr long kSeconds = 8;

}  // namespace

std::uint64_t choose_seed() {
  const char* const given = std::getenv("POLLUX_SEED");
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device()();
  std::printf("seed: %llu (set POLLUX_SEED to repeat this run)\n", static_cast<unsigned long long>(seed));
  return seed;
}

std::chrono::seconds choose_duration() {
  const char* const given = std::getenv("POLLUX_DIFFERENTIAL_SECONDS");
  return std::chrono::seconds(given != nullptr ? std::strtol(given, nullptr, 0) : kSeconds);
}

}  // namespace pollux::differential
