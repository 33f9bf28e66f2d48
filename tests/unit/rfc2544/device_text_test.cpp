// SPDX-License-Identifier: BSD-3-Clause
#include "bench/device_text.hpp"

#include <gmock/gmock.h>

namespace pollux::tool::bench {
namespace {

using testing::HasSubstr;

TEST(DeviceText, NamesAWireOrAForwarder) {
  EXPECT_FALSE(parse_device("wire")->forwarder);
  const auto plain = parse_device("forward");
  ASSERT_TRUE(plain && plain->forwarder);
  EXPECT_EQ(plain->forwarder->rate, 0U);
  const auto device = parse_device("forward?rate=600kpps,queue=8,loss=0.1%,seed=9");
  ASSERT_TRUE(device && device->forwarder);
  EXPECT_EQ(device->forwarder->rate, 600'000U);
  EXPECT_EQ(device->forwarder->queue, 8U);
  EXPECT_EQ(device->forwarder->loss, 1000U);
  EXPECT_EQ(device->forwarder->seed, 9U);
}

TEST(DeviceText, WhatMakesNoSenseIsRefusedWithWhatIsExpected) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "wire or forward"},
      {"switch", "wire or forward"},
      {"wire?rate=1", "wire or forward"},
      {"forward?", "rate=, queue=, loss="},
      {"forward?speed=1", "rate=, queue=, loss="},
      {"forward?rate=0", "frames per second"},
      {"forward?rate=10Mbit", "frames per second"},
      {"forward?queue=0", "1 to"},
      {"forward?queue=2000000", "1 to"},
      {"forward?queue=-1", "1 to"},
      {"forward?loss=101%", "share"},
      {"forward?loss=0.1", "share"},
      {"forward?seed=x", "integer"},
      {"forward?rate=1kpps,queue=8,rate=2kpps", "rate is given twice"},
      {"forward?rate=1kpps,", "rate=, queue=, loss="},
  };
  for (const auto& [text, expected] : cases) {
    const auto device = parse_device(text);
    ASSERT_FALSE(device) << text;
    EXPECT_EQ(device.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(device.error().message(), HasSubstr(expected)) << text;
  }
}

}  // namespace
}  // namespace pollux::tool::bench
