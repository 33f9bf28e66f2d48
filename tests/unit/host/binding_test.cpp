// SPDX-License-Identifier: BSD-3-Clause
#include "host/binding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_network.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;
using test::FakeNetwork;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A machine with two ports in separate groups, and with vfio-pci loaded.
class Binding : public testing::Test {
 protected:
  Binding() { machine.load_driver("vfio-pci"); }
  /// A Binder as another process has one: it knows only the files.
  [[nodiscard]] Binder binder() {
    return Binder(machine.paths, machine.clock, network,
                  [this](LogLevel, std::string_view message) { log.emplace_back(message); });
  }
  [[nodiscard]] std::string override_of(pci::Address address) const {
    return machine.read(machine.device(address) / "driver_override");
  }

  FakeMachine machine;
  FakeNetwork network;
  std::vector<std::string> log;
  pci::Address first = machine.add({.address = "0000:01:00.0", .group = 7});
  pci::Address second = machine.add({.address = "0000:02:00.0", .group = 8});
};

TEST_F(Binding, MovesAPortToVfio) {
  const auto bound = binder().bind(std::vector{first});
  ASSERT_TRUE(bound) << bound.error().message();
  ASSERT_EQ(bound->size(), 1U);
  EXPECT_TRUE(bound->front().changed);
  EXPECT_EQ(bound->front().previous_driver, "igb");
  EXPECT_EQ(bound->front().driver, "vfio-pci");
  EXPECT_EQ(bound->front().iommu_group, 7U);
  EXPECT_EQ(machine.driver_of(first), "vfio-pci");
  EXPECT_EQ(machine.driver_of(second), "igb");
  EXPECT_EQ(override_of(first), "vfio-pci\n");
  EXPECT_THAT(machine.events(), ElementsAre("unbind igb 0000:01:00.0", "probe 0000:01:00.0"));
}

TEST_F(Binding, GivesAPortBackFromAnotherProcess) {
  ASSERT_TRUE(binder().bind(std::vector{first, second}));
  const auto freed = binder().unbind(std::vector{first, second});
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_TRUE(freed->front().changed);
  EXPECT_EQ(freed->front().previous_driver, "vfio-pci");
  EXPECT_EQ(freed->front().driver, "igb");
  EXPECT_EQ(machine.driver_of(first), "igb");
  EXPECT_EQ(machine.driver_of(second), "igb");
  EXPECT_EQ(override_of(first), "\n");
  EXPECT_FALSE(std::filesystem::exists(machine.record(first)));
}

TEST_F(Binding, RestoresTheRecordedDriverAndNotTheOneForItsIds) {
  machine.load_driver("special");
  std::filesystem::remove(machine.device(first) / "driver");
  std::filesystem::create_directory_symlink(machine.paths.sys / "bus/pci/drivers/special",
                                            machine.device(first) / "driver");
  machine.write(machine.device(first) / "driver_override", "special\n");
  ASSERT_TRUE(binder().bind(std::vector{first}));
  ASSERT_TRUE(binder().unbind(std::vector{first}));
  EXPECT_EQ(machine.driver_of(first), "special");
  EXPECT_EQ(override_of(first), "special\n");
}

TEST_F(Binding, LetsTheKernelChooseTheDriverIfThePortHadNone) {
  std::filesystem::remove(machine.device(first) / "driver");
  const auto bound = binder().bind(std::vector{first});
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->front().previous_driver, "");
  EXPECT_THAT(machine.events(), ElementsAre("probe 0000:01:00.0"));
  ASSERT_TRUE(binder().unbind(std::vector{first}));
  EXPECT_EQ(machine.driver_of(first), "igb");
}

TEST_F(Binding, KeepsAPortWithoutADriverIfItsOverrideDid) {
  std::filesystem::remove(machine.device(first) / "driver");
  machine.write(machine.device(first) / "driver_override", "none\n");
  ASSERT_TRUE(binder().bind(std::vector{first}));
  const auto freed = binder().unbind(std::vector{first});
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_EQ(freed->front().driver, "");
  EXPECT_EQ(machine.driver_of(first), "");
  EXPECT_EQ(override_of(first), "none\n");
}

TEST_F(Binding, UnbindsAPortWhoseOverrideWasVfio) {
  std::filesystem::remove(machine.device(first) / "driver");
  machine.write(machine.device(first) / "driver_override", "vfio-pci\n");
  ASSERT_TRUE(binder().bind(std::vector{first}));
  ASSERT_TRUE(binder().unbind(std::vector{first}));
  EXPECT_EQ(machine.driver_of(first), "igb");
  EXPECT_EQ(override_of(first), "vfio-pci\n");
}

TEST_F(Binding, LetsTheKernelChooseTheDriverWithoutARecord) {
  ASSERT_TRUE(binder().bind(std::vector{first}));
  std::filesystem::remove(machine.record(first));
  const auto freed = binder().unbind(std::vector{first});
  ASSERT_TRUE(freed);
  EXPECT_EQ(freed->front().driver, "igb");
  EXPECT_EQ(override_of(first), "\n");
}

TEST_F(Binding, UnbindsADeviceThatNoDriverSupports) {
  const pci::Address odd = machine.add({.address = "0000:03:00.0", .driver = "", .group = 9});
  ASSERT_TRUE(binder().bind(std::vector{odd}));
  const auto freed = binder().unbind(std::vector{odd});
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_TRUE(freed->front().changed);
  EXPECT_EQ(freed->front().driver, "");
  EXPECT_EQ(machine.driver_of(odd), "");
}

TEST_F(Binding, IgnoresADamagedRecordAndSaysSo) {
  ASSERT_TRUE(binder().bind(std::vector{first}));
  machine.write(machine.record(first), "\x01garbage");
  const auto freed = binder().unbind(std::vector{first});
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_EQ(machine.driver_of(first), "igb");
  EXPECT_THAT(log, testing::Contains(HasSubstr("is malformed")));
  EXPECT_FALSE(std::filesystem::exists(machine.record(first)));
}

TEST_F(Binding, IgnoresTheRecordOfAnotherCardInTheSameSlot) {
  machine.load_driver("other");
  ASSERT_TRUE(binder().bind(std::vector{first}));
  machine.write(machine.record(first),
                "pollux driver record 1\nvendor=1234\ndevice=5678\ndriver=other\ndriver_override=\n");
  ASSERT_TRUE(binder().unbind(std::vector{first}));
  EXPECT_EQ(machine.driver_of(first), "igb");
  EXPECT_THAT(log, testing::Contains(HasSubstr("another card")));
}

TEST_F(Binding, LeavesABoundPortAndItsRecordAlone) {
  ASSERT_TRUE(binder().bind(std::vector{first}));
  const std::string record = machine.read(machine.record(first));
  const auto events = machine.events();
  const auto again = binder().bind(std::vector{first});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_FALSE(again->front().changed);
  EXPECT_EQ(again->front().driver, "vfio-pci");
  EXPECT_EQ(machine.events(), events);
  EXPECT_EQ(machine.read(machine.record(first)), record);
  ASSERT_TRUE(binder().unbind(std::vector{first}));
  EXPECT_EQ(machine.driver_of(first), "igb");
}

TEST_F(Binding, LeavesAPortAloneThatIsNotBound) {
  const auto freed = binder().unbind(std::vector{first});
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_FALSE(freed->front().changed);
  EXPECT_EQ(freed->front().driver, "igb");
  EXPECT_THAT(machine.events(), IsEmpty());
}

TEST_F(Binding, CompletesAnInterruptedBind) {
  ASSERT_TRUE(binder().bind(std::vector{first}));
  std::filesystem::remove(machine.device(first) /
                          "driver");  // as if the process had been killed between unbind and probe
  const auto bound = binder().bind(std::vector{first});
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_EQ(bound->front().previous_driver, "igb");
  ASSERT_TRUE(binder().unbind(std::vector{first}));
  EXPECT_EQ(machine.driver_of(first), "igb");
}

TEST_F(Binding, UndoesAnInterruptedBind) {
  ASSERT_TRUE(binder().bind(std::vector{first}));
  std::filesystem::remove(machine.device(first) / "driver");
  const auto freed = binder().unbind(std::vector{first});
  ASSERT_TRUE(freed);
  EXPECT_TRUE(freed->front().changed);
  EXPECT_EQ(machine.driver_of(first), "igb");
}

TEST_F(Binding, BindsAWholeGroupInOneCommand) {
  const pci::Address sibling = machine.add({.address = "0000:01:00.1", .group = 7});
  EXPECT_FALSE(binder().bind(std::vector{first}));
  const auto bound = binder().bind(std::vector{first, sibling});
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_EQ(machine.driver_of(sibling), "vfio-pci");
}

TEST_F(Binding, RestoresEveryPortIfADriverRejectsOne) {
  machine.load_driver("stubborn");
  const pci::Address third = machine.add({.address = "0000:03:00.0", .driver = "stubborn", .group = 9});
  machine.cling("stubborn");
  const auto bound = binder().bind(std::vector{first, third});
  ASSERT_FALSE(bound);
  EXPECT_THAT(machine.events(), ElementsAre("unbind igb 0000:01:00.0", "probe 0000:01:00.0",
                                            "unbind vfio-pci 0000:01:00.0", "probe 0000:01:00.0"));
  EXPECT_EQ(machine.driver_of(first), "igb");
  EXPECT_EQ(machine.driver_of(third), "stubborn");
  EXPECT_FALSE(std::filesystem::exists(machine.record(third)));
  EXPECT_EQ(override_of(first), "\n");
  EXPECT_FALSE(std::filesystem::exists(machine.record(first)));
}

TEST_F(Binding, BindsWithoutAGroupInNoIommuMode) {
  const pci::Address bare = machine.add({.address = "0000:03:00.0"});
  std::filesystem::create_directories(machine.paths.sys / "module/vfio/parameters");
  machine.write(machine.paths.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
  const auto bound = binder().bind(std::vector{bare});
  ASSERT_TRUE(bound) << bound.error().message();
  EXPECT_EQ(bound->front().iommu_group, std::nullopt);
}

TEST_F(Binding, ForceBindsAPortThatTheHostUses) {
  network.state = test::host_with_port("0000:01:00.0");
  network.state.namespaces[0].addresses.push_back({2, test::prefix("192.0.2.7/24")});
  EXPECT_FALSE(binder().bind(std::vector{first}));
  EXPECT_TRUE(binder().bind(std::vector{first}, {.force = true}));
  EXPECT_EQ(machine.driver_of(first), "vfio-pci");
}

TEST_F(Binding, ReportsNamespacesThatItCannotRead) {
  network.state.unseen = {"network namespace secret"};
  EXPECT_TRUE(binder().bind(std::vector{first}));
  EXPECT_THAT(log, testing::Contains(HasSubstr("network namespace secret")));
}

}  // namespace
}  // namespace pollux::host
