// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string_view>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace vfio_user;
namespace hw = pollux::hw::igb;

template <class T>
T content(const std::optional<VfioUserClient::Reply>& reply) {
  T value{};
  EXPECT_TRUE(reply && reply->error() == 0 && reply->payload.size() >= sizeof value);
  if (reply && reply->payload.size() >= sizeof value) std::memcpy(&value, reply->payload.data(), sizeof value);
  return value;
}

TEST(VfioUserCommands, AgreesOnTheVersionThatTheClientProposes) {
  ServerFixture fixture;
  auto client = fixture.connected();
  const auto reply = client->call(Command::version, packed(Version{0, 7}, '{', '}', '\0'));
  const auto version = content<Version>(reply);
  EXPECT_EQ(version.major, 0);
  EXPECT_EQ(version.minor, 0);
  const std::string_view data(reinterpret_cast<const char*>(reply->payload.data()) + sizeof version,
                              reply->payload.size() - sizeof version);
  EXPECT_THAT(data, testing::HasSubstr("\"max_msg_fds\":16"));
  EXPECT_THAT(data, testing::HasSubstr("\"write_multiple\":true"));
  EXPECT_EQ(data.back(), '\0');
  EXPECT_EQ(client->error_of(Command::version, packed(Version{0, 0})), EINVAL);  // once only
}

TEST(VfioUserCommands, ClosesAConnectionOfAnotherMajorVersion) {
  ServerFixture fixture;
  auto client = fixture.connected();
  EXPECT_EQ(client->error_of(Command::version, packed(Version{1, 0})), -1);
  EXPECT_TRUE(client->closed());
  EXPECT_TRUE(fixture.has_logged("another version"));
}

TEST(VfioUserCommands, AnswersNothingBeforeTheVersion) {
  ServerFixture fixture;
  auto client = fixture.connected();
  EXPECT_EQ(client->error_of(Command::device_get_info, packed(DeviceInfo{sizeof(DeviceInfo), 0, 0, 0})), EINVAL);
  EXPECT_TRUE(client->negotiate());
}

TEST(VfioUserCommands, DescribesAPciDeviceWithTwoBars) {
  ServerFixture fixture;
  auto client = fixture.client();
  const auto info =
      content<DeviceInfo>(client->call(Command::device_get_info, packed(DeviceInfo{sizeof(DeviceInfo), 0, 0, 0})));
  EXPECT_EQ(info.flags, DeviceInfo::kReset | DeviceInfo::kPci);
  EXPECT_EQ(info.regions, kRegions);
  EXPECT_EQ(info.irqs, kIrqs);
  for (std::uint32_t index = 0; index < kRegions; ++index) {
    const auto region = content<RegionInfo>(
        client->call(Command::device_get_region_info, packed(RegionInfo{sizeof(RegionInfo), 0, index, 0, 0, 0})));
    const std::uint64_t bytes = index == 0 ? hw::kRegisterBytes : index == 3 ? 0x4000 : index == 7 ? 4096 : 0;
    EXPECT_EQ(region.size, bytes) << index;
    EXPECT_EQ(region.flags, bytes != 0 ? 3u : 0u) << index;
    EXPECT_EQ(region.index, index);
  }
  EXPECT_EQ(client->error_of(Command::device_get_region_info, packed(RegionInfo{sizeof(RegionInfo), 0, 9, 0, 0, 0})),
            EINVAL);
}

TEST(VfioUserCommands, DescribesInterrupts) {
  ServerFixture fixture;
  auto client = fixture.client();
  const auto irq = [&](std::uint32_t index) {
    return content<IrqInfo>(client->call(Command::device_get_irq_info, packed(IrqInfo{sizeof(IrqInfo), 0, index, 0})));
  };
  EXPECT_EQ(irq(kMsix).count, hw::kMsixVectors);
  EXPECT_EQ(irq(kMsix).flags, IrqInfo::kEventfd);
  EXPECT_EQ(irq(kErrorIrq).count, 1u);
  EXPECT_EQ(irq(kRequestIrq).count, 0u) << "nobody asks for an in-process card back";
  EXPECT_EQ(irq(kIntx).count, 1u);
  EXPECT_EQ(irq(kIntx).flags, 7u);
  EXPECT_EQ(irq(kMsi).count, 1u);
  EXPECT_EQ(irq(kMsi).flags, 9u);
  EXPECT_EQ(client->error_of(Command::device_get_irq_info, packed(IrqInfo{sizeof(IrqInfo), 0, 5, 0})), EINVAL);
}

TEST(VfioUserCommands, ReadsWholeConfigurationSpaceAtOnce) {
  ServerFixture fixture;
  auto client = fixture.client();
  std::array<std::uint8_t, 4096> bytes{};
  ASSERT_EQ(client->region_read(kConfigRegion, 0, std::as_writable_bytes(std::span(bytes))), 0);
  EXPECT_EQ(bytes[0] | bytes[1] << 8, 0x8086);
  EXPECT_EQ(bytes[2] | bytes[3] << 8, 0x10C9);
  // A byte at a time, and across words.
  EXPECT_EQ(read_config(*client, 1, 1), 0x80u);
  EXPECT_EQ(read_config(*client, 1, 2), 0xC980u);
}

// QEMU reads all of configuration space when it makes its device, and drops the capability of virtual functions.
TEST(VfioUserCommands, ShowsVirtualFunctionsToSingleReadsOnly) {
  constexpr std::uint32_t kAt = 0x160;
  for (const bool passes : {true, false}) {
    ServerFixture fixture({"sim:0"}, passes);
    auto client = fixture.client();
    std::array<std::uint8_t, 4096> bytes{};
    ASSERT_EQ(client->region_read(kConfigRegion, 0, std::as_writable_bytes(std::span(bytes))), 0);
    EXPECT_EQ(bytes[kAt], passes ? 0x0B : 0x10);
    EXPECT_EQ(read_config(*client, kAt, 4) & 0xFFFF, 0x10u);
    std::array<std::uint8_t, 16> part{};
    ASSERT_EQ(client->region_read(kConfigRegion, kAt - 8, std::as_writable_bytes(std::span(part))), 0);
    EXPECT_EQ(part[8], passes ? 0x0B : 0x10);
    ASSERT_EQ(client->region_read(kConfigRegion, kAt + 4, std::as_writable_bytes(std::span(part))), 0);
    EXPECT_EQ(part[0], 0) << "nothing else is changed";
  }
}

TEST(VfioUserCommands, ExportsAVirtualFunctionBesideItsCard) {
  ServerFixture fixture({"sim:0", "sim:0.vf0"});
  auto card = fixture.client(0);
  auto function = fixture.client(1);
  EXPECT_EQ(read_config(*function, 2, 2), 0x10CAu);
  EXPECT_EQ(read_register(*function, 8), ~0u) << "not enabled";
  write_config(*card, 0x170, 2, 1);
  write_config(*card, 0x168, 2, 1);
  EXPECT_NE(read_register(*function, 8), ~0u);
  EXPECT_EQ(read_register(*function, 0xC40) & 0x40, 0x40u) << "RSTI, until the driver of the card is ready";
  card.reset();
  fixture.pump();
  EXPECT_EQ(read_register(*function, 8), ~0u) << "the card's client has gone";
}

TEST(VfioUserCommands, ReadsAndWritesRegisters) {
  ServerFixture fixture;
  auto client = fixture.client();
  write_register(*client, hw::VET::offset(), 0x12348100);
  EXPECT_EQ(read_register(*client, hw::VET::offset()) & 0xFFFF, 0x8100u);
  // A posted write has no reply: the next reply is that of the read.
  const std::uint32_t value = 0x88A8;
  EXPECT_EQ(client->region_write(0, hw::VET::offset(), std::as_bytes(std::span(&value, 1))), 0);
  EXPECT_EQ(read_register(*client, hw::VET::offset()) & 0xFFFF, 0x88A8u);
  // Two registers by one access of 8 bytes.
  const std::array<std::uint32_t, 2> both{0x11223344, 0x80005566};
  ASSERT_EQ(client->region_write(0, hw::RAL::offset() + 8, std::as_bytes(std::span(both))), 0);
  EXPECT_EQ(read_register(*client, hw::RAL::offset() + 8), both[0]);
  EXPECT_EQ(read_register(*client, hw::RAL::offset() + 12) & 0x8000FFFF, both[1]);
}

TEST(VfioUserCommands, DoesSeveralWritesOfOneMessageInOrder) {
  ServerFixture fixture;
  auto client = fixture.client();
  const auto write = [](std::uint32_t offset, std::uint32_t value) { return SingleWrite{offset, 0, 4, value}; };
  const Bytes payload = packed(std::uint64_t{3}, write(hw::RAL::offset() + 8, 1), write(hw::RAL::offset() + 16, 2),
                               write(hw::RAL::offset() + 8, 3));
  EXPECT_EQ(client->error_of(Command::region_write_multi, payload), 0);
  EXPECT_EQ(read_register(*client, hw::RAL::offset() + 8), 3u);
  EXPECT_EQ(read_register(*client, hw::RAL::offset() + 16), 2u);
}

TEST(VfioUserCommands, ResetsTheCard) {
  ServerFixture fixture;
  auto client = fixture.client();
  write_register(*client, hw::VET::offset(), 0x1234);
  EXPECT_EQ(client->error_of(Command::device_reset, {}), 0);
  EXPECT_NE(read_register(*client, hw::VET::offset()), 0x1234u);
  // By configuration space: Device Control, Initiate Function Level Reset.
  write_register(*client, hw::VET::offset(), 0x1234);
  write_config(*client, 0xA8, 2, 0x8000);
  fixture.clock->advance(std::chrono::milliseconds(10));
  EXPECT_NE(read_register(*client, hw::VET::offset()), 0x1234u);
  EXPECT_EQ(read_config(*client, 0xA8, 2) & 0x8000, 0u);
}

TEST(VfioUserCommands, ProcessesPipelinedCommandsInOrder) {
  ServerFixture fixture;
  auto client = fixture.client();
  constexpr unsigned kCommands = 100;
  for (unsigned i = 0; i < kCommands; ++i) {
    write_register(*client, hw::RAL::offset() + 8, i);
    ASSERT_TRUE(client->send(Command::region_read, packed(RegionAccess{hw::RAL::offset() + 8, 0, 4})));
  }
  for (unsigned i = 0; i < kCommands; ++i) {
    const auto reply = client->receive();
    ASSERT_TRUE(reply && reply->payload.size() == sizeof(RegionAccess) + 4) << i;
    std::uint32_t value = 0;
    std::memcpy(&value, reply->payload.data() + sizeof(RegionAccess), sizeof value);
    ASSERT_EQ(value, i);
  }
}

}  // namespace
}  // namespace pollux::test
