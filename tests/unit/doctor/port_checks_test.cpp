// SPDX-License-Identifier: BSD-3-Clause
// Each fault of a port, and what the check says about it.
#include <fstream>

#include "fixture.hpp"
#include "hw/intel/igb/registers_control.hpp"
#include "hw/intel/igb/registers_system.hpp"

namespace pollux::tool::doctor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct PortChecks : Machine {
  /// The port belongs to igb and has the interface eth1.
  void give_to_kernel() {
    bind("igb");
    machine.write(device() / "net/eth1/operstate", "up\n");
    network.state = host::test::host_with_port("0000:01:00.0");
  }
  template <class Register>
  void set(std::uint32_t value) const {
    std::fstream file(device() / "resource0", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(Register::offset());
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
  }
};

TEST_F(PortChecks, AHealthyPortIsOk) {
  for (const Check& check : all_checks()) {
    // The link of a port that nobody has started is not known.
    if (check.run == &check_link) continue;
    EXPECT_EQ(run(check.run).state, State::ok) << check.name << run(check.run).found;
  }
}

TEST_F(PortChecks, TheHostUsesIt) {
  give_to_kernel();
  EXPECT_EQ(run(&check_host_use).state, State::ok);
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  const Finding finding = run(&check_host_use);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("eth1"), HasSubstr("192.0.2.7/24")));
  EXPECT_EQ(command_of(finding), "ip address del 192.0.2.7/24 dev eth1");
  EXPECT_FALSE(is_safe(finding)) << "the host may need the address";
}

TEST_F(PortChecks, TheHostsUseIsNotKnown) {
  network.broken = Error{ErrorCode::io_error, "no netlink", "look"};
  EXPECT_EQ(run(&check_host_use).state, State::unknown);
  network.broken.reset();
  network.state.unseen = {"the namespace of process 1"};
  EXPECT_EQ(run(&check_host_use).state, State::unknown);
}

TEST_F(PortChecks, NoCommandEndsATcpConnection) {
  give_to_kernel();
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("fe80::7/64")});
  network.state.namespaces[0].connections = {host::test::prefix("fe80::7/128")};
  EXPECT_EQ(run(&check_host_use).state, State::error);
  EXPECT_FALSE(run(&check_host_use).remedy.has_value());
}

TEST_F(PortChecks, WhatDoesNotComeBack) {
  give_to_kernel();
  host::NetworkNamespace& own = network.state.namespaces[0];
  own.addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  EXPECT_EQ(run(&check_give_back).state, State::ok) << "an address does";
  own.links.push_back({.index = 5, .name = "eth1.7", .kind = "vlan", .lower = 2});
  const Finding finding = run(&check_give_back);
  EXPECT_EQ(finding.state, State::warning);
  EXPECT_THAT(finding.found, HasSubstr("eth1.7 is stacked on eth1"));
  EXPECT_EQ(command_of(finding), "ip link del eth1.7");
  EXPECT_FALSE(is_safe(finding));
  own.links.pop_back();
  network.state.ssh_session = host::test::prefix("192.0.2.7/32");
  EXPECT_EQ(run(&check_give_back).state, State::warning);
  EXPECT_THAT(run(&check_give_back).found, HasSubstr("carries your own ssh session"));
  network.broken = Error{ErrorCode::io_error, "no netlink", "look"};
  EXPECT_EQ(run(&check_give_back).state, State::unknown);
}

TEST_F(PortChecks, AVirtualFunctionInUseDoesNotComeBack) {
  give_to_kernel();
  machine.add_function(port, {.address = "0000:01:10.0", .driver = "igbvf", .group = 9});
  network.state = host::test::host_with_port("0000:01:10.0", "eth1v0");
  EXPECT_EQ(run(&check_give_back).state, State::ok);
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  EXPECT_EQ(run(&check_give_back).state, State::warning);
}

TEST_F(PortChecks, AnotherPortOfItsGroupThatIsBoundWithIt) {
  others.push_back(machine.add({.address = "0000:01:00.1", .group = 7}));
  machine.write(machine.paths.sys / "kernel/iommu_groups/7/type", "DMA-FQ\n");
  EXPECT_EQ(run(&check_group).state, State::ok);
  EXPECT_EQ(run(&check_group).found, "group 7 (type DMA-FQ), 2 devices");
  give_to_kernel();
  EXPECT_EQ(command_of(run(&check_driver)), "pollux bind --user alice 0000:01:00.0 0000:01:00.1");
  EXPECT_TRUE(is_safe(run(&check_driver)));
}

TEST_F(PortChecks, AnotherPortOfItsGroup) {
  machine.add({.address = "0000:01:00.1", .group = 7});
  Finding finding = run(&check_group);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, HasSubstr("0000:01:00.1 (igb)"));
  EXPECT_EQ(command_of(finding), "pollux bind --user alice 0000:01:00.0 0000:01:00.1");
  EXPECT_TRUE(is_safe(finding));
  network.state = host::test::host_with_port("0000:01:00.1");
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  finding = run(&check_group);
  EXPECT_FALSE(is_safe(finding)) << "the host uses the other port";
}

TEST_F(PortChecks, ADiskOfItsGroup) {
  machine.add({.address = "0000:01:00.1", .driver = "nvme", .group = 7, .class_code = "0x010802"});
  const Finding finding = run(&check_group);
  EXPECT_THAT(command_of(finding),
              AllOf(HasSubstr("echo 0000:01:00.1 > /sys/bus/pci/devices/0000:01:00.1/driver/unbind"),
                    HasSubstr(" && pollux bind")));
  EXPECT_FALSE(is_safe(finding));
}

TEST_F(PortChecks, NoGroup) {
  std::filesystem::remove(device() / "iommu_group");
  EXPECT_EQ(run(&check_group).state, State::unknown);
}

TEST_F(PortChecks, BoundToTheKernel) {
  give_to_kernel();
  Finding finding = run(&check_driver);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_EQ(finding.found, "igb");
  EXPECT_EQ(command_of(finding), "pollux bind --user alice 0000:01:00.0");
  EXPECT_TRUE(is_safe(finding));
  caller.uid = 0;
  EXPECT_EQ(command_of(run(&check_driver)), "pollux bind 0000:01:00.0");
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  finding = run(&check_driver);
  EXPECT_FALSE(is_safe(finding)) << "the host uses the port";
  EXPECT_THAT(finding.advice, HasSubstr("in use by the host"));
}

TEST_F(PortChecks, TheHostUsesAVirtualFunctionOfIt) {
  give_to_kernel();
  machine.add_function(port, {.address = "0000:01:10.0", .driver = "igbvf", .group = 9});
  network.state = host::test::host_with_port("0000:01:10.0", "eth1v0");
  EXPECT_TRUE(is_safe(run(&check_driver)));
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  EXPECT_EQ(run(&check_host_use).state, State::error);
  EXPECT_THAT(run(&check_host_use).found, HasSubstr("eth1v0"));
  EXPECT_FALSE(is_safe(run(&check_driver))) << "binding the port removes the function";
}

TEST_F(PortChecks, BoundToTheKernelWithoutAnIommu) {
  give_to_kernel();
  remove_iommu();
  noiommu("Y");
  EXPECT_EQ(command_of(run(&check_driver)), "pollux bind 0000:01:00.0") << "only root could open it";
}

TEST_F(PortChecks, NoDriver) {
  bind("");
  EXPECT_EQ(run(&check_driver).found, "none");
  EXPECT_EQ(run(&check_permissions).state, State::unknown);
}

TEST_F(PortChecks, NoPermissionForItsFiles) {
  forbidden = {machine.paths.dev / "vfio/7"};
  Finding finding = run(&check_permissions);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("alice may not open"), HasSubstr("vfio/7")));
  EXPECT_EQ(command_of(finding), "pollux bind --user alice 0000:01:00.0");
  forbidden.insert(machine.paths.dev / "vfio/vfio");
  finding = run(&check_permissions);
  EXPECT_THAT(command_of(finding), HasSubstr(" && chmod 0666 " + (machine.paths.dev / "vfio/vfio").string()));
}

TEST_F(PortChecks, OneAccessModeIsEnough) {
  machine.write(machine.paths.dev / "iommu", "");
  machine.write(machine.paths.dev / "vfio/devices/vfio0", "");
  std::filesystem::create_directories(device() / "vfio-dev/vfio0");
  forbidden = {machine.paths.dev / "vfio/7"};
  EXPECT_EQ(run(&check_permissions).state, State::ok);
  forbidden.insert(machine.paths.dev / "iommu");
  EXPECT_EQ(run(&check_permissions).state, State::error);
  forbidden = {machine.paths.dev / "iommu"};
  EXPECT_EQ(run(&check_permissions).state, State::ok);
}

TEST_F(PortChecks, NoDeviceFile) {
  std::filesystem::remove(machine.paths.dev / "vfio/7");
  EXPECT_EQ(run(&check_permissions).state, State::error);
  machine.write(machine.paths.dev / "vfio/noiommu-7", "");
  EXPECT_EQ(run(&check_permissions).state, State::error) << "only root may";
  caller.uid = 0;
  EXPECT_EQ(run(&check_permissions).state, State::ok);
}

TEST_F(PortChecks, AProcessHasIt) {
  machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
  const Finding finding = run(&check_holder);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, HasSubstr("process 42 (l2fwd)"));
  EXPECT_EQ(command_of(finding), "kill 42");
  EXPECT_FALSE(is_safe(finding));
}

TEST_F(PortChecks, SlowSlot) {
  machine.write(device() / "current_link_width", "1\n");
  EXPECT_EQ(run(&check_pcie).state, State::warning);
  EXPECT_THAT(run(&check_pcie).found, AllOf(HasSubstr("2.5 GT/s, 1 lanes"), HasSubstr("2.5 GT/s, 4 lanes")));
  machine.write(device() / "current_link_width", "4\n");
  machine.write(device() / "max_link_speed", "5.0 GT/s PCIe\n");
  EXPECT_EQ(run(&check_pcie).state, State::warning);
  machine.write(device() / "current_link_speed", "Unknown\n");
  EXPECT_EQ(run(&check_pcie).state, State::unknown);
}

TEST_F(PortChecks, ALinkThatSleeps) {
  EXPECT_EQ(run(&check_aspm).state, State::ok) << "an 82576, on a kernel that does not show it";
  machine.write(device() / "link/l0s_aspm", "0\n");
  machine.write(device() / "link/l1_aspm", "1\n");
  EXPECT_EQ(run(&check_aspm).state, State::ok) << "an 82576 sleeps well";
  EXPECT_EQ(run(&check_aspm).found, "l1 on");
  machine.write(device() / "device", "0x10d3\n");
  const Finding finding = run(&check_aspm);
  EXPECT_EQ(finding.state, State::warning);
  EXPECT_THAT(finding.found, HasSubstr("an 82574L is known to hang"));
  EXPECT_EQ(command_of(finding), "echo 0 | tee " + (device() / "link/l1_aspm").string() + " > /dev/null");
  EXPECT_TRUE(is_safe(finding));
  machine.write(device() / "link/l1_aspm", "0\n");
  EXPECT_EQ(run(&check_aspm).found, "off");
  std::filesystem::remove_all(device() / "link");
  EXPECT_EQ(run(&check_aspm).state, State::unknown);
}

TEST_F(PortChecks, FirmwareThatLeavesThePortAlone) {
  set<hw::igb::FWSM>(0x8004);
  set<hw::igb::SW_FW_SYNC>(0x00010000);
  const Finding finding = run(&check_firmware);
  EXPECT_EQ(finding.state, State::ok);
  EXPECT_EQ(finding.found, "mode 2, valid, holds 0x1 of SW_FW_SYNC; receives no frames from this port");
}

TEST_F(PortChecks, AManagementController) {
  set<hw::igb::MANC>(1U << 17U);
  EXPECT_EQ(run(&check_firmware).state, State::warning);
  set<hw::igb::MANC>(1U << 21U);
  EXPECT_EQ(run(&check_firmware).state, State::warning);
  EXPECT_THAT(run(&check_firmware).found, HasSubstr("management controller"));
  set<hw::igb::MANC>(1U << 18U);
  EXPECT_EQ(run(&check_firmware).state, State::error);
  EXPECT_THAT(run(&check_firmware).found, HasSubstr("management session"));
}

TEST_F(PortChecks, FirmwareOfOtherCards) {
  machine.write(device() / "device", "0x1041\n");
  EXPECT_EQ(run(&check_firmware).state, State::unknown);
  machine.write(device() / "vendor", "0x1af4\n");
  EXPECT_EQ(run(&check_firmware).state, State::ok);
}

TEST_F(PortChecks, FirmwareOfASleepingCardIsNotRead) {
  machine.write(device() / "power_state", "D3hot\n");
  EXPECT_EQ(run(&check_firmware).state, State::unknown);
  EXPECT_THAT(run(&check_firmware).found, HasSubstr("low power"));
  machine.write(device() / "power_state", "D0\n");
  EXPECT_EQ(run(&check_firmware).state, State::ok);
  machine.write(device() / "enable", "0\n");
  EXPECT_THAT(run(&check_firmware).found, HasSubstr("disabled"));
}

TEST_F(PortChecks, RegistersThatCannotBeRead) {
  set<hw::igb::STATUS>(0xFFFFFFFF);
  EXPECT_EQ(run(&check_firmware).state, State::unknown) << "as of a removed card";
  machine.write(device() / "resource0", "short");
  EXPECT_THAT(run(&check_firmware).found, HasSubstr("too short"));
  std::filesystem::remove(device() / "resource0");
  EXPECT_EQ(run(&check_firmware).state, State::unknown);
  machine.write(device() / "device", "0x15f3\n");
  EXPECT_THAT(run(&check_firmware).found, HasSubstr("the drivers igb and e1000e only"));
}

TEST_F(PortChecks, ThisProcessRunsOnAnotherNode) {
  machine.write(machine.paths.proc / "self/status", "Name:\tx\nCpus_allowed_list:\t0-1\nMems:\t0\n");
  const Finding finding = run(&check_numa);
  EXPECT_EQ(finding.state, State::warning);
  EXPECT_EQ(command_of(finding), "taskset -cp 2-3 $$");
  EXPECT_FALSE(needs_root(finding));
}

TEST_F(PortChecks, NodesThatSayLess) {
  const auto nodes = machine.paths.sys / "devices/system/node";
  machine.write(device() / "numa_node", "-1\n");
  EXPECT_EQ(run(&check_numa).state, State::unknown);
  machine.write(device() / "numa_node", "2\n");
  machine.write(nodes / "node2/cpulist", "\n");
  EXPECT_THAT(run(&check_numa).found, HasSubstr("no CPUs"));
  std::filesystem::remove_all(nodes / "node1");
  EXPECT_EQ(run(&check_numa).state, State::ok) << "one node with CPUs";
}

TEST_F(PortChecks, LinkOfTheKernelsInterface) {
  give_to_kernel();
  Finding finding = run(&check_link);
  EXPECT_EQ(finding.state, State::unknown) << "the interface is down";
  EXPECT_EQ(command_of(finding), "ip link set eth1 up");
  machine.write(device() / "net/eth1/carrier", "0\n");
  EXPECT_EQ(run(&check_link).state, State::warning);
  machine.write(device() / "net/eth1/carrier", "1\n");
  machine.write(device() / "net/eth1/speed", "1000\n");
  EXPECT_THAT(run(&check_link).found, HasSubstr("eth1 is up, 1000 Mb/s"));
}

TEST_F(PortChecks, LinkOfAVirtioCard) {
  bind("virtio-pci");
  machine.write(device() / "virtio3/net/eth5/carrier", "1\n");
  EXPECT_EQ(run(&check_link).found, "eth5 is up");
}

TEST_F(PortChecks, LinkOfAPortThatNobodyStarted) {
  const Finding finding = run(&check_link);
  EXPECT_EQ(finding.state, State::unknown);
  EXPECT_EQ(command_of(finding), "pollux doctor --start 0000:01:00.0");
}

}  // namespace
}  // namespace pollux::tool::doctor
