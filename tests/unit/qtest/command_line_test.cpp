// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace pollux::qtest {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(UsableRam, StaysInOnePieceBelowTheSplit) {
  EXPECT_EQ(usable_ram(64 * kGiB, 4096), 0xB0000000 - kMiB);
  EXPECT_EQ(usable_ram(64 * kGiB, 2 * kMiB), 0xB0000000 - 2 * kMiB);
  EXPECT_EQ(usable_ram(64 * kGiB, kGiB), 2 * kGiB);
  EXPECT_EQ(usable_ram(0xB0000000, 4096), 0xB0000000 - kMiB);
  EXPECT_EQ(usable_ram(kGiB, 4096), kGiB);
  EXPECT_EQ(usable_ram(kGiB + 5, 4096), kGiB);
}

TEST(CommandLine, NamesDescriptorsAndCards) {
  const auto words = command_line({.qemu = "/bin/qemu",
                                   .card = "igb",
                                   .socket = 5,
                                   .memory = 6,
                                   .ram = kGiB,
                                   .firmware = 7,
                                   .doorbells = 8,
                                   .doorbell_vectors = 10,
                                   .first_card = 14});
  EXPECT_EQ(words.front(), "/bin/qemu");
  EXPECT_THAT(words, Contains("1073741824B"));
  EXPECT_THAT(words, Contains(HasSubstr("size=1073741824B,mem-path=/proc/self/fd/6")));
  EXPECT_THAT(words, Contains("/proc/self/fd/7"));
  EXPECT_THAT(words, Contains("socket,id=qtest,fd=5"));
  EXPECT_THAT(words, Contains("socket,id=doorbells,fd=8"));
  EXPECT_THAT(words, Contains(HasSubstr("vectors=10")));
  EXPECT_THAT(words, Contains(HasSubstr("igb,netdev=net0,addr=0x4,romfile=,mac=02:00:00:82:57:0e")));
  EXPECT_THAT(words, Contains(HasSubstr("igb,netdev=net1,addr=0x6,romfile=,mac=02:00:00:82:57:0f")));
}

TEST(CommandLine, ConnectsTheCardsToTheirFarEnds) {
  const MachineConfig hub{.qemu = "/bin/qemu", .card = "igb"};
  EXPECT_THAT(command_line(hub), Contains("hubport,id=net0,hubid=0"));
  EXPECT_THAT(command_line(hub), Contains("hubport,id=net1,hubid=0"));
  const MachineConfig taps{.qemu = "/bin/qemu", .card = "igb", .tap = "plx", .queues = 2};
  EXPECT_THAT(command_line(taps), Contains("tap,id=net0,ifname=plx0,script=no,downscript=no,queues=2"));
  EXPECT_THAT(command_line(taps), Contains("tap,id=net1,ifname=plx1,script=no,downscript=no,queues=2"));
  const MachineConfig vhost{.qemu = "/bin/qemu", .card = "virtio-net-pci", .vhost_user = "/s", .queues = 2};
  EXPECT_THAT(command_line(vhost), Contains("socket,id=far0,path=/s0,reconnect-ms=100"));
  EXPECT_THAT(command_line(vhost), Contains("vhost-user,id=net0,chardev=far0,queues=2"));
  EXPECT_THAT(command_line(vhost), Contains("socket,id=far1,path=/s1,reconnect-ms=100"));
  EXPECT_THAT(command_line(vhost), Contains("vhost-user,id=net1,chardev=far1,queues=2"));
}

TEST(Firmware, HaltsAtTheResetVector) {
  const auto firmware = make_firmware();
  ASSERT_TRUE(firmware);
  EXPECT_EQ(::lseek(firmware->get(), 0, SEEK_END), 65536);
  std::array<unsigned char, 4> code{};
  ASSERT_EQ(::pread(firmware->get(), code.data(), code.size(), 65536 - 16), 4);
  EXPECT_EQ(code, (std::array<unsigned char, 4>{0xFA, 0xF4, 0xEB, 0xFD}));
}

}  // namespace
}  // namespace pollux::qtest
