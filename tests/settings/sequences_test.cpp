// SPDX-License-Identifier: BSD-3-Clause
// Whatever calls a program has made, and in whatever order: the card's registers are those of a port that was opened
// and started once with the final settings. So it is after a reset, a suspension, and on another device, too.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "settings/calls.hpp"
#include "settings/sim_port.hpp"

namespace pollux::test::settings {
namespace {

/// Sequences of a plain run. POLLUX_SEQUENCES sets another number.
constexpr std::uint64_t kSequences = 300;
constexpr std::uint64_t kFirstSeed = 1;

std::uint64_t sequences() {
  const char* const set = std::getenv("POLLUX_SEQUENCES");
  return set == nullptr ? kSequences : std::strtoull(set, nullptr, 10);
}

/// The ports of a sequence.
class Sequence {
 public:
  Sequence(SimLab& lab, std::uint64_t seed) : lab_(lab), seed_(seed) {}

  /// What is wrong after these calls; empty if nothing is.
  [[nodiscard]] std::string run(const std::vector<Call>& calls) {
    SimPort used(lab_, seed_);
    for (const Call& call : calls) {
      const auto made = call.make(used);
      if (!made && !is_refusal(made.error())) return call.text + ": " + made.error().message() + "\n";
      if (made && used.state() == PortState::started && call.text.starts_with("set_function ")) ++function_changes_;
    }
    if (auto settled = used.settle(); !settled) return "settle: " + settled.error().message() + "\n";
    SimPort fresh(lab_, ~seed_);
    fresh.asked = used.asked;
    fresh.announced = used.announced;
    if (auto set = set_all(fresh.port(), fresh.asked); !set) return "a fresh port: " + set.error().message() + "\n";
    if (auto settled = fresh.settle(); !settled) return "a fresh port: " + settled.error().message() + "\n";
    const Image expected = fresh.image();
    compare("after the calls", used.image(), expected);
    if (wrong_.empty()) {
      compare_after("a reset of the hung port", used, expected, [&] { return used.hang_and_recover(); });
      compare_after("stop and start", used, expected,
                    [&] { return used.stop().and_then([&] { return used.start(); }); });
      compare_after("suspend and resume", used, expected, [&] { return used.suspend_and_resume(); });
      compare_after("detach and attach", used, expected, [&] { return used.detach_and_attach(); });
      compare_asleep(used, fresh);
    }
    return wrong_;
  }
  /// Settings of functions that a running port has accepted.
  [[nodiscard]] unsigned function_changes() const { return function_changes_; }

 private:
  void compare(const std::string& when, const Image& got, const Image& expected) {
    const std::string lines = difference(got, expected);
    if (!lines.empty()) wrong_ += when + ":\n" + lines;
  }
  template <class Work>
  void compare_after(const std::string& what, CardPort& used, const Image& expected, Work work) {
    auto done = work();
    if (done) done = used.settle();
    if (!done) {
      wrong_ += what + ": " + done.error().message() + "\n";
    } else {
      compare("after " + what, used.image(), expected);
    }
  }
  void compare_asleep(CardPort& used, CardPort& fresh) {
    for (CardPort* const port : {&used, &fresh}) {
      if (auto asleep = port->port().suspend(); !asleep) wrong_ += "suspend: " + asleep.error().message() + "\n";
    }
    compare("while suspended", used.image_asleep(), fresh.image_asleep());
  }

  SimLab& lab_;
  std::uint64_t seed_;
  std::string wrong_;
  unsigned function_changes_ = 0;
};

/// Removes calls as long as something is wrong without them.
std::vector<Call> shrink(SimLab& lab, std::uint64_t seed, std::vector<Call> calls) {
  for (std::size_t i = calls.size(); i-- > 0;) {
    std::vector<Call> fewer = calls;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (!Sequence(lab, seed).run(fewer).empty()) calls = std::move(fewer);
  }
  return calls;
}

TEST(Settings, AnySequenceOfCallsLeavesTheRegistersOfOneStart) {
  SimLab lab;
  const std::uint64_t count = sequences();
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(kFirstSeed),
              static_cast<unsigned long long>(kFirstSeed + count - 1));
  unsigned failures = 0;
  std::uint64_t function_changes = 0;
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + count && failures < 3; ++seed) {
    Random random(seed);
    std::vector<Call> calls = random_calls(random, lab.pools);
    Sequence sequence(lab, seed);
    const bool is_right = sequence.run(calls).empty();
    function_changes += sequence.function_changes();
    if (is_right) continue;
    ++failures;
    calls = shrink(lab, seed, std::move(calls));
    std::string text;
    for (const Call& call : calls) text += "  " + call.text + "\n";
    ADD_FAILURE() << "seed " << seed << ": " << Sequence(lab, seed).run(calls) << "calls:\n" << text;
  }
  EXPECT_GE(function_changes, count / 4) << "settings of functions are among the calls";
}

}  // namespace
}  // namespace pollux::test::settings
