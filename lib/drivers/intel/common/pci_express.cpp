// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/common/pci_express.hpp"

namespace pollux::drivers::intel {
namespace {

// PCI Local Bus 3.0, 6.7, and PCI Express Base 2.0, 7.8: names and values as in Linux, include/uapi/linux/pci_regs.h.
constexpr std::uint32_t kStatus = 0x06;
constexpr std::uint32_t kHasCapabilities = 0x10;
constexpr std::uint32_t kFirstCapability = 0x34;
constexpr std::uint32_t kEndOfHeader = 0x40;
constexpr unsigned kMaxCapabilities = 48;  // as many as fit between the header and offset 256
constexpr std::uint8_t kExpress = 0x10;
constexpr std::uint32_t kExpressVersion = 0x0F;
constexpr std::uint32_t kDeviceControl2 = 0x28;  // from capability version 2 on
constexpr std::uint32_t kCompletionTimeout = 0x0F;
constexpr std::uint32_t k16To55Milliseconds = 0x05;

}  // namespace

// The list comes from the device, so its length and offsets are bounded.
Result<std::uint32_t> find_capability(Device& device, std::uint8_t id) {
  auto status = device.read_config(kStatus, 2);
  if (!status) return status;
  if ((*status & kHasCapabilities) == 0) return 0U;
  auto at = device.read_config(kFirstCapability, 1);
  for (unsigned i = 0; at && i < kMaxCapabilities; ++i) {
    const std::uint32_t offset = *at & ~std::uint32_t{3};
    if (offset < kEndOfHeader || offset > 0xFC) return 0U;
    auto found = device.read_config(offset, 1);
    if (!found) return found;
    if (*found == id) return offset;
    at = device.read_config(offset + 1, 1);
  }
  if (!at) return at;
  return 0U;
}

Result<void> raise_completion_timeout(Device& device) {
  const auto express = find_capability(device, kExpress);
  if (!express) return tl::unexpected<Error>(express.error());
  if (*express == 0 || *express + kDeviceControl2 + 2 > 0x100) return {};
  const auto flags = device.read_config(*express + 2, 2);
  if (!flags) return tl::unexpected<Error>(flags.error());
  if ((*flags & kExpressVersion) < 2 || *flags == 0xFFFF) return {};
  const auto control = device.read_config(*express + kDeviceControl2, 2);
  if (!control) return tl::unexpected<Error>(control.error());
  if ((*control & kCompletionTimeout) != 0) return {};
  return device.write_config(*express + kDeviceControl2, 2, *control | k16To55Milliseconds);
}

}  // namespace pollux::drivers::intel
