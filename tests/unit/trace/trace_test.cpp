// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/device/trace.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "hw/intel/igb/registers.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux {
namespace {

TEST(TraceDevice, ReportsEachAccessAndItsResultInOrder) {
  drivers::igb::IgbFixture fixture;
  std::vector<TraceEntry> trace;
  const auto device = trace_device(fixture.device(), [&](const TraceEntry& entry) { trace.push_back(entry); });
  const Bar bar = device->bar(0).value();
  const std::uint32_t rlpml = hw::igb::RLPML::offset(0);
  bar.write32(rlpml, 1600);
  EXPECT_EQ(bar.read32(rlpml), 1600u);
  EXPECT_EQ(bar.read8(rlpml + 1), 1600u >> 8);
  bar.write16(rlpml, 0);
  ASSERT_TRUE(device->set_bus_master(true));
  EXPECT_EQ(device->read_config(0, 2).value(), 0x8086u);
  ASSERT_TRUE(device->enable_interrupts(1));
  EXPECT_FALSE(device->enable_interrupts(1000));
  using Kind = TraceEntry::Kind;
  EXPECT_EQ(trace, (std::vector<TraceEntry>{{.kind = Kind::write, .offset = rlpml, .value = 1600},
                                            {.kind = Kind::read, .offset = rlpml, .value = 1600},
                                            {.kind = Kind::read, .offset = rlpml + 1, .width = 1, .value = 6},
                                            {.kind = Kind::write, .offset = rlpml, .width = 2, .value = 0},
                                            {.kind = Kind::bus_master, .value = 1},
                                            {.kind = Kind::config_read, .offset = 0, .width = 2, .value = 0x8086},
                                            {.kind = Kind::interrupts, .value = 1},
                                            {.kind = Kind::interrupts, .value = 1000, .worked = false}}));
}

}  // namespace
}  // namespace pollux
