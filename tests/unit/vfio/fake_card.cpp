// SPDX-License-Identifier: BSD-3-Clause
// The fake kernel's devices: regions, configuration space and interrupts.
#include <linux/pci_regs.h>

#include <algorithm>
#include <cerrno>

#include "fake_kernel.hpp"

namespace pollux::vfio::test {
namespace {

constexpr unsigned kPowerCapability = 0x40;
constexpr unsigned kExpressCapability = 0xA0;
constexpr std::uint64_t region_offset(std::uint32_t index) { return std::uint64_t{index} << 40U; }

}  // namespace

FakeCard::FakeCard() {
  constexpr std::uint32_t kReadWrite = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
  regions[VFIO_PCI_BAR0_REGION_INDEX] = {kReadWrite | VFIO_REGION_INFO_FLAG_MMAP, 0x20000};
  regions[VFIO_PCI_BAR2_REGION_INDEX] = {kReadWrite, 0x20};
  regions[VFIO_PCI_BAR3_REGION_INDEX] = {kReadWrite | VFIO_REGION_INFO_FLAG_MMAP, 0x4000};
  regions[VFIO_PCI_CONFIG_REGION_INDEX] = {kReadWrite, 4096};
  irqs[VFIO_PCI_INTX_IRQ_INDEX] = {sizeof(vfio_irq_info), VFIO_IRQ_INFO_EVENTFD, 0, 1};
  irqs[VFIO_PCI_MSIX_IRQ_INDEX] = {sizeof(vfio_irq_info), VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE, 2, 10};
  irqs[VFIO_PCI_ERR_IRQ_INDEX] = {sizeof(vfio_irq_info), VFIO_IRQ_INFO_EVENTFD, 3, 1};
  irqs[VFIO_PCI_REQ_IRQ_INDEX] = {sizeof(vfio_irq_info), VFIO_IRQ_INFO_EVENTFD, 4, 1};
  set16(PCI_VENDOR_ID, 0x8086);
  set16(PCI_DEVICE_ID, 0x10c9);
  set16(PCI_STATUS, PCI_STATUS_CAP_LIST);
  set16(PCI_SUBSYSTEM_VENDOR_ID, 0x8086);
  set16(PCI_SUBSYSTEM_ID, 0xa03c);
  config[PCI_REVISION_ID] = 1;
  config[PCI_CAPABILITY_LIST] = kPowerCapability;
  config[kPowerCapability] = PCI_CAP_ID_PM;
  config[kPowerCapability + 1] = kExpressCapability;
  config[kExpressCapability] = PCI_CAP_ID_EXP;
  set16(kExpressCapability + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_RELAX_EN);
}

void FakeCard::set16(std::size_t offset, unsigned value) {
  config[offset] = static_cast<std::uint8_t>(value);
  config[offset + 1] = static_cast<std::uint8_t>(value >> 8U);
}

unsigned FakeCard::get16(std::size_t offset) const { return config[offset] | unsigned{config[offset + 1]} << 8U; }

int FakeKernel::device_ioctl(FakeCard& card, const std::string& name, unsigned long request, void* argument) {
  if (request == VFIO_DEVICE_GET_INFO) {
    if (const int error = enter("DEVICE_GET_INFO"); error < 0) return error;
    auto& info = *static_cast<vfio_device_info*>(argument);
    sizes_.emplace_back("DEVICE_GET_INFO", info.argsz);
    if (info.argsz < offsetof(vfio_device_info, cap_offset)) return -EINVAL;
    info.flags = card.flags;
    info.num_regions = card.region_count;
    info.num_irqs = VFIO_PCI_NUM_IRQS;
    return 0;
  }
  if (request == VFIO_DEVICE_GET_REGION_INFO) return region_info(card, argument);
  if (request == VFIO_DEVICE_GET_IRQ_INFO) {
    if (const int error = enter("DEVICE_GET_IRQ_INFO"); error < 0) return error;
    auto& info = *static_cast<vfio_irq_info*>(argument);
    sizes_.emplace_back("DEVICE_GET_IRQ_INFO", info.argsz);
    const auto found = card.irqs.find(info.index);
    if (info.argsz < sizeof info || found == card.irqs.end()) return -EINVAL;
    info = found->second;
    return 0;
  }
  if (request == VFIO_DEVICE_SET_IRQS) return set_irqs(name, argument);
  if (request == VFIO_DEVICE_RESET) {
    if (const int error = enter("DEVICE_RESET"); error < 0) return error;
    return (card.flags & VFIO_DEVICE_FLAGS_RESET) != 0 ? 0 : -EINVAL;
  }
  return -ENOTTY;
}

int FakeKernel::region_info(const FakeCard& card, void* argument) {
  if (const int error = enter("DEVICE_GET_REGION_INFO"); error < 0) return error;
  auto& info = *static_cast<vfio_region_info*>(argument);
  sizes_.emplace_back("DEVICE_GET_REGION_INFO", info.argsz);
  if (info.argsz < sizeof info || info.index >= card.region_count) return -EINVAL;
  const auto found = card.regions.find(info.index);
  const FakeRegion region = found == card.regions.end() ? FakeRegion{} : found->second;
  info.flags = region.flags | (region.capabilities.empty() ? 0U : std::uint32_t{VFIO_REGION_INFO_FLAG_CAPS});
  info.size = region.size;
  info.offset = region_offset(info.index);
  info.cap_offset = 0;
  const auto whole = static_cast<std::uint32_t>(sizeof info + region.capabilities.size());
  if (!region.capabilities.empty() && info.argsz >= whole) {
    info.cap_offset = sizeof info;
    std::memcpy(static_cast<std::byte*>(argument) + sizeof info, region.capabilities.data(),
                region.capabilities.size());
  }
  info.argsz = whole;
  return 0;
}

int FakeKernel::set_irqs(const std::string& name, void* argument) {
  vfio_irq_set header{};
  std::memcpy(&header, argument, sizeof header);
  const bool arming = header.flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
  if (const int error = enter(arming ? "arm irqs" : "disarm irqs"); error < 0) return error;
  sizes_.emplace_back("DEVICE_SET_IRQS", header.argsz);
  auto& events = armed_[name][header.index];
  if (!arming) {
    if (header.flags != (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) || header.count != 0) return -EINVAL;
    events.clear();
    return 0;
  }
  // Before Linux 6.5 an enabled index could not get more vectors.
  if (header.argsz < sizeof header + header.count * sizeof(int) || header.count == 0 || !events.empty()) return -EINVAL;
  if (vectors_granted >= 0 && header.index == VFIO_PCI_MSIX_IRQ_INDEX) return vectors_granted;
  events.resize(header.count);
  std::memcpy(events.data(), static_cast<std::byte*>(argument) + sizeof header, header.count * sizeof(int));
  for (const int event : events) {
    if (!handles_.contains(event)) return -EBADF;
  }
  return 0;
}

long FakeKernel::pread(int descriptor, void* buffer, std::size_t size, std::uint64_t offset) {
  const auto found = handles_.find(descriptor);
  if (found == handles_.end()) return -EBADF;
  if (const int error = enter("pread"); error < 0) return error;
  if (found->second.kind == Kind::pagemap) return read_pagemap(buffer, size, offset);
  if (found->second.kind == Kind::file) {
    const std::size_t length = std::min(size, process_status.size());
    std::memcpy(buffer, process_status.data(), length);
    return static_cast<long>(length);
  }
  FakeCard& card = cards.at(found->second.name);
  const std::uint64_t place = offset - region_offset(VFIO_PCI_CONFIG_REGION_INDEX);
  if (place + size > card.config.size()) return -EINVAL;
  std::memcpy(buffer, card.config.data() + place, size);
  if (card.silent && place >= PCI_COMMAND) std::memset(buffer, 0xff, size);
  if (place == kPowerCapability + PCI_PM_CTRL && card.reads_asleep > 0) {
    --card.reads_asleep;
    static_cast<std::uint8_t*>(buffer)[0] |= 3;
  }
  return static_cast<long>(size);
}

long FakeKernel::pwrite(int descriptor, const void* buffer, std::size_t size, std::uint64_t offset) {
  const auto found = handles_.find(descriptor);
  if (found == handles_.end()) return -EBADF;
  if (const int error = enter("pwrite"); error < 0) return error;
  FakeCard& card = cards.at(found->second.name);
  const std::uint64_t place = offset - region_offset(VFIO_PCI_CONFIG_REGION_INDEX);
  if (place + size > card.config.size()) return -EINVAL;
  const unsigned before = card.get16(PCI_COMMAND);
  const unsigned power = card.get16(kPowerCapability + PCI_PM_CTRL);
  std::memcpy(card.config.data() + place, buffer, size);
  // Linux, vfio_pci_config.c, init_pci_cap_pm_perm and vfio_pm_config_write: only the state can be written.
  const unsigned state = card.get16(kPowerCapability + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK;
  card.set16(kPowerCapability + PCI_PM_CTRL, card.stays_in_d0 ? power : state);
  const unsigned stuck = card.stuck_command_bits;
  card.set16(PCI_COMMAND, (card.get16(PCI_COMMAND) & ~stuck) | (before & stuck));
  return static_cast<long>(size);
}

}  // namespace pollux::vfio::test
