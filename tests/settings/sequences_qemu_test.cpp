// SPDX-License-Identifier: BSD-3-Clause
// The same as sequences_test.cpp with QEMU's cards, for what they have. A link takes half a second of real time there,
// so several threads have a QEMU each, and wait most of the time.
#include <gtest/gtest.h>

#include <cstdio>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "backends/qtest/device.hpp"
#include "pollux/mem/context.hpp"
#include "settings/calls.hpp"
#include "settings/card_port.hpp"

namespace pollux::test::settings {
namespace {

constexpr std::uint64_t kSequences = 30;
constexpr std::uint64_t kThreads = 6;
/// QEMU's PHY is always linked, and its functions cannot be enabled from here.
constexpr Abilities kAbilities{.functions = false, .whole_phy = false, .most_queues = 8};

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

struct QemuLab {
  Context context{{.huge_pages = HugePages::never}};
  Pools pools{must(Mempool::create(context, {.count = 4096, .name = "frames"})),
              must(Mempool::create(context, {.count = 4096, .data_room = 256, .name = "headers"}))};
};

class QemuPort final : public CardPort {
 public:
  QemuPort(QemuLab& lab, std::string card, std::uint64_t seed)
      : CardPort(lab.pools, seed), lab_(lab), card_(std::move(card)) {
    open(lab.context);
  }
  [[nodiscard]] Image image_asleep() override { return {}; }

 private:
  [[nodiscard]] std::unique_ptr<Device> open_device() override { return must(qtest::open_qtest(lab_.context, card_)); }
  void wait(Duration time) override { std::this_thread::sleep_for(time); }

  QemuLab& lab_;
  std::string card_;
};

/// What is wrong after these calls; empty if nothing is.
std::string run(QemuLab& lab, std::uint64_t seed, const std::vector<Call>& calls) {
  QemuPort used(lab, "0", seed);
  for (const Call& call : calls) {
    if (auto made = call.make(used); !made && !is_refusal(made.error()))
      return call.text + ": " + made.error().message() + "\n";
  }
  if (auto settled = used.settle(); !settled) return "settle: " + settled.error().message() + "\n";
  QemuPort fresh(lab, "1", ~seed);
  fresh.asked = used.asked;
  // The cards have different addresses.
  if (!fresh.asked.mac) fresh.asked.mac = used.port().mac();
  if (auto set = set_all(fresh.port(), fresh.asked); !set) return "a fresh port: " + set.error().message() + "\n";
  if (auto settled = fresh.settle(); !settled) return "a fresh port: " + settled.error().message() + "\n";
  const Image expected = fresh.image();
  std::string wrong = difference(used.image(), expected);
  if (!wrong.empty()) return "after the calls:\n" + wrong;
  if (auto back = used.detach_and_attach(); !back) return "detach and attach: " + back.error().message() + "\n";
  if (auto settled = used.settle(); !settled) return "settle: " + settled.error().message() + "\n";
  wrong = difference(used.image(), expected);
  return wrong.empty() ? "" : "after detach and attach:\n" + wrong;
}

/// Runs each kThreads-th sequence from `first` on, up to one that fails.
std::string run_from(std::uint64_t first) {
  QemuLab lab;
  for (std::uint64_t seed = first; seed < kSequences; seed += kThreads) {
    Random random(seed);
    const std::vector<Call> calls = random_calls(random, lab.pools, kAbilities);
    const std::string wrong = run(lab, seed, calls);
    if (wrong.empty()) continue;
    std::string text = "seed " + std::to_string(seed) + ": " + wrong + "calls:\n";
    for (const Call& call : calls) text += "  " + call.text + "\n";
    return text;
  }
  return "";
}

TEST(SettingsOnQemu, AnySequenceOfCallsLeavesTheRegistersOfOneStart) {
  std::printf("seeds 0 to %llu\n", static_cast<unsigned long long>(kSequences - 1));
  std::vector<std::future<std::string>> runs;
  for (std::uint64_t first = 0; first < kThreads; ++first)
    runs.push_back(std::async(std::launch::async, run_from, first));
  for (auto& wrong : runs) EXPECT_EQ(wrong.get(), "");
}

}  // namespace
}  // namespace pollux::test::settings
