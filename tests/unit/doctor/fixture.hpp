// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "doctor/checks.hpp"
#include "pollux/mem/context.hpp"
#include "unit/host/fake_network.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::tool::doctor {

/// A healthy machine of two nodes with four CPUs: a port of its own group, bound to vfio-pci, and huge pages. A test
/// breaks one thing.
struct Machine : testing::Test {
  Machine() {
    make_kernel();
    make_memory();
    make_cpus();
    machine.load_driver("vfio-pci");
    bind("vfio-pci");
    machine.write(device() / "current_link_speed", "2.5 GT/s PCIe\n");
    machine.write(device() / "max_link_speed", "2.5 GT/s PCIe\n");
    machine.write(device() / "current_link_width", "4\n");
    machine.write(device() / "max_link_width", "4\n");
    machine.write(device() / "resource0", std::string(0x20000, '\0'));
    caller.may_open = [this](const std::filesystem::path& file) { return !forbidden.contains(file); };
  }

  void make_kernel() {
    machine.write(machine.paths.proc / "self/mounts",
                  "sysfs /sys sysfs rw,nosuid 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw 0 0\n");
    std::filesystem::create_directories(machine.paths.sys / "module/vfio");
    std::filesystem::create_directories(machine.paths.sys / "module/vfio_iommu_type1");
    machine.write(machine.paths.dev / "vfio/vfio", "");
    machine.write(machine.paths.dev / "vfio/7", "");
  }
  void make_memory() {
    machine.write(machine.paths.proc / "meminfo", "MemTotal: 9000000 kB\nMemAvailable:    8000000 kB\n");
    pages("kernel/mm/hugepages", 64, 60);
    pages("devices/system/node/node0/hugepages", 32, 30);
    pages("devices/system/node/node1/hugepages", 32, 30);
  }
  void make_cpus() {
    const auto system = machine.paths.sys / "devices/system";
    machine.write(system / "cpu/online", "0-3\n");
    machine.write(system / "cpu/isolated", "3\n");
    machine.write(system / "node/node0/cpulist", "0-1\n");
    machine.write(system / "node/node1/cpulist", "2-3\n");
    machine.write(machine.paths.proc / "self/status", "Name:\tx\nCpus_allowed_list:\t0-3\nMems:\t0\n");
    for (int cpu = 0; cpu < 4; ++cpu) {
      machine.write(system / ("cpu/cpu" + std::to_string(cpu)) / "cpufreq/scaling_governor", "performance\n");
    }
  }
  /// Sets the pages of 2 MiB below a directory of sysfs.
  void pages(const std::string& directory, int configured, int free) {
    const auto pool = machine.paths.sys / directory / "hugepages-2048kB";
    machine.write(pool / "nr_hugepages", std::to_string(configured) + "\n");
    machine.write(pool / "free_hugepages", std::to_string(free) + "\n");
  }
  /// Sets the port's driver; empty: none.
  void bind(const std::string& driver) {
    std::filesystem::remove(device() / "driver");
    if (driver.empty()) return;
    machine.load_driver(driver);
    std::filesystem::create_directory_symlink(machine.paths.sys / "bus/pci/drivers" / driver, device() / "driver");
  }
  /// Takes the IOMMU from the machine.
  void remove_iommu() {
    std::filesystem::remove_all(machine.paths.sys / "kernel/iommu_groups");
    std::filesystem::remove(device() / "iommu_group");
  }
  void noiommu(const std::string& value) {
    machine.write(machine.paths.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode", value + "\n");
  }

  [[nodiscard]] std::filesystem::path device() const { return machine.device(port); }
  [[nodiscard]] Finding run(Finding (*check)(const Subject&), bool with_port = true) {
    Subject subject{environment, caller};
    if (with_port) subject.device = pci::read_device(machine.paths, port).value();
    subject.others = others;
    return check(subject);
  }

  static std::string driver_of(std::uint16_t, std::uint16_t device) { return device == 0x10c9 ? "igb" : ""; }

  pci::test::FakeMachine machine;
  host::test::FakeNetwork network;
  pci::Address port = machine.add({.address = "0000:01:00.0", .group = 7});
  std::vector<pci::Address> others;  ///< bound together with it
  std::ostringstream out;
  std::ostringstream err;
  Context context;
  Environment environment{machine.paths, machine.clock, network, {}, &driver_of, out, err, context};
  std::set<std::filesystem::path> forbidden;  ///< files that the caller may not open
  Caller caller{"alice", 1000, LockLimits{128ULL << 20U, 128ULL << 20U, false}, {}};
};

/// The command that a finding prints; empty if there is none.
inline std::string command_of(const Finding& finding) { return finding.remedy ? finding.remedy->command : ""; }
inline bool is_safe(const Finding& finding) { return finding.remedy && !finding.remedy->steps.empty(); }
inline bool needs_root(const Finding& finding) { return finding.remedy && finding.remedy->needs_root; }

}  // namespace pollux::tool::doctor
