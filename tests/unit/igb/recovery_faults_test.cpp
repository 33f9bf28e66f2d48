// SPDX-License-Identifier: BSD-3-Clause
// A fault at each step of suspend and resume, and of detach and attach. The port ends started, failed or, if the new
// device cannot be taken over, detached. No buffer is lost, and once the fault is over, the port works again.
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "base/file_descriptor.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using namespace std::chrono_literals;

enum class Pause : std::uint8_t { suspend, detach };
enum class StepFault : std::uint8_t { none, removal, ones, lost_write, pci_error, master_hangs, master_and_reset };

/// A started port that goes away and comes back, with a fault at its register access `at`, counted from 0.
class Interruption {
 public:
  explicit Interruption(Pause way) : way_(way), port_(fixture_.started()) {}

  void run(StepFault fault, std::uint64_t at) {
    install(fault, at);
    const Time before = fixture_.clock->now();
    first = way_ == Pause::suspend ? port_->suspend() : port_->detach();
    away = fixture_.clock->now() - before;
    const Time middle = fixture_.clock->now();
    if (first) last = way_ == Pause::suspend ? port_->resume() : port_->attach(fixture_.device());
    back = fixture_.clock->now() - middle;
    steps = accesses_;
    // A fault after the last look at the card is the next service's.
    for (int look = 0; look < 2 && port_->state() == PortState::started; ++look) static_cast<void>(port_->service());
    state = port_->state();
    heal();
  }
  /// What must hold after the fault. Empty if it does.
  [[nodiscard]] std::string check() {
    const bool fell_through = way_ == Pause::detach && state == PortState::detached;
    if (state != PortState::started && state != PortState::failed && !fell_through) return "in between";
    if (state == PortState::failed && !port_->detach()) return "it does not detach";
    if (port_->state() == PortState::detached && !port_->attach(fixture_.device())) return "it does not attach";
    if (port_->state() != PortState::started) return "it does not start";
    if (!port_->stop()) return "it does not stop";
    if (!port_->close()) return "it does not close";
    return fixture_.all_mbufs_free() ? "" : "buffers are lost";
  }

  std::uint64_t steps = 0;  ///< register accesses of the two calls
  Result<void> first;
  Result<void> last;
  Duration away{0};
  Duration back{0};
  PortState state = PortState::opened;

 private:
  void strike(StepFault fault) {
    if (fault == StepFault::removal) fixture_.faults->removed = true;
    if (fault == StepFault::pci_error) fixture_.faults->error_event = error_.get();
    if (fault == StepFault::master_hangs || fault == StepFault::master_and_reset) {
      fixture_.with_card([](models::igb::Card& card) { card.control().hang_master(); });
    }
    if (fault == StepFault::master_and_reset) fixture_.faults->reset_error = Error{ErrorCode::io_error, "no reset", ""};
  }
  void install(StepFault fault, std::uint64_t at) {
    if (fault == StepFault::lost_write) {
      fixture_.faults->discards = [this, at](std::uint32_t, std::uint32_t) { return accesses_++ == at; };
      return;
    }
    fixture_.faults->on_read = [this, fault, at](std::uint32_t) -> std::optional<std::uint32_t> {
      if (accesses_++ != at) return std::nullopt;
      strike(fault);
      const bool reads_ones = fault == StepFault::removal || fault == StepFault::ones;
      return reads_ones ? std::optional(~std::uint32_t{0}) : std::nullopt;
    };
  }
  void heal() {
    fixture_.faults->on_read = nullptr;
    fixture_.faults->discards = nullptr;
    fixture_.faults->removed = false;
    fixture_.faults->error_event = -1;
    fixture_.faults->reset_error.reset();
  }

  Pause way_;
  std::uint64_t accesses_ = 0;
  IgbFixture fixture_;
  FileDescriptor error_{::eventfd(1, EFD_CLOEXEC)};
  std::unique_ptr<PortMachine> port_;
};

class EveryInterruption : public testing::TestWithParam<std::tuple<Pause, StepFault>> {};

TEST_P(EveryInterruption, EndsStartedOrFailed) {
  const auto [way, fault] = GetParam();
  Interruption counting(way);
  const bool counts_writes = fault == StepFault::lost_write;
  counting.run(counts_writes ? fault : StepFault::none, ~std::uint64_t{0});
  ASSERT_EQ(counting.state, PortState::started);
  ASSERT_GT(counting.steps, 100U);
  std::set<PortState> seen;
  Duration longest{0};
  // Each of the first accesses, in which the queues stop, and a sample of the others.
  for (std::uint64_t at = 0; at < counting.steps; at += at < 20 ? 1 : 7) {
    Interruption interruption(way);
    interruption.run(fault, at);
    longest = std::max(longest, interruption.away + interruption.back);
    seen.insert(interruption.state);
    EXPECT_EQ(interruption.check(), "") << at;
  }
  RecordProperty("longest_ms", std::to_string(longest / 1ms));
  EXPECT_LT(longest, 5s);
  const bool all_fail = fault == StepFault::removal || fault == StepFault::pci_error;
  EXPECT_EQ(seen.contains(PortState::started), !all_fail);
}

std::string name_of_interruption(const testing::TestParamInfo<EveryInterruption::ParamType>& info) {
  const std::array ways{"Suspend", "Detach"};
  const std::array faults{"None",     "Removal",     "ReadOfOnes",        "LostWrite",
                          "PciError", "MasterHangs", "MasterAndResetHang"};
  return std::string(ways[static_cast<std::size_t>(std::get<0>(info.param))]) +
         faults[static_cast<std::size_t>(std::get<1>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(Recovery, EveryInterruption,
                         testing::Combine(testing::Values(Pause::suspend, Pause::detach),
                                          testing::Values(StepFault::removal, StepFault::ones, StepFault::lost_write,
                                                          StepFault::pci_error, StepFault::master_hangs,
                                                          StepFault::master_and_reset)),
                         name_of_interruption);

// The table "Time to recover" in docs/82576/faults.md. Away: 50 ms for frames that do not leave (none wait here), 80 ms
// for the end of bus mastering, 200 ms each for a reset and for the PHY. Back: two resets, the PHY, the queues.
TEST(TimeToRecover, IsBounded) {
  for (const Pause way : {Pause::suspend, Pause::detach}) {
    for (const StepFault fault : {StepFault::none, StepFault::master_hangs}) {
      Interruption interruption(way);
      interruption.run(fault, 0);
      const std::string name =
          std::string(way == Pause::suspend ? "suspend" : "detach") + (fault == StepFault::none ? "" : "_master_hangs");
      const auto in_us = [](Duration span) { return std::to_string(span / 1us); };
      RecordProperty(name + "_away_us", in_us(interruption.away));
      RecordProperty(name + "_back_us", in_us(interruption.back));
      std::printf("%s: away %s us, back %s us\n", name.c_str(), in_us(interruption.away).c_str(),
                  in_us(interruption.back).c_str());
      EXPECT_EQ(interruption.state, PortState::started);
      EXPECT_LT(interruption.away, 530ms);
      EXPECT_LT(interruption.back, 600ms);
    }
  }
}

}  // namespace
}  // namespace pollux::drivers::igb
