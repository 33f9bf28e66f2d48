// SPDX-License-Identifier: BSD-3-Clause
#include "device/decorator.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux {
namespace {

struct Access {
  unsigned bar;
  std::uint32_t offset;
  unsigned width;
  bool operator==(const Access&) const = default;
};

/// Records each register access and forwards it.
class AccessRecorder final : public DeviceDecorator {
 public:
  AccessRecorder(std::unique_ptr<Device> inner, std::vector<Access>& reads, std::vector<Access>& writes)
      : DeviceDecorator(std::move(inner)), reads_(reads), writes_(writes) {}

 private:
  std::uint32_t read_register(unsigned bar, std::uint32_t offset, unsigned width) noexcept override {
    reads_.push_back({bar, offset, width});
    return DeviceDecorator::read_register(bar, offset, width);
  }
  void write_register(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override {
    writes_.push_back({bar, offset, width});
    DeviceDecorator::write_register(bar, offset, width, value);
  }

  std::vector<Access>& reads_;
  std::vector<Access>& writes_;
};

TEST(DeviceDecorator, ForwardsEveryCallAndAccess) {
  drivers::igb::IgbFixture fixture;
  std::vector<Access> reads;
  std::vector<Access> writes;
  AccessRecorder device(fixture.device(), reads, writes);
  EXPECT_EQ(device.name(), "sim:0");
  EXPECT_EQ(device.identity().vendor, 0x8086);
  EXPECT_EQ(device.read_config(0, 2).value(), 0x8086u);
  ASSERT_TRUE(device.set_bus_master(true));
  EXPECT_NE(device.read_config(4, 2).value() & 4u, 0u);

  const Bar bar = device.bar(0).value();
  EXPECT_EQ(bar.size(), hw::igb::kRegisterBytes);
  bar.write32(hw::igb::RLPML::offset(0), 1600);
  EXPECT_EQ(bar.read32(hw::igb::RLPML::offset(0)), 1600u);
  EXPECT_EQ(reads, (std::vector<Access>{{0, hw::igb::RLPML::offset(0), 4}}));
  EXPECT_EQ(writes, reads);
  EXPECT_EQ(fixture.value<hw::igb::RLPML>().raw(), 1600u);
  EXPECT_EQ(bar.read8(hw::igb::RLPML::offset(0)), 1600u & 0xFF);
  bar.write16(hw::igb::RLPML::offset(0), 7);
  EXPECT_EQ(reads.back().width, 1u);
  EXPECT_EQ(writes.back().width, 2u);
}

TEST(DeviceDecorator, ReturnsTheSameWindowAgain) {
  drivers::igb::IgbFixture fixture;
  std::vector<Access> reads;
  std::vector<Access> writes;
  AccessRecorder device(fixture.device(), reads, writes);
  const Bar first = device.bar(0).value();
  const Bar again = device.bar(0).value();
  EXPECT_EQ(first.remote(), again.remote());
  EXPECT_FALSE(device.bar(5));
}

TEST(DeviceDecorator, SupportsAPort) {
  drivers::igb::IgbFixture fixture;
  std::vector<Access> reads;
  std::vector<Access> writes;
  auto driver = drivers::igb::probe(fixture.context, std::make_unique<AccessRecorder>(fixture.device(), reads, writes));
  ASSERT_TRUE(driver) << driver.error().message();
  PortMachine port(fixture.context.state(), *std::move(driver));
  ASSERT_TRUE(test::configure_port(port, fixture.config()));
  ASSERT_TRUE(port.start());
  ASSERT_TRUE(port.close());
  EXPECT_FALSE(reads.empty());
  EXPECT_FALSE(writes.empty());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

}  // namespace
}  // namespace pollux
