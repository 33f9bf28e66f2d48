// SPDX-License-Identifier: BSD-3-Clause
#include "pci/device_info.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_machine.hpp"

namespace pollux::pci {
namespace {

using test::FakeMachine;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(DeviceInfo, ReadsEveryFact) {
  FakeMachine machine;
  const Address address = machine.add({.address = "0000:01:00.0", .group = 7, .interface = "eth1"});
  machine.write(machine.device(address) / "driver_override", "vfio-pci\n");
  const auto info = read_device(machine.paths, address);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->address, address);
  EXPECT_EQ(info->vendor, 0x8086);
  EXPECT_EQ(info->device, 0x10c9);
  EXPECT_EQ(info->subsystem_vendor, 0x8086);
  EXPECT_EQ(info->subsystem_device, 0xa03c);
  EXPECT_EQ(info->class_code, 0x020000U);
  EXPECT_EQ(info->revision, 1);
  EXPECT_EQ(info->vendor_name, "");
  EXPECT_EQ(info->iommu_group, 7U);
  EXPECT_EQ(info->numa_node, 1);
  EXPECT_EQ(info->driver, "igb");
  EXPECT_EQ(info->driver_override, "vfio-pci");
  EXPECT_THAT(info->interfaces, ElementsAre("eth1"));
  EXPECT_TRUE(info->is_network_controller());
  EXPECT_FALSE(info->is_bridge());
}

TEST(DeviceInfo, LeavesMissingAttributesEmpty) {
  FakeMachine machine;
  const Address address = machine.add({.address = "0000:01:00.0", .driver = ""});
  machine.write(machine.device(address) / "numa_node", "-1\n");
  const auto info = read_device(machine.paths, address);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->iommu_group, std::nullopt);
  EXPECT_EQ(info->numa_node, -1);
  EXPECT_EQ(info->driver, "");
  EXPECT_EQ(info->driver_override, "");
  EXPECT_EQ(info->vendor_name, "");
  EXPECT_THAT(info->interfaces, IsEmpty());
}

TEST(DeviceInfo, IgnoresInvalidAttributes) {
  FakeMachine machine;
  const Address address = machine.add({.address = "0000:01:00.0"});
  machine.write(machine.device(address) / "vendor", "0x123456\n");
  machine.write(machine.device(address) / "device", "garbage");
  machine.write(machine.device(address) / "class", "");
  std::filesystem::remove(machine.device(address) / "revision");
  const auto info = read_device(machine.paths, address);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->vendor, 0);
  EXPECT_EQ(info->device, 0);
  EXPECT_EQ(info->class_code, 0U);
  EXPECT_EQ(info->revision, 0);
}

TEST(DeviceInfo, FindsTheInterfaceBelowAVirtioDevice) {
  FakeMachine machine;
  const Address address = machine.add({.address = "0000:00:03.0", .driver = "virtio-pci"});
  std::filesystem::create_directories(machine.device(address) / "virtio2/net/eth0");
  EXPECT_THAT(read_device(machine.paths, address)->interfaces, ElementsAre("eth0"));
}

TEST(DeviceInfo, RejectsAMissingDevice) {
  FakeMachine machine;
  const auto info = read_device(machine.paths, Address::parse("0000:01:00.0").value());
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, ErrorCode::not_found);
  EXPECT_THAT(info.error().what, HasSubstr("0000:01:00.0"));
  EXPECT_THAT(info.error().hint, HasSubstr("pollux list"));
}

TEST(DeviceInfo, ListsInTheOrderOfAddresses) {
  FakeMachine machine;
  machine.add({.address = "10000:00:00.0"});
  machine.add({.address = "0000:01:00.1"});
  machine.add({.address = "0000:01:00.0"});
  std::filesystem::create_directories(machine.paths.sys / "bus/pci/devices/no-address");
  const auto devices = list_devices(machine.paths);
  ASSERT_TRUE(devices);
  std::vector<std::string> found;
  for (const auto& device : *devices) found.push_back(device.address.to_string());
  EXPECT_THAT(found, ElementsAre("0000:01:00.0", "0000:01:00.1", "10000:00:00.0"));
}

TEST(DeviceInfo, ReportsAMachineWithoutPci) {
  FakeMachine machine;
  std::filesystem::remove_all(machine.paths.sys / "bus/pci");
  const auto devices = list_devices(machine.paths);
  ASSERT_FALSE(devices);
  EXPECT_EQ(devices.error().code, ErrorCode::not_supported);
  EXPECT_THAT(devices.error().hint, HasSubstr("mount"));
}

}  // namespace
}  // namespace pollux::pci
