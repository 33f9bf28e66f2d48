// SPDX-License-Identifier: BSD-3-Clause
#include "host/binding_records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pci/sysfs.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;
using testing::HasSubstr;

const pci::Address kAddress{0, 1, 0, 0};
const DriverRecord kRecord{"igb", "", 0x8086, 0x10c9};

TEST(DriverRecord, IsReadBackUnchanged) {
  FakeMachine machine;
  for (const DriverRecord& record :
       {kRecord, DriverRecord{"", "", 0, 0}, DriverRecord{"e1000e", "e1000e", 0xffff, 1, true}}) {
    ASSERT_TRUE(save_record(machine.paths, kAddress, record));
    const auto loaded = load_record(machine.paths, kAddress);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(*loaded, record);
  }
}

TEST(DriverRecord, IsKeptByAddress) {
  FakeMachine machine;
  ASSERT_TRUE(save_record(machine.paths, kAddress, kRecord));
  EXPECT_EQ(load_record(machine.paths, pci::Address{0, 2, 0, 0}).value(), std::nullopt);
  remove_record(machine.paths, kAddress);
  EXPECT_EQ(load_record(machine.paths, kAddress).value(), std::nullopt);
}

TEST(DriverRecord, LeavesNothingElseBehind) {
  FakeMachine machine;
  ASSERT_TRUE(save_record(machine.paths, kAddress, kRecord));
  ASSERT_TRUE(save_record(machine.paths, kAddress, kRecord));
  EXPECT_THAT(pci::sysfs::entries(machine.paths.run / "pollux/drivers"), testing::ElementsAre("0000:01:00.0"));
}

class DamagedRecord : public testing::TestWithParam<std::string> {};

TEST_P(DamagedRecord, IsAnErrorThatNamesTheFile) {
  FakeMachine machine;
  ASSERT_TRUE(save_record(machine.paths, kAddress, kRecord));
  machine.write(machine.record(kAddress), GetParam());
  const auto loaded = load_record(machine.paths, kAddress);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ErrorCode::io_error);
  EXPECT_THAT(loaded.error().what, HasSubstr(machine.record(kAddress).string()));
  EXPECT_THAT(loaded.error().hint, HasSubstr("rm "));
}

const std::string kHead = "pollux driver record 1\n";

INSTANTIATE_TEST_SUITE_P(
    , DamagedRecord,
    testing::Values("", "\n", std::string(10000, 'x'), std::string("\0\1\2", 3), kHead,
                    "pollux driver record 2\nvendor=8086\ndevice=10c9\ndriver=igb\ndriver_override=\n",
                    kHead + "vendor=8086\ndevice=10c9\ndriver=igb\n",
                    kHead + "vendor=8086\ndevice=10c9\ndriver_override=\n",
                    kHead + "vendor=808600\ndevice=10c9\ndriver=igb\ndriver_override=\n",
                    kHead + "vendor=8086\ndevice=card\ndriver=igb\ndriver_override=\n",
                    kHead + "vendor=8086\ndevice=10c9\ndriver=../../x\ndriver_override=\n",
                    kHead + "vendor=8086\ndevice=10c9\ndriver=igb\ndriver=ixgbe\ndriver_override=\n",
                    kHead + "vendor=8086\ndevice=10c9\ndriver=igb\ndriver_override=a b\n",
                    kHead + "vendor=8086\ndevice=10c9\ndriver=igb\nnonsense\ndriver_override=\n"));

TEST(DriverRecord, DistinguishesDriverNamesFromOtherText) {
  EXPECT_TRUE(is_driver_name("igb"));
  EXPECT_TRUE(is_driver_name("mlx5_core"));
  EXPECT_TRUE(is_driver_name("virtio-pci"));
  for (const char* bad : {"", ".", "..", "a/b", "a b", "a\nb"}) EXPECT_FALSE(is_driver_name(bad)) << bad;
  EXPECT_FALSE(is_driver_name(std::string(65, 'a')));
}

TEST(DriverRecord, SaysWhereItCannotBeWritten) {
  FakeMachine machine;
  machine.write(machine.paths.run / "pollux", "a file where a directory should be");
  const auto saved = save_record(machine.paths, kAddress, kRecord);
  ASSERT_FALSE(saved);
  EXPECT_THAT(saved.error().what, HasSubstr((machine.paths.run / "pollux").string()));
  EXPECT_FALSE(saved.error().hint.empty());
}

TEST(BindingLock, MakesASecondBinderWaitForABoundedTime) {
  FakeMachine machine;
  {
    const auto first = BindingLock::take(machine.paths, machine.clock, std::chrono::seconds(1));
    ASSERT_TRUE(first);
    const auto second = BindingLock::take(machine.paths, machine.clock, std::chrono::seconds(1));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    EXPECT_THAT(second.error().hint, HasSubstr("fuser"));
  }
  EXPECT_TRUE(BindingLock::take(machine.paths, machine.clock, std::chrono::seconds(1)));
}

TEST(BindingLock, IsNotTakenInADirectoryOfOthers) {
  namespace fs = std::filesystem;
  FakeMachine machine;
  const auto directory = machine.paths.run / "pollux";
  const auto refused = [&] {
    const auto lock = BindingLock::take(machine.paths, machine.clock, std::chrono::seconds(1));
    return !lock && lock.error().code == ErrorCode::permission_denied;
  };
  fs::create_directories(directory);
  fs::permissions(directory, fs::perms::all);
  EXPECT_TRUE(refused()) << "others may write to it";
  EXPECT_FALSE(save_record(machine.paths, kAddress, kRecord));
  fs::remove(directory);
  fs::create_directories(machine.paths.run / "elsewhere");
  fs::create_directory_symlink("elsewhere", directory);
  EXPECT_TRUE(refused()) << "a link";
}

}  // namespace
}  // namespace pollux::host
