// SPDX-License-Identifier: BSD-3-Clause
// Each fault of a machine, and what the check says about it.
#include "fixture.hpp"

namespace pollux::tool::doctor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct MachineChecks : Machine {};

TEST_F(MachineChecks, AHealthyMachineIsOk) {
  for (const Check& check : all_checks()) {
    if (check.scope == Scope::port) continue;
    EXPECT_EQ(run(check.run).state, State::ok) << check.name;
  }
}

TEST_F(MachineChecks, SysfsReadOnly) {
  machine.write(machine.paths.proc / "self/mounts", "sysfs /sys sysfs ro,nosuid 0 0\n");
  const Finding finding = run(&check_mounts);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_EQ(command_of(finding), "mount -o remount,rw /sys");
  EXPECT_FALSE(is_safe(finding));
}

TEST_F(MachineChecks, SysfsNotMounted) {
  machine.write(machine.paths.proc / "self/mounts", "proc /proc proc rw 0 0\n");
  EXPECT_EQ(run(&check_mounts).state, State::error);
  std::filesystem::remove(machine.paths.proc / "self/mounts");
  EXPECT_EQ(run(&check_mounts).state, State::unknown);
}

TEST_F(MachineChecks, HugetlbfsIsNotNeeded) {
  machine.write(machine.paths.proc / "self/mounts", "sysfs /sys sysfs rw 0 0\n");
  EXPECT_EQ(run(&check_mounts).state, State::ok);
  EXPECT_THAT(run(&check_mounts).found, HasSubstr("not mounted, and not needed"));
}

TEST_F(MachineChecks, IommuOffAlthoughTheFirmwareHasOne) {
  remove_iommu();
  machine.write(machine.paths.sys / "firmware/acpi/tables/DMAR", "");
  Finding finding = run(&check_iommu);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("off"), HasSubstr("Intel VT-d")));
  EXPECT_THAT(finding.advice, HasSubstr("intel_iommu=on"));
  EXPECT_EQ(command_of(finding), "");
  machine.write(machine.paths.etc / "default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
  finding = run(&check_iommu);
  EXPECT_THAT(command_of(finding), AllOf(HasSubstr("intel_iommu=on"), HasSubstr("update-grub"), HasSubstr("reboot")));
  EXPECT_FALSE(is_safe(finding)) << "it restarts the machine";
}

TEST_F(MachineChecks, IommuOfAmd) {
  remove_iommu();
  machine.write(machine.paths.sys / "firmware/acpi/tables/IVRS", "");
  EXPECT_THAT(run(&check_iommu).advice, AllOf(HasSubstr("amd_iommu=on"), Not(HasSubstr("intel"))));
}

TEST_F(MachineChecks, NoIommuInTheFirmware) {
  remove_iommu();
  const Finding finding = run(&check_iommu);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.advice,
              AllOf(HasSubstr("firmware's setup"), HasSubstr("intel_iommu=on"), Not(HasSubstr("QEMU"))));
  EXPECT_THAT(finding.advice, AllOf(HasSubstr("xdp:IFNAME"), HasSubstr("last resort"), HasSubstr("?via=noiommu")));
}

TEST_F(MachineChecks, NoIommuInAVirtualMachine) {
  remove_iommu();
  machine.write(machine.paths.proc / "cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 x2apic hypervisor lahf_lm\n");
  std::filesystem::create_directories(device() / "virtio3/net/ens4");
  EXPECT_THAT(run(&check_iommu).advice,
              AllOf(HasSubstr("-device intel-iommu,intremap=on"), HasSubstr("q35"), HasSubstr("iommu_platform=on"),
                    HasSubstr("intel_iommu=on"), HasSubstr("xdp:ens4"), Not(HasSubstr("firmware's setup"))));
  EXPECT_THAT(run(&check_iommu, false).advice, HasSubstr("xdp:IFNAME")) << "without a port";
}

TEST_F(MachineChecks, IommuCoversOtherDevicesOnly) {
  std::filesystem::remove(device() / "iommu_group");
  const Finding finding = run(&check_iommu);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.advice, HasSubstr("another slot"));
  EXPECT_EQ(run(&check_iommu, false).state, State::ok) << "without a port, any group is enough";
}

// A character for each of the 64 features.
TEST_F(MachineChecks, VirtioDeviceThatBypassesTheIommu) {
  const auto features = device() / "virtio3/features";
  machine.write(features, std::string(33, '1') + "0" + std::string(30, '1') + "\n");
  const Finding finding = run(&check_iommu);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, HasSubstr("lacks ACCESS_PLATFORM"));
  EXPECT_THAT(finding.advice, HasSubstr("iommu_platform=on"));
  EXPECT_EQ(run(&check_iommu, false).state, State::ok) << "without a port";
  machine.write(features, std::string(32, '0') + "11" + std::string(30, '0') + "\n");
  EXPECT_EQ(run(&check_iommu).state, State::ok);
}

TEST_F(MachineChecks, NoIommuModeIsAWarning) {
  remove_iommu();
  noiommu("Y");
  EXPECT_EQ(run(&check_iommu).state, State::warning);
  EXPECT_EQ(run(&check_access_modes).state, State::warning);
  noiommu("N");
  EXPECT_EQ(run(&check_iommu).state, State::error);
  EXPECT_EQ(run(&check_access_modes).state, State::error);
  EXPECT_THAT(run(&check_access_modes).found, HasSubstr("no-IOMMU: off"));
}

TEST_F(MachineChecks, AGroupOfTheNoIommuModeIsNoIommu) {
  machine.write(machine.paths.sys / "kernel/iommu_groups/7/name", "vfio-noiommu\n");
  EXPECT_EQ(run(&check_iommu).state, State::error);
}

TEST_F(MachineChecks, ModulesNotLoaded) {
  machine.unload_driver("vfio-pci");
  Finding finding = run(&check_modules);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_EQ(command_of(finding), "modprobe -a vfio-pci");
  EXPECT_TRUE(is_safe(finding));
  std::filesystem::remove_all(machine.paths.sys / "module");
  std::filesystem::remove(machine.paths.dev / "vfio/vfio");
  finding = run(&check_modules);
  EXPECT_EQ(command_of(finding), "modprobe -a vfio vfio_iommu_type1 vfio-pci");
  EXPECT_TRUE(needs_root(finding));
}

TEST_F(MachineChecks, Type1IsNotNeededWithIommufd) {
  std::filesystem::remove_all(machine.paths.sys / "module/vfio_iommu_type1");
  EXPECT_EQ(command_of(run(&check_modules)), "modprobe -a vfio_iommu_type1");
  machine.write(machine.paths.dev / "iommu", "");
  EXPECT_EQ(run(&check_modules).state, State::ok);
}

TEST_F(MachineChecks, NoAccessMode) {
  std::filesystem::remove(machine.paths.dev / "vfio/vfio");
  const Finding finding = run(&check_access_modes);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("no /dev/iommu"), HasSubstr("no /dev/vfio/vfio")));
  machine.write(machine.paths.dev / "iommu", "");
  EXPECT_EQ(run(&check_access_modes).state, State::ok) << "IOMMUFD alone is enough";
}

TEST_F(MachineChecks, NoHugePagesOnThePortsNode) {
  pages("devices/system/node/node1/hugepages", 0, 0);
  const Finding finding = run(&check_huge_pages);
  EXPECT_EQ(finding.state, State::warning);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("node 0: 30 of 32 of 2 MiB free"), HasSubstr("node 1: 0 of 0"),
                                   HasSubstr("the port is on node 1")));
  EXPECT_THAT(command_of(finding), AllOf(HasSubstr("echo 64 > "), HasSubstr("node1/hugepages/hugepages-2048kB")));
  EXPECT_TRUE(is_safe(finding));
  EXPECT_EQ(run(&check_huge_pages, false).state, State::ok) << "another node has some";
}

TEST_F(MachineChecks, AllHugePagesInUse) {
  pages("devices/system/node/node1/hugepages", 32, 0);
  EXPECT_THAT(command_of(run(&check_huge_pages)), HasSubstr("echo 96 > ")) << "pages in use stay";
}

TEST_F(MachineChecks, HugePagesAreNotTakenFromAFullMachine) {
  pages("devices/system/node/node1/hugepages", 0, 0);
  machine.write(machine.paths.proc / "meminfo", "MemAvailable:    200000 kB\n");
  const Finding finding = run(&check_huge_pages);
  EXPECT_NE(command_of(finding), "");
  EXPECT_FALSE(is_safe(finding));
}

TEST_F(MachineChecks, WithoutIommuHugePagesAreNecessary) {
  pages("devices/system/node/node1/hugepages", 0, 0);
  remove_iommu();
  EXPECT_EQ(run(&check_huge_pages).state, State::error);
}

TEST_F(MachineChecks, KernelWithoutHugePages) {
  std::filesystem::remove_all(machine.paths.sys / "kernel/mm");
  EXPECT_EQ(run(&check_huge_pages).state, State::warning);
}

TEST_F(MachineChecks, MemlockTooSmall) {
  caller.locks = LockLimits{8ULL << 20U, 8ULL << 20U, false};
  Finding finding = run(&check_memlock);
  EXPECT_EQ(finding.state, State::error);
  EXPECT_THAT(finding.found,
              AllOf(HasSubstr("alice may lock 8 MiB"),
                    HasSubstr("12 MiB with default settings in huge pages, 18 MiB in ordinary ones, 66 MiB")));
  EXPECT_EQ(command_of(finding), "prlimit --pid $$ --memlock=69206016:69206016");
  EXPECT_TRUE(needs_root(finding));
  caller.locks->hard.reset();
  finding = run(&check_memlock);
  EXPECT_EQ(command_of(finding), "ulimit -l 67584");
  EXPECT_FALSE(needs_root(finding));
}

TEST_F(MachineChecks, MemlockForAPortWithDefaultsOnly) {
  caller.locks = LockLimits{16ULL << 20U, 16ULL << 20U, false};
  EXPECT_EQ(run(&check_memlock).state, State::warning);
}

TEST_F(MachineChecks, MemlockThatDoesNotApply) {
  caller.locks = LockLimits{0, 0, true};
  EXPECT_EQ(run(&check_memlock).state, State::ok);
  caller.locks = LockLimits{};
  EXPECT_EQ(run(&check_memlock).state, State::ok) << "unlimited";
  caller.locks.reset();
  EXPECT_EQ(run(&check_memlock).state, State::unknown);
}

TEST_F(MachineChecks, GovernorSavesPower) {
  machine.write(machine.paths.sys / "devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n");
  const Finding finding = run(&check_governor);
  EXPECT_EQ(finding.state, State::warning);
  EXPECT_THAT(finding.found, AllOf(HasSubstr("powersave on 1 CPUs"), HasSubstr("performance on 3 CPUs")));
  EXPECT_THAT(command_of(finding), HasSubstr("scaling_governor"));
  EXPECT_TRUE(is_safe(finding));
}

TEST_F(MachineChecks, NoGovernorInAVirtualMachine) {
  for (int cpu = 0; cpu < 4; ++cpu) {
    std::filesystem::remove_all(machine.paths.sys / "devices/system/cpu" / ("cpu" + std::to_string(cpu)));
  }
  EXPECT_EQ(run(&check_governor).state, State::unknown);
}

TEST_F(MachineChecks, NoIsolatedCpu) {
  const auto cpus = machine.paths.sys / "devices/system/cpu";
  machine.write(cpus / "isolated", "\n");
  const Finding finding = run(&check_isolation);
  EXPECT_EQ(finding.state, State::warning);
  EXPECT_THAT(finding.advice, HasSubstr("isolcpus=3"));
  machine.write(cpus / "online", "0\n");
  EXPECT_THAT(run(&check_isolation).found, HasSubstr("one CPU"));
  machine.write(cpus / "online", "0-\n");
  EXPECT_EQ(run(&check_isolation).state, State::unknown) << "a malformed list";
}

TEST_F(MachineChecks, CardsOfTheMachine) {
  EXPECT_EQ(run(&check_card, false).found, "0000:01:00.0");
  EXPECT_THAT(run(&check_card, false).advice, HasSubstr("pollux doctor 0000:01:00.0"));
  machine.write(device() / "device", "0x15f3\n");
  EXPECT_EQ(run(&check_card, false).state, State::error);
  EXPECT_EQ(run(&check_card).state, State::error);
}

}  // namespace
}  // namespace pollux::tool::doctor
