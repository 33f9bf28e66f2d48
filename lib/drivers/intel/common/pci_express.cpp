// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/common/pci_express.hpp"

#include "device/capability_list.hpp"

namespace pollux::drivers::intel {
namespace {

// PCI Express Base 2.0, 7.8: names and values as in Linux, include/uapi/linux/pci_regs.h.
constexpr std::uint8_t kExpress = 0x10;
constexpr std::uint32_t kExpressVersion = 0x0F;
constexpr std::uint32_t kDeviceControl2 = 0x28;  // from capability version 2 on
constexpr std::uint32_t kCompletionTimeout = 0x0F;
constexpr std::uint32_t k16To55Milliseconds = 0x05;

}  // namespace

Result<void> raise_completion_timeout(Device& device) {
  auto express = find_capability(
      kExpress, [&device](std::uint32_t offset, unsigned width) { return device.read_config(offset, width); });
  if (!express) return pass_on(std::move(express));
  if (!*express || **express + kDeviceControl2 + 2 > 0x100) return {};
  const std::uint32_t at = **express;
  const auto flags = device.read_config(at + 2, 2);
  if (!flags) return tl::unexpected<Error>(flags.error());
  if ((*flags & kExpressVersion) < 2 || *flags == 0xFFFF) return {};
  const auto control = device.read_config(at + kDeviceControl2, 2);
  if (!control) return tl::unexpected<Error>(control.error());
  if ((*control & kCompletionTimeout) != 0) return {};
  return device.write_config(at + kDeviceControl2, 2, *control | k16To55Milliseconds);
}

}  // namespace pollux::drivers::intel
