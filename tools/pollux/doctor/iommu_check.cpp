// SPDX-License-Identifier: BSD-3-Clause
// The IOMMU: whether the machine has one, whether the kernel uses it, and whether it covers the port.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <string>

#include "base/shell_words.hpp"
#include "doctor/checks.hpp"
#include "doctor/vfio_files.hpp"
#include "hw/virtio/features.hpp"
#include "pci/sysfs.hpp"

namespace pollux::tool::doctor {
namespace {

namespace sysfs = pci::sysfs;

/// What the firmware's tables say about the machine's IOMMU.
struct Firmware {
  const char* name;       ///< of the technique; null: the firmware announces no IOMMU
  const char* parameter;  ///< of the kernel
};

// The ACPI tables are named DMAR (Intel) and IVRS (AMD). Linux, drivers/iommu/intel/dmar.c and
// drivers/iommu/amd/init.c.
Firmware read_firmware(const pci::SystemPaths& paths) {
  const auto tables = paths.sys / "firmware/acpi/tables";
  if (sysfs::exists(tables / "DMAR")) return {"Intel VT-d", "intel_iommu=on"};
  if (sysfs::exists(tables / "IVRS")) return {"AMD-Vi", "amd_iommu=on"};
  return {nullptr, nullptr};
}

/// Whether the first processor says that a hypervisor runs it, as all common ones let it on x86.
bool is_virtual_machine(const pci::SystemPaths& paths) {
  const std::string text = sysfs::read_text(paths.proc / "cpuinfo").value_or("");
  return text.find(" hypervisor") != std::string::npos;
}

/// How a port is used without an IOMMU; an interface that the kernel drives needs none.
std::string ways_without(const Subject& subject) {
  const auto names = subject.device ? sysfs::interfaces(subject.paths(), subject.device->address)
                                    : std::vector<std::filesystem::path>{};
  return fmt::format(
      "without an IOMMU: leave the card to the kernel's driver and open xdp:{} (share/doc/pollux/xdp.md); as a last "
      "resort, where "
      "the kernel has VFIO's no-IOMMU mode, vfio:ADDRESS?via=noiommu",
      names.empty() ? "IFNAME" : shell_quoted(names.front().filename().string()));
}

void advise_to_enable(const Subject& subject, Finding& finding) {
  const Firmware firmware = read_firmware(subject.paths());
  if (firmware.name == nullptr) {
    finding.advice =
        fmt::format("{}; then boot with the kernel parameter intel_iommu=on or amd_iommu=on; {}",
                    is_virtual_machine(subject.paths()) ? "the virtual machine's host has to give it one, QEMU by "
                                                          "-machine q35 -device intel-iommu,intremap=on and, "
                                                          "for each virtio card, iommu_platform=on"
                                                        : "enable VT-d (Intel) or AMD-Vi (AMD) in the firmware's setup",
                    ways_without(subject));
    return;
  }
  finding.found += fmt::format("; the firmware announces {}", firmware.name);
  finding.advice = fmt::format("boot with the kernel parameter {}", firmware.parameter);
  if (!sysfs::exists(subject.paths().etc / "default/grub")) return;
  finding.remedy = Remedy{fmt::format(
      "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&{} /' /etc/default/grub && update-grub && reboot", firmware.parameter)};
}

/// A virtio device without ACCESS_PLATFORM uses physical addresses in spite of the IOMMU (VIRTIO 1.3, 6.1). The kernel
/// shows the features while its own driver has the device: Linux, drivers/virtio/virtio.c, features_show.
bool bypasses_iommu(const Subject& subject) {
  constexpr std::size_t kBit = std::countr_zero(hw::virtio::feature::kAccessPlatform);
  const auto directory = sysfs::device(subject.paths(), subject.device->address);
  for (const std::string& child : sysfs::entries(directory)) {
    if (!child.starts_with("virtio")) continue;
    const std::string features = sysfs::read_text(directory / child / "features").value_or("");
    if (features.size() > kBit && features[kBit] == '0') return true;
  }
  return false;
}

}  // namespace

Finding check_iommu(const Subject& subject) {
  const auto groups = real_groups(subject.paths());
  if (!groups.empty()) {
    const bool covered = !subject.device || (subject.device->iommu_group &&
                                             !is_noiommu_group(subject.paths(), *subject.device->iommu_group));
    const auto units = sysfs::entries(subject.paths().sys / "class/iommu");
    const std::string on =
        fmt::format("on{}{}, {} groups", units.empty() ? "" : ": ", fmt::join(units, ", "), groups.size());
    if (covered && subject.device && bypasses_iommu(subject)) {
      return {State::error,
              on + ", but the device bypasses it: it lacks ACCESS_PLATFORM",
              {},
              "offer that feature, with QEMU by iommu_platform=on"};
    }
    if (covered) return {State::ok, on};
    return {State::error, on + ", but none of them has the port", {}, "no IOMMU covers its slot: use another slot"};
  }
  const bool without = noiommu_mode(subject.paths()).value_or(false);
  Finding finding{without ? State::warning : State::error,
                  without ? "off; VFIO's no-IOMMU mode is on: the card can access all of this machine's memory"
                          : "off: there are no IOMMU groups"};
  advise_to_enable(subject, finding);
  return finding;
}

}  // namespace pollux::tool::doctor
