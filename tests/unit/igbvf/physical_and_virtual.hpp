// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pollux/pollux.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::drivers {

using namespace std::chrono_literals;

inline constexpr MacAddress kFirst{0x02, 0x11, 0x22, 0x33, 0x44, 0x50};
inline constexpr MacAddress kSecond{0x02, 0x11, 0x22, 0x33, 0x44, 0x51};
inline constexpr MacAddress kForeign{0x02, 0x99, 0x99, 0x99, 0x99, 0x99};

/// sim:0 has two virtual functions; sim:1 is its link partner. Both are an 82576, unless `card` names another.
class PhysicalAndVirtual : public testing::Test {
 protected:
  void SetUp() override {
    const std::string query = "?card=" + card();
    partner.emplace(opened("sim:1" + query));
    auto physical_opened = open_unconfigured(context, "sim:0" + query);
    ASSERT_TRUE(physical_opened) << physical_opened.error().message();
    physical.emplace(*std::move(physical_opened));
    functions = physical->capability<VirtualFunctions>();
    ASSERT_TRUE(functions);
    const auto enabled = test::set_functions(*physical, 2);
    ASSERT_TRUE(enabled) << enabled.error().message();
    ASSERT_TRUE(test::set_function(*physical, 0, {.mac = kFirst}));
    ASSERT_TRUE(test::set_function(*physical, 1, {.mac = kSecond}));
    const auto configured = test::configure_port(*physical, config());
    ASSERT_TRUE(configured) << configured.error().message();
    const auto started = physical->start();
    ASSERT_TRUE(started) << started.error().message();
    clock->advance(3s);
    ASSERT_TRUE(physical->service());
    clock->follow([this](Duration) { serve(); });
  }
  [[nodiscard]] virtual std::string card() const { return "82576"; }
  [[nodiscard]] static Settings config() { return {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}; }
  /// Runs `work`, which waits for the physical function, while that one is serviced in virtual time.
  template <class Work>
  auto served(Work work) {
    serving_ = true;
    auto result = work();
    serving_ = false;
    return result;
  }
  [[nodiscard]] Port opened(const std::string& uri) {
    auto port = served([&] { return open(context, uri, config()); });
    EXPECT_TRUE(port) << port.error().message();
    return *std::move(port);
  }
  void open_functions() {
    first.emplace(opened("sim:0.vf0"));
    second.emplace(opened("sim:0.vf1"));
  }

  /// Not at each step of a wait, since a service reads all counters.
  void serve() {
    if (!serving_ || clock->now() < next_service_ || std::exchange(working_, true)) return;
    next_service_ = clock->now() + 1ms;
    if (physical) static_cast<void>(physical->service());
    working_ = false;
  }

  void transmit(Port& from, const test::Frame& frame) {
    MbufPtr mbuf = pool->allocate();
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
    Burst<1> burst;
    EXPECT_TRUE(burst.push(mbuf));
    EXPECT_EQ(from.tx(0).tx_burst(burst), 1u);
    clock->advance(1ms);
  }
  [[nodiscard]] static std::vector<test::Frame> received(Port& port) {
    Burst<32> burst;
    port.rx(0).rx_burst(burst);
    std::vector<test::Frame> frames;
    for (const Mbuf& mbuf : burst) frames.push_back(test::content(mbuf));
    return frames;
  }
  [[nodiscard]] static test::Frame frame(const MacAddress& to, const MacAddress& from, unsigned seed = 1) {
    test::Frame bytes = test::counting_frame(100, seed);
    std::memcpy(bytes.data(), to.data(), to.size());
    std::memcpy(bytes.data() + 6, from.data(), from.size());
    return bytes;
  }
  [[nodiscard]] VirtualFunctionState state(unsigned number) {
    const auto state = functions->function(number);
    EXPECT_TRUE(state) << state.error().message();
    return *state;
  }
  [[nodiscard]] std::uint64_t refusals(unsigned number, VirtualFunctionRefusal why) {
    return state(number).refused[static_cast<std::size_t>(why)];
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock}};
  Result<Mempool> pool = Mempool::create(context, {.count = 256});
  std::optional<Port> partner;
  std::optional<Port> physical;
  Capability<VirtualFunctions> functions;
  std::optional<Port> first;
  std::optional<Port> second;

 private:
  bool serving_ = false;
  bool working_ = false;
  Time next_service_{};
};

/// The same on each card that has functions.
class EachCardsFunctions : public PhysicalAndVirtual, public testing::WithParamInterface<std::string> {
 protected:
  [[nodiscard]] std::string card() const override { return GetParam(); }
};
inline const auto kCardsWithFunctions = testing::Values("82576", "i350");
[[nodiscard]] inline std::string name_of_card(const testing::TestParamInfo<std::string>& card) { return card.param; }

}  // namespace pollux::drivers
