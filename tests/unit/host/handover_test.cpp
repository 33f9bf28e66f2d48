// SPDX-License-Identifier: BSD-3-Clause
#include "host/handover.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;
using testing::AllOf;
using testing::HasSubstr;

TEST(Handover, FindsUsers) {
  const auto root = find_user("root");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0U);
  const auto nobody = find_user("no-such-user-here");
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().code, ErrorCode::not_found);
  EXPECT_THAT(nobody.error().what, HasSubstr("no-such-user-here"));
  EXPECT_THAT(nobody.error().hint, HasSubstr("getent passwd"));
}

TEST(Handover, MakesTheUserOwnTheGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "chown needs root";
  FakeMachine machine;
  machine.write(machine.paths.dev / "vfio/7", "");
  ASSERT_TRUE(hand_group_to(machine.paths, machine.clock, 7, {"somebody", 1234, 2345}));
  struct stat status {};
  ASSERT_EQ(::stat((machine.paths.dev / "vfio/7").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 1234U);
  EXPECT_EQ(status.st_gid, 2345U);
}

TEST(Handover, MakesTheUserOwnTheFilesOfItsDevicesToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "chown needs root";
  FakeMachine machine;
  const pci::Address device = machine.add({.address = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
  const pci::Address other = machine.add({.address = "0000:02:00.0", .driver = "vfio-pci", .group = 8});
  machine.write(machine.paths.dev / "vfio/7", "");
  machine.write(machine.device(device) / "vfio-dev/vfio0/dev", "");
  machine.write(machine.device(other) / "vfio-dev/vfio1/dev", "");
  for (const char* file : {"vfio0", "vfio1"}) machine.write(machine.paths.dev / "vfio/devices" / file, "");
  const auto handed = hand_group_to(machine.paths, machine.clock, 7, {"somebody", 1234, 2345});
  ASSERT_TRUE(handed) << handed.error().message();
  EXPECT_THAT(*handed, testing::ElementsAre(machine.paths.dev / "vfio/7", machine.paths.dev / "vfio/devices/vfio0"));
  for (const auto& file : *handed) {
    struct stat status {};
    ASSERT_EQ(::stat(file.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 1234U) << file;
  }
}

TEST(Handover, RefusesAGroupThatOnlyRootOpens) {
  FakeMachine machine;
  machine.write(machine.paths.dev / "vfio/noiommu-7", "");
  const auto handed = hand_group_to(machine.paths, machine.clock, 7, {"somebody", 1234, 2345});
  ASSERT_FALSE(handed);
  EXPECT_EQ(handed.error().code, ErrorCode::not_supported);
  EXPECT_THAT(handed.error().hint, HasSubstr("as root"));
}

TEST(Handover, WaitsForTheNode) {
  if (::geteuid() != 0) GTEST_SKIP() << "chown needs root";
  FakeMachine machine;
  machine.clock.follow([&](Duration now) {
    if (now > std::chrono::milliseconds(50)) machine.write(machine.paths.dev / "vfio/7", "");
  });
  EXPECT_TRUE(hand_group_to(machine.paths, machine.clock, 7, {"somebody", 1234, 2345}));
}

TEST(Handover, TimesOutIfTheNodeDoesNotAppear) {
  FakeMachine machine;
  const auto handed = hand_group_to(machine.paths, machine.clock, 7, {"somebody", 1234, 2345});
  ASSERT_FALSE(handed);
  EXPECT_EQ(handed.error().code, ErrorCode::timeout);
  EXPECT_THAT(handed.error().what, HasSubstr("/dev/vfio/7"));
  EXPECT_FALSE(handed.error().hint.empty());
}

TEST(Memlock, FollowsItsFormula) {
  EXPECT_EQ((MemlockDemand{.ports = 2,
                           .mbufs_per_port = 3,
                           .bytes_per_mbuf = 1000,
                           .rings_per_port = 1,
                           .ring_bytes = 100,
                           .page_bytes = 4096}
                 .bytes()),
            2U * (4096U + 4096U));
  EXPECT_EQ(
      (MemlockDemand{.ports = 1, .mbufs_per_port = 3, .bytes_per_mbuf = 1000, .rings_per_port = 0, .page_bytes = 0}
           .bytes()),
      3000U)
      << "without a size of pages nothing is rounded";
  // 16,384 mbufs with an ordinary page each are 64 MiB; 32 rings of 64 KiB are 2 MiB.
  EXPECT_EQ(MemlockDemand{}.bytes(), 66ULL << 20U);
}

TEST(Memlock, AdviceShowsBothWaysToSetTheLimit) {
  EXPECT_THAT(memlock_advice({"ada", 1000, 1000}, {.ports = 2}),
              AllOf(HasSubstr("132 MiB"), HasSubstr("ada - memlock 135168"), HasSubstr("LimitMEMLOCK=132M"),
                    HasSubstr("2 ports")));
}

TEST(Memlock, RootNeedsNone) { EXPECT_THAT(memlock_advice({"root", 0, 0}, {}), HasSubstr("no memlock limit")); }

}  // namespace
}  // namespace pollux::host
