// SPDX-License-Identifier: BSD-3-Clause
// Clients that break the protocol: each gets an error or is disconnected, and the next one finds a working card.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace vfio_user;
using namespace std::chrono_literals;

class VfioUserHostileClient : public testing::Test {
 protected:
  void TearDown() override {
    client.reset();
    for (int i = 0; i < 3; ++i) fixture.pump();
    EXPECT_FALSE(fixture.server().has_client());
    auto next = fixture.client();
    EXPECT_EQ(read_config(*next, 0, 4), 0x10C98086u);
    next.reset();
    fixture.pump();
    wait_for_closes();
    EXPECT_EQ(descriptors_open(), descriptors_before) << "descriptors that a client passed are still open";
  }
  // Those that the server does not want are closed in another thread.
  void wait_for_closes() const {
    for (int i = 0; i < 1000 && descriptors_open() != descriptors_before; ++i) std::this_thread::sleep_for(10ms);
  }
  static std::size_t descriptors_open() {
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(open), end(open)));
  }

  ServerFixture fixture;
  std::size_t descriptors_before = descriptors_open();
  std::unique_ptr<VfioUserClient> client = fixture.client();
};

TEST_F(VfioUserHostileClient, SendsAMessageShorterThanItsHeader) {
  client->send_raw(packed(Header{1, Command::device_get_info, 15, 0, 0}));
  EXPECT_TRUE(client->closed());
  EXPECT_TRUE(fixture.has_logged("invalid size"));
}

TEST_F(VfioUserHostileClient, SendsAMessageThatIsTooLong) {
  client->send_raw(packed(Header{1, Command::region_write, 0xFFFFFFFF, 0, 0}));
  EXPECT_TRUE(client->closed());
}

TEST_F(VfioUserHostileClient, SendsAReply) {
  client->send_raw(packed(Header{1, Command::dma_read, 16, Header::kReply, 0}));
  EXPECT_TRUE(client->closed());
}

TEST_F(VfioUserHostileClient, SendsUnknownCommands) {
  for (const int command : {0, 6, 11, 12, 14, 16, 17, 18, 0xFFFF}) {
    EXPECT_EQ(client->error_of(static_cast<Command>(command), packed(std::uint64_t{0})), ENOTSUP) << command;
  }
}

TEST_F(VfioUserHostileClient, SendsShortAndLongPayloads) {
  for (const Command command : {Command::dma_map, Command::dma_unmap, Command::device_get_info,
                                Command::device_get_region_info, Command::device_get_irq_info, Command::device_set_irqs,
                                Command::region_read, Command::region_write, Command::region_write_multi}) {
    for (std::size_t bytes = 0; bytes < 16; ++bytes) {
      if (command == Command::region_write_multi && bytes == 8) continue;  // no writes at all, which is valid
      EXPECT_EQ(client->error_of(command, Bytes(bytes)), EINVAL) << static_cast<int>(command) << ' ' << bytes;
    }
  }
  EXPECT_EQ(client->error_of(Command::device_reset, Bytes(4)), EINVAL);
  EXPECT_EQ(client->error_of(Command::dma_map, Bytes(33)), EINVAL);
}

TEST_F(VfioUserHostileClient, AccessesWhatRegionsDoNotHave) {
  std::array<std::byte, 8> bytes{};
  for (const std::uint32_t region : {1u, 2u, 4u, 5u, 6u, 8u, 9u, 0xFFFFFFFFu}) {
    EXPECT_EQ(client->region_read(region, 0, bytes), EINVAL) << region;
    EXPECT_EQ(client->region_write(region, 0, bytes), EINVAL) << region;
  }
  for (const std::uint64_t offset : {0x20000u - 4u, 0x20000u, 0xFFFFFFFFu}) {
    EXPECT_EQ(client->region_read(0, offset, bytes), EINVAL) << offset;
    EXPECT_EQ(client->region_write(0, offset, bytes), EINVAL) << offset;
  }
  EXPECT_EQ(client->region_read(kConfigRegion, ~std::uint64_t{0} - 3, bytes), EINVAL);
  EXPECT_EQ(client->region_read(0, std::uint64_t{1} << 32, bytes), EINVAL);
  const auto read = [&](std::uint32_t count) {
    return client->error_of(Command::region_read, packed(RegionAccess{0, 0, count}));
  };
  EXPECT_EQ(read(0), EINVAL);
  EXPECT_EQ(read(0xFFFFFFFF), EINVAL);
  EXPECT_EQ(read(kMaxTransfer), EINVAL);
}

TEST_F(VfioUserHostileClient, SendsWritesThatDoNotMatchTheirCount) {
  EXPECT_EQ(client->error_of(Command::region_write, packed(RegionAccess{0, 0, 8}, std::uint32_t{0})), EINVAL);
  EXPECT_EQ(client->error_of(Command::region_write, packed(RegionAccess{0, 0, 0xFFFFFFF0}, std::uint32_t{0})), EINVAL);
  const SingleWrite write{0x38, 0, 4, 0};
  EXPECT_EQ(client->error_of(Command::region_write_multi, packed(std::uint64_t{2}, write)), EINVAL);
  EXPECT_EQ(client->error_of(Command::region_write_multi, packed(~std::uint64_t{0}, write)), EINVAL);
  // 2^61 times 24 bytes wraps to 0.
  EXPECT_EQ(client->error_of(Command::region_write_multi, packed(std::uint64_t{1} << 61)), EINVAL);
  EXPECT_EQ(client->error_of(Command::region_write_multi, packed(std::uint64_t{1}, SingleWrite{0x38, 0, 9, 0})),
            EINVAL);
  EXPECT_EQ(client->error_of(Command::region_write_multi, packed(std::uint64_t{1}, SingleWrite{0x38, 9, 4, 0})),
            EINVAL);
}

TEST_F(VfioUserHostileClient, PassesDescriptorsToCommandsThatTakeNone) {
  const FileDescriptor file = memory_file(4096);
  const std::array descriptors{file.get()};
  EXPECT_EQ(client->error_of(Command::device_reset, {}, descriptors), EINVAL);
  EXPECT_EQ(client->error_of(Command::region_read, packed(RegionAccess{0, 0, 4}), descriptors), EINVAL);
}

TEST_F(VfioUserHostileClient, PassesTooManyDescriptors) {
  const FileDescriptor file = memory_file(4096);
  const std::vector<int> descriptors(kMaxDescriptors + 1, file.get());
  EXPECT_EQ(client->error_of(Command::device_set_irqs, packed(SetIrqs{20, 36, kMsix, 0, 17}), descriptors), -1);
  EXPECT_TRUE(client->closed());
}

TEST_F(VfioUserHostileClient, PassesDescriptorsInsideAMessage) {
  const FileDescriptor file = memory_file(4096);
  const std::array descriptors{file.get()};
  client->send_raw(packed(Header{1, Command::dma_map, 48, 0, 0}));
  fixture.pump();
  client->send_raw(packed(DmaMap{32, 3, 0, 4096, 4096}), descriptors);
  EXPECT_TRUE(client->closed());
}

TEST_F(VfioUserHostileClient, PassesFilesThatNoCommandTakes) {
  for (const char* path : {"/dev/zero", "/proc/self/maps", "/", "/dev/ptmx"}) {
    EXPECT_EQ(client->map(4096, 4096, FileDescriptor(::open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)).get(), 0), -1)
        << path;
    EXPECT_TRUE(client->closed()) << path;
    client.reset();
    wait_for_closes();
    client = fixture.connected();
    for (int i = 0; i < 1000 && !fixture.server().has_client(); ++i) {
      fixture.pump();
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_TRUE(client->negotiate());
  }
  EXPECT_TRUE(fixture.has_logged("neither memory (memfd, tmpfs, hugetlbfs) nor an eventfd"));
}

TEST_F(VfioUserHostileClient, MayQueueAMessageWithDescriptorsBehindOneWithout) {
  const FileDescriptor file = memory_file(4096);
  const std::array descriptors{file.get()};
  client->send_raw(packed(Header{1, Command::region_read, 32, 0, 0}, RegionAccess{0, kConfigRegion, 4}));
  client->send_raw(packed(Header{2, Command::dma_map, 48, 0, 0}, DmaMap{32, 3, 0, 4096, 4096}), descriptors);
  for (std::uint16_t id = 1; id <= 2; ++id) {
    const auto reply = client->receive();
    ASSERT_TRUE(reply) << id;
    EXPECT_EQ(reply->header.id, id);
    EXPECT_EQ(reply->header.error, 0U);
  }
}

TEST_F(VfioUserHostileClient, StopsInTheMiddleOfAMessage) {
  client->send_raw(packed(Header{1, Command::dma_map, 48, 0, 0}, std::uint64_t{0}));
  fixture.pump();
  fixture.clock->advance(Session::kMaxStall - 100ms);
  EXPECT_FALSE(client->closed());
  fixture.clock->advance(200ms);
  EXPECT_TRUE(client->closed());
  EXPECT_TRUE(fixture.has_logged("before a message's end"));
}

TEST_F(VfioUserHostileClient, SendsAMessageByteByByte) {
  const Bytes message = packed(Header{7, Command::region_read, 32, 0, 0}, RegionAccess{0, kConfigRegion, 4});
  for (const std::byte byte : message) {
    ASSERT_TRUE(client->send_raw(std::span(&byte, 1)));
    fixture.pump();
  }
  const auto reply = client->receive();
  ASSERT_TRUE(reply && reply->payload.size() == 20);
  EXPECT_EQ(reply->header.id, 7);
}

TEST_F(VfioUserHostileClient, NeverTakesItsReplies) {
  const Bytes read = packed(Header{1, Command::region_read, 32, 0, 0}, RegionAccess{0, kConfigRegion, 4096});
  for (int i = 0; i < 2000 && fixture.server().has_client(); ++i) {
    client->send_raw(read);
    fixture.clock->advance(10ms);
    fixture.pump();
  }
  EXPECT_FALSE(fixture.server().has_client());
  EXPECT_TRUE(fixture.has_logged("does not take its replies"));
}

TEST_F(VfioUserHostileClient, LeavesAfterAnyByteOfAMessage) {
  const Bytes message = packed(Header{1, Command::dma_map, 48, 0, 0}, DmaMap{32, 3, 0, 4096, 4096});
  const FileDescriptor file = memory_file(8192);
  const std::array descriptors{file.get()};
  for (std::size_t bytes = 1; bytes <= message.size(); ++bytes) {
    client->send_raw(std::span(message).first(bytes), descriptors);
    fixture.pump();
    client.reset();
    client = fixture.client();
    ASSERT_TRUE(fixture.server().has_client()) << bytes;
  }
}

/// A ring at an address that is not mapped: the card's accesses are refused and counted.
TEST_F(VfioUserHostileClient, LetsTheCardAccessMemoryThatIsNotMapped) {
  write_config(*client, 4, 2, 0x0006);
  write_register(*client, 0xE000, 0x12345000);  // TDBAL
  write_register(*client, 0xE008, 4096);        // TDLEN
  write_register(*client, 0x0400, 2);           // TCTL.EN
  write_register(*client, 0xE028, 1U << 25);    // TXDCTL.ENABLE
  write_register(*client, 0xE018, 8);           // TDT
  EXPECT_NE(read_register(*client, 8), ~0u);
  fixture.clock->advance(10ms);
  EXPECT_NE(read_register(*client, 8), ~0u);
}

}  // namespace
}  // namespace pollux::test
