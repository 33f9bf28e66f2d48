// SPDX-License-Identifier: BSD-3-Clause
#include "bench/port_plan.hpp"

#include <gmock/gmock.h>

namespace pollux::tool::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const DeviceUnderTest kWire{};
const DeviceUnderTest kForwarder{ForwarderOptions{}};

TEST(PortPlan, CardsOnOneWireRunInVirtualTimeAtTheLineRate) {
  const auto plan = plan_ports("sim:0", "sim:1", kWire, std::nullopt);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->virtual_time);
  EXPECT_EQ(plan->wire_rate, 1'000'000'000U);
  EXPECT_THAT(plan->uris, ElementsAre("sim:0?rate=1000000000", "sim:1?rate=1000000000"));
}

TEST(PortPlan, TheWiresOptionsAreKept) {
  const auto plan = plan_ports("sim:3?loss=0.1,rate=100M", "sim:2", kWire, std::nullopt);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->wire_rate, 100'000'000U);
  EXPECT_THAT(plan->uris, ElementsAre("sim:3?loss=0.1,rate=100M", "sim:2?loss=0.1,rate=100M"));
  EXPECT_EQ(plan_ports("sim:0?rate=1e8", "sim:1", kWire, std::nullopt)->wire_rate, 100'000'000U);
  EXPECT_THAT(plan_ports("sim:0", "sim:1?seed=2", kWire, 10'000'000)->uris,
              ElementsAre("sim:0?seed=2,rate=10000000", "sim:1?seed=2,rate=10000000"));
}

TEST(PortPlan, AForwarderCutsTheWireInTwo) {
  const auto plan = plan_ports("sim:0?capture=f,delay=1us", "sim:1", kForwarder, std::nullopt);
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->uris,
              ElementsAre("sim:0?capture=f,delay=1us,rate=1000000000", "sim:1?capture=f,delay=1us,rate=1000000000",
                          "sim:2?delay=1us,rate=1000000000", "sim:3?delay=1us,rate=1000000000"));
  EXPECT_THAT(plan_ports("sim:63", "sim:62", kForwarder, 1'000'000)->uris,
              ElementsAre("sim:63?rate=1000000", "sim:62?rate=1000000", "sim:0?rate=1000000", "sim:1?rate=1000000"));
}

TEST(PortPlan, OtherPortsRunInRealTime) {
  for (const auto& [from, to] : {std::pair{"qtest:0", "qtest:1"},
                                 {"sim:0?thread", "sim:1"},
                                 {"sim:0?tap=x", "sim:2"},
                                 {"sim:0?pcap-in=x", "sim:2"},
                                 {"tap:a", "sim:0"},
                                 {"sim:64", "sim:65"},
                                 {"sim:", "sim:1"}}) {
    const auto plan = plan_ports(from, to, kWire, std::nullopt);
    ASSERT_TRUE(plan) << from;
    EXPECT_FALSE(plan->virtual_time) << from;
    EXPECT_THAT(plan->uris, ElementsAre(from, to));
    EXPECT_FALSE(plan->wire_rate);
  }
}

TEST(PortPlan, WhatCannotBeMeasuredIsRefused) {
  const auto message = [](const char* from, const char* to, const DeviceUnderTest& device) {
    const auto plan = plan_ports(from, to, device, std::nullopt);
    return plan ? std::string("accepted") : plan.error().message();
  };
  EXPECT_THAT(message("sim:0", "sim:2", kWire), HasSubstr("use sim:0 sim:1"));
  EXPECT_THAT(message("sim:5", "sim:5", kWire), HasSubstr("use sim:5 sim:4"));
  EXPECT_THAT(message("sim:0?seed=1", "sim:1?seed=2", kWire), HasSubstr("different options"));
  EXPECT_THAT(message("qtest:0", "qtest:1", kForwarder), HasSubstr("leave out --dut"));
}

}  // namespace
}  // namespace pollux::tool::bench
