// SPDX-License-Identifier: BSD-3-Clause
// The device as a PCI device of `sim:`, on a wire with a card of another family.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/capability_list.hpp"
#include "pollux/pollux.hpp"
#include "unit/models/virtio/fixture.hpp"

namespace pollux::models::virtio {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
constexpr std::uint8_t kVendorSpecific = 0x09;

class VirtioWire : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<Device> opened(std::string_view uri) {
    auto device = open_device(context, uri);
    EXPECT_TRUE(device) << device.error().message();
    return device ? *std::move(device) : nullptr;
  }
  static std::uint32_t read(Device& device, std::uint32_t offset, unsigned width) {
    return device.read_config(offset, width).value();
  }
  static std::vector<std::uint32_t> capabilities(Device& device) {
    return *find_capabilities(kVendorSpecific,
                              [&](std::uint32_t offset, unsigned width) { return device.read_config(offset, width); });
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
};

TEST_F(VirtioWire, ConfigurationSpaceHasItsCapabilities) {
  const auto device = opened("sim:0?card=virtio-net");
  EXPECT_EQ(read(*device, 0, 4), 0x10411AF4U);
  std::vector<std::uint32_t> types;
  for (const std::uint32_t at : capabilities(*device)) {
    types.push_back(read(*device, at + hw::cap::kType, 1));
    EXPECT_EQ(read(*device, at + hw::cap::kLength, 1), types.back() == 2 || types.back() == 5 ? 20U : 16U);
    EXPECT_EQ(read(*device, at + hw::cap::kBar, 1), types.back() == 5 ? 0U : 4U);
  }
  EXPECT_THAT(types, ::testing::UnorderedElementsAre(1, 2, 3, 4, 5));
  const auto msi =
      find_capability(0x05, [&](std::uint32_t offset, unsigned width) { return device->read_config(offset, width); });
  EXPECT_FALSE(*msi);
  EXPECT_EQ(device->interrupt_vectors(), 10U);
}

TEST_F(VirtioWire, RegistersAreReachedThroughConfigurationSpace) {
  const auto device = opened("sim:0?card=virtio-net");
  for (const std::uint32_t at : capabilities(*device)) {
    if (read(*device, at + hw::cap::kType, 1) != 5) continue;
    ASSERT_TRUE(device->write_config(at + hw::cap::kBar, 1, Card::kBar));
    ASSERT_TRUE(device->write_config(at + hw::cap::kOffset, 4, hw::DEVICE_STATUS::offset()));
    ASSERT_TRUE(device->write_config(at + hw::cap::kSize, 4, 1));
    ASSERT_TRUE(device->write_config(at + hw::cap::kAccessData, 1, 3));
    EXPECT_EQ(read(*device, at + hw::cap::kAccessData, 1), 3U);
    EXPECT_EQ(read(*device, at, 1), kVendorSpecific);
  }
  EXPECT_EQ(device->bar(Card::kBar)->read8(hw::DEVICE_STATUS::offset()), 3U);
}

TEST_F(VirtioWire, AResetForgetsTheWindow) {
  const auto device = opened("sim:0?card=virtio-net");
  const auto list = capabilities(*device);
  for (const std::uint32_t at : list) static_cast<void>(device->write_config(at + hw::cap::kOffset, 4, 0x1000));
  ASSERT_TRUE(device->reset());
  for (const std::uint32_t at : list) {
    if (read(*device, at + hw::cap::kType, 1) == 5) {
      EXPECT_EQ(read(*device, at + hw::cap::kOffset, 4), 0U);
    }
  }
}

TEST_F(VirtioWire, OptionsOfTheCardArePartOfItsName) {
  const auto device = opened("sim:0?card=virtio-net+pairs=2+mtu=1500+no-ring-packed,delay=1us");
  EXPECT_EQ(device->interrupt_vectors(), 6U);
  EXPECT_EQ(device->bar(Card::kBar)->read16(Card::kDevice + hw::MTU::offset()), 1500U);
  for (const std::string_view bad : {"no-such", "pairs=0", "pairs=17", "queue-size=100", "mtu=9", "fault=x",
                                     "no-version-1", "fault=used-id@x", "pairs", ""}) {
    const auto refused = open_device(context, fmt::format("sim:2?card=virtio-net+{}", bad));
    if (bad.empty()) {
      EXPECT_TRUE(refused);
      continue;
    }
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().message(), HasSubstr(bad)) << bad;
  }
  EXPECT_THAT(open_device(context, "sim:4?card=virtio-net+pairs=2+no-csum+pairs=3").error().message(),
              HasSubstr("'pairs' is given twice"));
  EXPECT_THAT(open_device(context, "sim:4?card=82576+mtu=9").error().message(), HasSubstr("has no options"));
  EXPECT_THAT(open_device(context, "sim:4?card=virtio-net/none").error().message(), HasSubstr("none"));
}

// The device cannot hash by the addresses in extension headers, which the default asks for.
TEST_F(VirtioWire, APortWithSeveralQueuesHashesWhatTheDeviceCan) {
  pollux::Settings config;
  config.rx.resize(2, config.rx[0]);
  config.tx.resize(2, config.tx[0]);
  auto port = open(context, "sim:0?card=virtio-net", config);
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(effective_rss(port->settings(), port->info().limits).types.bits,
            RssTypes::ipv4 | RssTypes::tcp_ipv4 | RssTypes::ipv6 | RssTypes::tcp_ipv6);
}

// A device that is driven by hand at one end, a port of another family at the other.
TEST_F(VirtioWire, ExchangesFramesWithAnotherFamily) {
  const auto device = opened("sim:0?card=virtio-net/82576");
  auto port = open(context, "sim:1");
  ASSERT_TRUE(port) << port.error().message();
  const auto memory = context.allocate({.size = 1 << 20});
  ASSERT_TRUE(memory) << memory.error().message();
  std::byte* const bytes = memory->segments()[0].address;
  const std::uint64_t base = memory->segments()[0].iova;
  const Bar bar = *device->bar(Card::kBar);
  bar.write8(hw::DEVICE_STATUS::offset(), 3);
  bar.write32(hw::DRIVER_FEATURE_SELECT::offset(), 1);
  bar.write32(hw::DRIVER_FEATURE::offset(), static_cast<std::uint32_t>(kLeast >> 32));
  bar.write8(hw::DEVICE_STATUS::offset(), 0x0B);
  for (const unsigned queue : {0U, 1U}) {
    bar.write16(hw::QUEUE_SELECT::offset(), static_cast<std::uint16_t>(queue));
    bar.write16(hw::QUEUE_SIZE::offset(), 8);
    const std::uint64_t area = base + queue * 0x4000;
    for (const unsigned part : {0U, 1U, 2U}) {
      bar.write32(hw::QUEUE_DESC::offset() + part * 8, static_cast<std::uint32_t>(area + part * 0x1000));
      bar.write32(hw::QUEUE_DESC::offset() + part * 8 + 4, static_cast<std::uint32_t>((area + part * 0x1000) >> 32));
    }
    bar.write16(hw::QUEUE_ENABLE::offset(), 1);
    const hw::SplitDescriptor descriptor{base + 0x8000 + queue * 0x1000, queue == 0 ? 2048U : 112U,
                                         queue == 0 ? hw::kDescWrite : std::uint16_t{0}, 0};
    std::memcpy(bytes + queue * 0x4000, &descriptor, sizeof descriptor);
    const std::array<std::uint16_t, 3> available{0, 1, 0};
    std::memcpy(bytes + queue * 0x4000 + 0x1000, &available, sizeof available);
  }
  const Bytes frame = DeviceFixture::frame(100);
  std::memcpy(bytes + 0x9000 + 12, frame.data(), frame.size());
  ASSERT_TRUE(device->set_bus_master(true));
  ASSERT_TRUE(port->wait_for_link(10s));
  bar.write8(hw::DEVICE_STATUS::offset(), 0x0F);
  Burst<8> burst;
  ASSERT_EQ(port->rx(0).rx_burst(burst), 1U);
  EXPECT_EQ(std::memcmp(burst[0].data(), frame.data(), frame.size()), 0);
  ASSERT_EQ(port->tx(0).tx_burst(burst), 1U);
  clock->advance(1ms);
  EXPECT_EQ(std::memcmp(bytes + 0x8000 + 12, frame.data(), frame.size()), 0);
}

}  // namespace
}  // namespace pollux::models::virtio
