// SPDX-License-Identifier: BSD-3-Clause
// What Binder saves and restores of a port's interfaces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_network.hpp"
#include "host/binding.hpp"
#include "pollux/host/interface_backup.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;
using test::FakeNetwork;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class BindingNetwork : public testing::Test {
 protected:
  BindingNetwork() { machine.load_driver("vfio-pci"); }
  Result<std::vector<BindOutcome>> bind() { return binder().bind(std::vector{port}); }
  Result<std::vector<BindOutcome>> unbind() { return binder().unbind(std::vector{port}); }
  [[nodiscard]] std::filesystem::path file() const { return machine.paths.run / "pollux/interfaces/0000:01:00.0"; }
  void rename_interface(const std::string& name) const {
    std::filesystem::rename(machine.device(port) / "net/eth1", machine.device(port) / "net" / name);
  }

  FakeMachine machine;
  FakeNetwork network;
  std::vector<std::string> log;
  pci::Address port = machine.add({.address = "0000:01:00.0", .group = 7, .interface = "eth1"});

 private:
  [[nodiscard]] Binder binder() {
    return Binder(machine.paths, machine.clock, network,
                  [this](LogLevel, std::string_view message) { log.emplace_back(message); });
  }
};

TEST_F(BindingNetwork, IsSavedByBindAndRestoredByUnbind) {
  ASSERT_TRUE(bind());
  const auto saved = saved_interfaces(machine.paths, port);
  ASSERT_TRUE(saved) << saved.error().message();
  ASSERT_EQ(saved->size(), 1U);
  EXPECT_EQ(saved->front().name, "eth1");
  EXPECT_EQ(saved->front().mtu, 1400U);
  EXPECT_THAT(network.restored, IsEmpty());
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth1, MTU 1400"));
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(BindingNetwork, OfAVirtioCardIsBelowItsVirtioDevice) {
  const pci::Address card = machine.add({.address = "0000:02:00.0", .driver = "virtio-pci", .group = 8});
  std::filesystem::create_directories(machine.device(card) / "virtio3/net/eth5");
  Binder binder(machine.paths, machine.clock, network);
  ASSERT_TRUE(binder.bind(std::vector{card}));
  const auto freed = binder.unbind(std::vector{card});
  EXPECT_TRUE(freed) << freed.error().message();
  EXPECT_THAT(network.restored, ElementsAre("eth5 as eth5, MTU 1400"));
}

TEST_F(BindingNetwork, IsRestoredOnAnInterfaceWithAnotherName) {
  ASSERT_TRUE(bind());
  rename_interface("eth7");
  const Duration start = machine.clock.now();
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth7, MTU 1400"));
  EXPECT_LT(machine.clock.now() - start, std::chrono::seconds(1)) << "nothing here names interfaces";
}

TEST_F(BindingNetwork, UdevGetsTimeToNameTheInterface) {
  machine.write(machine.paths.run / "udev/control", "");
  ASSERT_TRUE(bind());
  rename_interface("eth7");
  const Duration start = machine.clock.now();
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth7, MTU 1400"));
  EXPECT_GT(machine.clock.now() - start, std::chrono::seconds(1));
}

TEST_F(BindingNetwork, ABoundPortKeepsWhatWasSaved) {
  ASSERT_TRUE(bind());
  const std::string before = machine.read(file());
  rename_interface("eth7");
  ASSERT_TRUE(bind());
  EXPECT_EQ(machine.read(file()), before);
}

TEST_F(BindingNetwork, ABindThatCannotSaveItChangesNothing) {
  network.saving_fails = Error{ErrorCode::io_error, "rtnetlink did not answer", "try again"};
  const auto bound = bind();
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().what, "rtnetlink did not answer");
  EXPECT_THAT(machine.events(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(machine.record(port)));
}

TEST_F(BindingNetwork, AnInterfaceInAnotherNamespaceIsLeftOutWithAWarning) {
  network.saving_fails = Error{ErrorCode::not_found, "there is no network interface eth1", "see `ip link`"};
  ASSERT_TRUE(bind());
  EXPECT_THAT(log, Contains(AllOf(HasSubstr("eth1"), HasSubstr("not saved"))));
  EXPECT_TRUE(saved_interfaces(machine.paths, port)->empty());
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, IsEmpty());
}

TEST_F(BindingNetwork, IsRestoredIfTheBindFails) {
  machine.refuse("vfio-pci");
  ASSERT_FALSE(bind());
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth1, MTU 1400"));
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(BindingNetwork, UnbindSaysWhatItCouldNotRestore) {
  ASSERT_TRUE(bind());
  network.restoring_fails = Error{ErrorCode::io_error, "192.0.2.7/24: no", "see dmesg"};
  const auto freed = unbind();
  ASSERT_FALSE(freed);
  EXPECT_EQ(freed.error().what, "0000:01:00.0 has igb again, but its network is not as before: 192.0.2.7/24: no");
  EXPECT_THAT(freed.error().hint, HasSubstr("pollux unbind 0000:01:00.0"));
  EXPECT_EQ(machine.driver_of(port), "igb");
}

TEST_F(BindingNetwork, ASecondUnbindRestoresWhatTheFirstCouldNot) {
  ASSERT_TRUE(bind());
  network.restoring_fails = Error{ErrorCode::io_error, "192.0.2.7/24: no", "see dmesg"};
  ASSERT_FALSE(unbind());
  ASSERT_FALSE(unbind()) << "it must not report success";
  network.restoring_fails.reset();
  network.restored.clear();
  const auto freed = unbind();
  ASSERT_TRUE(freed) << freed.error().message();
  EXPECT_FALSE(freed->front().changed) << "the driver";
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth1, MTU 1400"));
  EXPECT_FALSE(std::filesystem::exists(file()));
  EXPECT_FALSE(std::filesystem::exists(machine.record(port)));
  ASSERT_TRUE(unbind());
  EXPECT_EQ(network.restored.size(), 1U) << "later the interface may have another configuration";
}

TEST_F(BindingNetwork, ASecondUnbindCompletesOneThatWasInterrupted) {
  ASSERT_TRUE(bind());
  const std::string saved = machine.read(file());
  network.restoring_fails = Error{ErrorCode::io_error, "no", "see dmesg"};
  ASSERT_FALSE(unbind());
  network.restoring_fails.reset();
  network.restored.clear();
  // As if the process had been killed before it wrote the former override.
  machine.write(machine.device(port) / "driver_override", "igb\n");
  ASSERT_EQ(machine.read(file()), saved);
  ASSERT_TRUE(unbind());
  EXPECT_EQ(machine.read(machine.device(port) / "driver_override"), "\n");
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth1, MTU 1400"));
}

TEST_F(BindingNetwork, UnbindRestoresWhatAFailedBindCouldNot) {
  machine.refuse("vfio-pci");
  network.restoring_fails = Error{ErrorCode::io_error, "no", "see dmesg"};
  const auto bound = bind();
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().hint, HasSubstr("pollux unbind 0000:01:00.0"));
  network.restoring_fails.reset();
  network.restored.clear();
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, ElementsAre("eth1 as eth1, MTU 1400"));
}

TEST_F(BindingNetwork, ABindAfterAnUnbindThatFailedSavesWhatThePortHasNow) {
  ASSERT_TRUE(bind());
  network.restoring_fails = Error{ErrorCode::io_error, "no", "see dmesg"};
  ASSERT_FALSE(unbind());
  network.restoring_fails.reset();
  network.restored.clear();
  rename_interface("eth7");
  ASSERT_TRUE(bind());
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, ElementsAre("eth7 as eth7, MTU 1400"));
}

TEST_F(BindingNetwork, UnbindReportsAnInterfaceThatDoesNotComeBack) {
  ASSERT_TRUE(bind());
  std::filesystem::remove_all(machine.device(port) / "net/eth1");
  const auto freed = unbind();
  ASSERT_FALSE(freed);
  EXPECT_THAT(freed.error().what, HasSubstr("0000:01:00.0 has no interface again"));
  EXPECT_EQ(machine.driver_of(port), "igb");
}

TEST_F(BindingNetwork, UnbindIgnoresADamagedFileAndSaysSo) {
  ASSERT_TRUE(bind());
  machine.write(file(), "nonsense");
  ASSERT_TRUE(unbind());
  EXPECT_THAT(log, Contains(AllOf(HasSubstr(file().string()), HasSubstr("malformed"))));
  EXPECT_THAT(network.restored, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(BindingNetwork, UnbindIgnoresWhatBelongsToAnotherCardInTheSameSlot) {
  ASSERT_TRUE(bind());
  machine.write(machine.device(port) / "device", "0x1521\n");
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, IsEmpty());
}

TEST_F(BindingNetwork, UnbindForgetsWhatWasSavedOfAPortThatHasLeftVfio) {
  ASSERT_TRUE(bind());
  std::filesystem::remove(machine.device(port) / "driver");
  std::filesystem::create_directory_symlink(machine.paths.sys / "bus/pci/drivers/igb", machine.device(port) / "driver");
  ASSERT_TRUE(unbind());
  EXPECT_THAT(network.restored, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(file()));
}

}  // namespace
}  // namespace pollux::host
