// SPDX-License-Identifier: BSD-3-Clause
// A fault at each step of the reset after a transmit queue has hung. The port ends started or failed, every buffer
// returns to its pool, and the recovery takes a bounded virtual time.
#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <utility>

#include "pollux/mem/burst.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using namespace std::chrono_literals;

enum class Step : std::uint8_t { removal, ones, lost_write };

/// One recovery with a fault at its register access `at`, counted from 0.
class Recovery {
 public:
  Recovery() : port_(fixture_.started()) {
    fixture_.with_card([](models::igb::Card& card) { card.transmitter().queue(0).hang(); });
    Burst<32> burst;
    for (int frames = 0; frames < 3; ++frames) {
      MbufPtr mbuf = fixture_.pool.allocate();
      std::fill_n(mbuf->append(60), 60, std::uint8_t{0xFF});
      EXPECT_TRUE(burst.push(mbuf));
    }
    port_->tx_queue(0)->tx_burst(burst);
    EXPECT_TRUE(port_->service()) << "the first look";
    fixture_.clock->advance(4s);
    EXPECT_TRUE(port_->service());
    fixture_.clock->advance(4s);
  }

  void run(Step step, std::uint64_t at) {
    install(step, at);
    const Duration before = fixture_.clock->now();
    last = port_->service();
    took = fixture_.clock->now() - before;
    fixture_.faults->on_read = nullptr;
    fixture_.faults->discards = nullptr;
    if (last) last = port_->service();  // a card that was removed after the last look at it
    state = port_->state();
    for (const Counter& counter : port_->extended_stats()) {
      if (counter.name == "tx_timeouts") timeouts = counter.value;
    }
  }
  /// What must hold at the end, after a started port was stopped, too. Empty if it does.
  [[nodiscard]] std::string check() {
    if (state != PortState::started && state != PortState::failed) return "neither started nor failed";
    if ((state == PortState::failed) == last.has_value()) return "the service's result does not fit the state";
    if (state == PortState::started && !port_->stop()) return "it does not stop";
    fixture_.faults->removed = false;
    static_cast<void>(port_->close());
    if (port_->state() != PortState::closed) return "it does not close";
    return fixture_.all_mbufs_free() ? "" : "buffers are lost";
  }

  std::uint64_t accesses = 0;
  Result<Duration> last = Duration(0);
  Duration took{0};
  PortState state = PortState::opened;
  std::uint64_t timeouts = 0;

 private:
  void install(Step step, std::uint64_t at) {
    const auto is_now = [this, at] { return accesses++ == at; };
    if (step == Step::lost_write) {
      fixture_.faults->discards = [is_now](std::uint32_t, std::uint32_t) { return is_now(); };
      return;
    }
    fixture_.faults->on_read = [this, is_now, step](std::uint32_t) -> std::optional<std::uint32_t> {
      if (!is_now()) return std::nullopt;
      fixture_.faults->removed = step == Step::removal;
      return ~std::uint32_t{0};
    };
  }

  IgbFixture fixture_;
  std::unique_ptr<PortMachine> port_;
};

class EveryStep : public testing::TestWithParam<Step> {};

TEST_P(EveryStep, EndsStartedOrFailed) {
  Recovery clean;
  clean.run(GetParam(), ~std::uint64_t{0});
  ASSERT_EQ(clean.state, PortState::started);
  ASSERT_EQ(clean.timeouts, 1U);
  ASSERT_GT(clean.accesses, 100U);
  EXPECT_LT(clean.took, 1s) << "a reset, the PHY, and the wait for a ring that does not empty";
  ASSERT_EQ(clean.check(), "");
  std::set<PortState> seen;
  // Each of the first accesses, in which the queues stop, and a sample of the others.
  for (std::uint64_t at = 0; at < clean.accesses; at += at < 20 ? 1 : 7) {
    Recovery recovery;
    recovery.run(GetParam(), at);
    EXPECT_LT(recovery.took, 5s) << at;
    seen.insert(recovery.state);
    EXPECT_EQ(recovery.check(), "") << at;
  }
  const bool all_fail = GetParam() == Step::removal;
  EXPECT_EQ(seen.contains(PortState::started), !all_fail);
}

std::string name_of(const testing::TestParamInfo<Step>& info) {
  return std::array{"Removal", "ReadOfOnes", "LostWrite"}[static_cast<std::size_t>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Watchdog, EveryStep, testing::Values(Step::removal, Step::ones, Step::lost_write), name_of);

}  // namespace
}  // namespace pollux::drivers::igb
