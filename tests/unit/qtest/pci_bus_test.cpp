// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/machine.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "unit/qtest/fake_qemu.hpp"

namespace pollux::qtest {
namespace {

using test::FakeQemu;

constexpr unsigned kSlot = 4;

/// A q35 with one function in slot 4. The test fills its configuration space.
struct FakeBus {
  FakeBus() : qemu([this](const std::string& command) { return answer(command); }), bus(qemu.connection()) {}

  void put(std::uint32_t offset, unsigned width, std::uint32_t value) {
    for (unsigned i = 0; i < width; ++i) config[offset + i] = static_cast<std::uint8_t>(value >> 8 * i & 0xFF);
  }
  void put_bar(unsigned bar, std::uint32_t size, std::uint32_t flags) {
    put(0x10 + 4 * bar, 4, flags);
    bar_size[bar] = size;
  }
  [[nodiscard]] std::uint32_t get(std::uint32_t offset, unsigned width) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < width; ++i) value |= std::uint32_t{config[offset + i]} << 8 * i;
    return value;
  }

  std::string answer(const std::string& command) {
    if (command == "inl 0xcfc") return fmt::format("OK {:#06x}\n", bridge);
    if (command.starts_with("out")) return "OK\n";
    const std::size_t space = command.find(' ');
    const unsigned width = command[space - 1] == 'b' ? 1 : command[space - 1] == 'w' ? 2 : 4;
    char* rest = nullptr;
    const std::uint64_t address = std::strtoull(command.c_str() + space, &rest, 16);
    const auto slot = static_cast<unsigned>(address >> 15 & 31);
    const auto offset = static_cast<std::uint32_t>(address & 0xFFF);
    if (command.starts_with("write")) {
      if (slot == kSlot) write(offset, width, static_cast<std::uint32_t>(std::strtoull(rest, nullptr, 16)));
      return "OK\n";
    }
    const std::uint64_t mask = (std::uint64_t{1} << 8 * width) - 1;
    const std::uint64_t value = slot == 0 ? window : slot == kSlot ? get(offset, width) : ~std::uint64_t{0};
    return fmt::format("OK {:#018x}\n", value & mask);
  }
  void write(std::uint32_t offset, unsigned width, std::uint32_t value) {
    if (offset >= 0x10 && offset < 0x28) {
      const unsigned bar = (offset - 0x10) / 4;
      const std::uint32_t flags = get(offset, 4) & 0xF;
      value = bar_size[bar] == 0 ? 0 : (value & ~(bar_size[bar] - 1)) | flags;
    }
    put(offset, width, value);
  }

  std::uint32_t bridge = 0x29C08086;
  std::uint32_t window = 0x29C08086;
  std::array<std::uint8_t, 4096> config{};
  std::array<std::uint32_t, 6> bar_size{};
  FakeQemu qemu;
  PciBus bus;
};

TEST(PciBus, EnablesItsWindowThroughThePorts) {
  FakeBus fake;
  ASSERT_TRUE(fake.bus.enable_config_window());
  const auto commands = fake.qemu.commands();
  EXPECT_EQ(commands,
            (std::vector<std::string>{"outl 0xcf8 0x80000000", "inl 0xcfc", "outl 0xcf8 0x80000064", "outl 0xcfc 0",
                                      "outl 0xcf8 0x80000060", "outl 0xcfc 0xb0000001", "readl 0xb0000000"}));
}

TEST(PciBus, RejectsAMachineThatIsNotAQ35) {
  FakeBus fake;
  fake.bridge = 0x12378086;
  const auto opened = fake.bus.enable_config_window();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::not_supported);
  EXPECT_NE(opened.error().hint.find("q35"), std::string::npos);
}

TEST(PciBus, DetectsAWindowThatCannotBeEnabled) {
  FakeBus fake;
  fake.window = ~0u;
  EXPECT_EQ(fake.bus.enable_config_window().error().code, ErrorCode::device_fault);
}

TEST(PciBus, AssignsEachBarItsOwnAlignedAddress) {
  FakeBus fake;
  ASSERT_TRUE(fake.bus.enable_config_window());
  fake.put_bar(0, 0x20000, 0);
  fake.put_bar(2, 0x20, 1);  // ports
  fake.put_bar(3, 0x4000, 0x8);
  fake.put_bar(4, 0x100000, 0xC);  // 64 bits wide
  const auto layout = fake.bus.assign(kSlot);
  ASSERT_TRUE(layout) << layout.error().message();
  EXPECT_EQ(layout->size, (std::array<std::uint32_t, 6>{0x20000, 0, 0, 0x4000, 0x100000, 0}));
  EXPECT_EQ(layout->address, (std::array<std::uint64_t, 6>{0xC0000000, 0, 0, 0xC0020000, 0xC0100000, 0}));
  EXPECT_EQ(fake.get(0x10, 4), 0xC0000000u);
  EXPECT_EQ(fake.get(0x1C, 4), 0xC0020008u);
  EXPECT_EQ(fake.get(0x20, 4), 0xC010000Cu);
  EXPECT_EQ(fake.get(0x24, 4), 0u);
  EXPECT_EQ(fake.get(0x04, 2), 0x2u);
}

TEST(PciBus, RejectsBarsThatDoNotFit) {
  FakeBus fake;
  ASSERT_TRUE(fake.bus.enable_config_window());
  fake.put_bar(0, 0x80000000, 0);
  EXPECT_EQ(fake.bus.assign(kSlot).error().code, ErrorCode::no_memory);
}

TEST(PciBus, FindsACapability) {
  FakeBus fake;
  ASSERT_TRUE(fake.bus.enable_config_window());
  fake.put(0x06, 2, 0x10);
  fake.put(0x34, 1, 0x40);
  fake.put(0x40, 2, 0x5001);
  fake.put(0x50, 2, 0x0011);
  EXPECT_EQ(fake.bus.find_capability(kSlot, 0x11).value(), std::optional<std::uint32_t>(0x50));
  EXPECT_EQ(fake.bus.find_capability(kSlot, 0x10).value(), std::nullopt);
}

TEST(PciBus, EndsACapabilityListThatLoops) {
  FakeBus fake;
  ASSERT_TRUE(fake.bus.enable_config_window());
  fake.put(0x06, 2, 0x10);
  fake.put(0x34, 1, 0x40);
  fake.put(0x40, 2, 0x4001);
  EXPECT_EQ(fake.bus.find_capability(kSlot, 0x11).value(), std::nullopt);
}

TEST(PciBus, FindsNoCapabilityWithoutAList) {
  FakeBus fake;
  ASSERT_TRUE(fake.bus.enable_config_window());
  fake.put(0x34, 1, 0x40);
  fake.put(0x40, 2, 0x0011);
  EXPECT_EQ(fake.bus.find_capability(kSlot, 0x11).value(), std::nullopt);
}

TEST(PciBus, AFailedConnectionIsADeviceRemoved) {
  test::SocketPair pair;
  QtestConnection connection(std::move(pair.near), test::kLongTimeout);
  pair.far = FileDescriptor();
  PciBus bus(connection);
  EXPECT_EQ(bus.enable_config_window().error().code, ErrorCode::device_removed);
  EXPECT_EQ(bus.read(kSlot, 0, 4).error().code, ErrorCode::device_removed);
  EXPECT_EQ(bus.write(kSlot, 0, 4, 0).error().code, ErrorCode::device_removed);
  EXPECT_EQ(bus.assign(kSlot).error().code, ErrorCode::device_removed);
  EXPECT_EQ(bus.find_capability(kSlot, 1).error().code, ErrorCode::device_removed);
}

}  // namespace
}  // namespace pollux::qtest
