// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/pci_bus.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "device/capability_list.hpp"

namespace pollux::qtest {
namespace {

// The host bridge's PCIEXBAR register sets the memory window onto all configuration spaces: 256 MiB, bit 0 enables it.
// It is written through the ports of PCI configuration mechanism 1. QEMU, include/hw/pci-host/q35.h.
constexpr std::uint32_t kHostBridge = 0x29C08086;
constexpr std::uint32_t kWindowRegister = 0x60;
constexpr std::uint64_t kWindow = 0xB0000000;
// The BARs are placed between that window and the interrupt controllers.
constexpr std::uint64_t kFirstBar = 0xC0000000;
constexpr std::uint64_t kLastBar = 0xFE000000;

// PCI Local Bus 3.0, 6.1 and 6.2.5, as given in Linux, include/uapi/linux/pci_regs.h.
constexpr std::uint32_t kFirstBarRegister = 0x10;
constexpr std::uint32_t kBarIo = 1;
constexpr std::uint32_t kBarType = 0x6;
constexpr std::uint32_t kBar64 = 0x4;
constexpr std::uint32_t kBarFlags = 0xF;

std::uint64_t window_address(unsigned slot, std::uint32_t offset) { return kWindow | slot << 15 | offset; }

std::string_view suffix(unsigned width) { return width == 1 ? "b" : width == 2 ? "w" : "l"; }

tl::unexpected<Error> fail_no_reply() {
  return fail(ErrorCode::device_removed, "QEMU no longer responds",
              "close its ports and open them again, which starts a new QEMU");
}

}  // namespace

Result<void> PciBus::enable_config_window() {
  next_ = kFirstBar;
  connection_->post("outl 0xcf8 0x80000000");
  const auto bridge = connection_->ask("inl 0xcfc");
  if (!bridge) return fail_no_reply();
  if (*bridge != kHostBridge) {
    return fail(ErrorCode::not_supported,
                fmt::format("QEMU's host bridge is {:#010x} instead of {:#010x}", *bridge, kHostBridge),
                "start QEMU with -machine q35");
  }
  connection_->post(fmt::format("outl 0xcf8 {:#x}", 0x80000000 | (kWindowRegister + 4)));
  connection_->post("outl 0xcfc 0");
  connection_->post(fmt::format("outl 0xcf8 {:#x}", 0x80000000 | kWindowRegister));
  connection_->post(fmt::format("outl 0xcfc {:#x}", kWindow | 1));
  const auto seen = read(0, 0, 4);
  if (!seen) return pass_on(Result<std::uint32_t>(seen));
  if (*seen == kHostBridge) return {};
  return fail(ErrorCode::device_fault, "QEMU's configuration window cannot be enabled", "use another version of QEMU");
}

Result<std::uint32_t> PciBus::read(unsigned slot, std::uint32_t offset, unsigned width) {
  const auto value = connection_->ask(fmt::format("read{} {:#x}", suffix(width), window_address(slot, offset)));
  if (!value) return fail_no_reply();
  return static_cast<std::uint32_t>(*value);
}

Result<void> PciBus::write(unsigned slot, std::uint32_t offset, unsigned width, std::uint32_t value) {
  connection_->post(fmt::format("write{} {:#x} {:#x}", suffix(width), window_address(slot, offset), value));
  // A configuration write is not posted, so wait for its completion by a read.
  auto settled = read(slot, offset, width);
  if (!settled) return pass_on(std::move(settled));
  return {};
}

Result<BarLayout> PciBus::assign(unsigned slot) {
  BarLayout layout;
  for (unsigned bar = 0; bar < layout.size.size(); ++bar) {
    const std::uint32_t offset = kFirstBarRegister + bar * 4;
    auto before = read(slot, offset, 4);
    if (!before) return pass_on(std::move(before));
    if ((*before & kBarIo) != 0) continue;
    auto size = read_bar_size(slot, offset);
    if (!size) return pass_on(std::move(size));
    if (*size != 0) {
      auto at = allocate_address(*size);
      if (!at) return pass_on(std::move(at));
      layout.address[bar] = *at;
      layout.size[bar] = *size;
    }
    if ((*before & kBarType) == kBar64) ++bar;  // skip the upper half of the address, which stays 0
  }
  if (auto placed = restore(slot, layout); !placed) return pass_on(std::move(placed));
  return layout;
}

Result<std::uint32_t> PciBus::read_bar_size(unsigned slot, std::uint32_t offset) {
  if (auto written = write(slot, offset, 4, ~0U); !written) return pass_on(std::move(written));
  auto mask = read(slot, offset, 4);
  if (!mask) return mask;
  return ~(*mask & ~kBarFlags) + 1;
}

Result<std::uint64_t> PciBus::allocate_address(std::uint64_t size) {
  const std::uint64_t at = (next_ + size - 1) / size * size;
  if (at + size > kLastBar) {
    return fail(ErrorCode::no_memory, "QEMU's cards need more address space than is available",
                "start QEMU with fewer cards");
  }
  next_ = at + size;
  return at;
}

Result<void> PciBus::restore(unsigned slot, const BarLayout& layout) {
  for (unsigned bar = 0; bar < layout.size.size(); ++bar) {
    if (layout.size[bar] == 0) continue;
    auto placed = write(slot, kFirstBarRegister + bar * 4, 4, static_cast<std::uint32_t>(layout.address[bar]));
    if (!placed) return placed;
  }
  auto command = read(slot, PCI_COMMAND, 2);
  if (!command) return pass_on(std::move(command));
  return write(slot, PCI_COMMAND, 2, *command | PCI_COMMAND_MEMORY);
}

Result<std::optional<std::uint32_t>> PciBus::find_capability(unsigned slot, std::uint8_t id) {
  return pollux::find_capability(
      id, [this, slot](std::uint32_t offset, unsigned width) { return read(slot, offset, width); });
}

}  // namespace pollux::qtest
