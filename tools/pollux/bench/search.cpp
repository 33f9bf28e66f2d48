// SPDX-License-Identifier: BSD-3-Clause
#include "bench/search.hpp"

#include <algorithm>

namespace pollux::tool::bench {
namespace {

constexpr Load kLossStep = kFullLoad / 10;

/// Makes trials, and notes them in a Throughput.
class NotedTrials {
 public:
  NotedTrials(const LoadFunction& trial, std::vector<LoadTrial>& trials) : trial_(trial), trials_(trials) {}

  Result<bool> passes(Load load) {
    auto counts = trial_(load);
    if (!counts) return pass_on(std::move(counts));
    trials_.push_back({load, *counts});
    return counts->passed();
  }
  /// The first of `count` trials that fails ends them.
  Result<bool> passes_again(Load load, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      auto passed = passes(load);
      if (!passed || !*passed) return passed;
    }
    return true;
  }

 private:
  const LoadFunction& trial_;
  std::vector<LoadTrial>& trials_;
};

}  // namespace

bool Throughput::contradicted() const noexcept {
  return std::ranges::any_of(trials, [this](const LoadTrial& one) { return one.load <= load && !one.counts.passed(); });
}

bool Throughput::sender_limited() const noexcept {
  const LoadTrial* lowest = nullptr;
  for (const LoadTrial& one : trials) {
    if (!one.counts.passed() && (lowest == nullptr || one.load < lowest->load)) lowest = &one;
  }
  return lowest != nullptr && lowest->counts.sender_limited();
}

// `good` passed, or is 0; everything from `bad` on counts as failed. Each turn of the outer loop that does not return
// doubles `gap`, so there are few turns, also where trials fail by chance.
Result<Throughput> find_throughput(const ThroughputOptions& options, const LoadFunction& trial) {
  Throughput found;
  NotedTrials trials(trial, found.trials);
  const Load resolution = std::max<Load>(options.resolution, 1);
  Load bad = options.max + resolution;
  Load gap = resolution;  // between good and bad, at the end of a search
  for (Load next = options.max; bad > gap;) {
    Load good = 0;
    while (bad - good > gap) {
      const auto passed = trials.passes(next);
      if (!passed) return tl::unexpected(passed.error());
      (*passed ? good : bad) = next;
      next = good + (bad - good) / 2;
    }
    if (good == 0) break;
    const auto confirmed = trials.passes_again(good, options.confirmations);
    if (!confirmed) return tl::unexpected(confirmed.error());
    if (*confirmed) {
      found.load = good;
      return found;
    }
    bad = good;
    next = good - std::min(good / 2, gap);
    gap *= 2;
  }
  return found;
}

Result<std::vector<LoadTrial>> measure_frame_loss(Load max, const LoadFunction& trial) {
  std::vector<LoadTrial> trials;
  unsigned without_loss = 0;
  for (Load load = max; load > 0; load -= std::min(load, kLossStep)) {
    auto counts = trial(load);
    if (!counts) return pass_on(std::move(counts));
    trials.push_back({load, *counts});
    without_loss = counts->lost() == 0 ? without_loss + 1 : 0;
    if (without_loss == 2) break;
  }
  return trials;
}

Result<std::uint64_t> find_back_to_back(std::uint64_t limit, const BurstTrialFunction& trial) {
  std::uint64_t good = 0;
  std::uint64_t bad = limit + 1;
  for (std::uint64_t next = limit; bad - good > 1; next = good + (bad - good) / 2) {
    const auto counts = trial(next);
    if (!counts) return tl::unexpected(counts.error());
    (counts->passed() ? good : bad) = next;
  }
  return good;
}

}  // namespace pollux::tool::bench
