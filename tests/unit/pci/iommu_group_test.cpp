// SPDX-License-Identifier: BSD-3-Clause
#include "pci/iommu_group.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_machine.hpp"

namespace pollux::pci {
namespace {

using test::FakeMachine;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(IommuGroup, ListsItsMembers) {
  FakeMachine machine;
  machine.add({.address = "0000:01:00.1", .group = 7});
  machine.add({.address = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
  machine.add({.address = "0000:02:00.0", .group = 8});
  const auto group = read_group(machine.paths, 7);
  ASSERT_TRUE(group);
  ASSERT_EQ(group->members.size(), 2U);
  EXPECT_EQ(group->members[0].name, "0000:01:00.0");
  EXPECT_EQ(group->members[0].driver, "vfio-pci");
  EXPECT_EQ(group->members[1].address, Address::parse("0000:01:00.1").value());
  EXPECT_EQ(group->members[1].driver, "igb");
}

TEST(IommuGroup, RejectsANumberWithoutAGroup) {
  FakeMachine machine;
  const auto group = read_group(machine.paths, 99);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, ErrorCode::not_found);
  EXPECT_THAT(group.error().what, HasSubstr("99"));
}

class ViableMember : public testing::TestWithParam<std::pair<const char*, bool>> {};

TEST_P(ViableMember, DependsOnItsDriver) {
  GroupMember member;
  member.driver = GetParam().first;
  EXPECT_EQ(member.viable(), GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(, ViableMember,
                         testing::Values(std::pair{"", true}, std::pair{"vfio-pci", true},
                                         std::pair{"mlx5_vfio_pci", true}, std::pair{"igb-vfio-pci", true},
                                         std::pair{"vfio-platform", true}, std::pair{"pci-stub", true},
                                         std::pair{"igb", false}, std::pair{"uio_pci_generic", false},
                                         std::pair{"notvfio", false}));

TEST(IommuGroup, ToleratesBridges) {
  FakeMachine machine;
  const Address port = machine.add({.address = "0000:01:00.0", .group = 7});
  machine.add({.address = "0000:00:01.0", .driver = "pcieport", .group = 7, .class_code = "0x060400"});
  EXPECT_TRUE(check_viable(*read_group(machine.paths, 7), std::vector{port}));
}

TEST(IommuGroup, NamesEachObstacleWithItsCommand) {
  FakeMachine machine;
  const Address port = machine.add({.address = "0000:01:00.0", .group = 7});
  machine.add({.address = "0000:01:00.1", .group = 7});
  machine.add({.address = "0000:01:00.2", .driver = "snd_hda_intel", .group = 7, .class_code = "0x040300"});
  machine.add({.address = "0000:01:00.3", .driver = "pci-stub", .group = 7});
  const auto checked = check_viable(*read_group(machine.paths, 7), std::vector{port});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::group_not_viable);
  EXPECT_THAT(checked.error().what,
              AllOf(HasSubstr("0000:01:00.0"), HasSubstr("group 7"), HasSubstr("0000:01:00.1 (igb)"),
                    HasSubstr("0000:01:00.2 (snd_hda_intel)"), Not(HasSubstr("0000:01:00.3"))));
  EXPECT_THAT(checked.error().hint,
              AllOf(HasSubstr("pollux bind 0000:01:00.0 0000:01:00.1"),
                    HasSubstr("echo 0000:01:00.2 > /sys/bus/pci/devices/0000:01:00.2/driver/unbind")));
}

TEST(IommuGroup, NamesADeviceThatIsNotPci) {
  FakeMachine machine;
  const Address port = machine.add({.address = "0000:01:00.0", .group = 7});
  const auto platform = machine.paths.sys / "kernel/iommu_groups/7/devices/ethernet.4";
  std::filesystem::create_directories(platform);
  std::filesystem::create_directory_symlink(machine.paths.sys / "bus/platform/drivers/stmmac", platform / "driver");
  const auto checked = check_viable(*read_group(machine.paths, 7), std::vector{port});
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().what, HasSubstr("ethernet.4 (stmmac)"));
}

}  // namespace
}  // namespace pollux::pci
