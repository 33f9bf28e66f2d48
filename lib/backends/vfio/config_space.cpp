// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/config_space.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <bit>
#include <cerrno>

#include "device/capability_list.hpp"

namespace pollux::vfio {

static_assert(std::endian::native == std::endian::little, "configuration space is little-endian");

Result<std::uint32_t> ConfigSpace::read(std::uint32_t offset, unsigned width) const {
  if (auto checked = check_access(offset, width); !checked) return pass_on(std::move(checked));
  std::uint32_t value = 0;
  const long result = descriptor_->kernel().pread(descriptor_->get(), &value, width, offset_ + offset);
  if (result != static_cast<long>(width)) return failed("read", offset, result);
  return value;
}

Result<void> ConfigSpace::write(std::uint32_t offset, unsigned width, std::uint32_t value) const {
  if (auto checked = check_access(offset, width); !checked) return checked;
  const long result = descriptor_->kernel().pwrite(descriptor_->get(), &value, width, offset_ + offset);
  if (result != static_cast<long>(width)) return failed("written", offset, result);
  return {};
}

bool ConfigSpace::unresponsive() const {
  const auto status = read(PCI_STATUS, 2);
  return status ? *status == 0xffff : status.error().code == ErrorCode::device_removed;
}

Result<PciIdentity> ConfigSpace::identity() const {
  const auto ids = read(PCI_VENDOR_ID, 4);
  if (!ids) return tl::unexpected(ids.error());
  const auto subsystem = read(PCI_SUBSYSTEM_VENDOR_ID, 4);
  if (!subsystem) return tl::unexpected(subsystem.error());
  const auto revision = read(PCI_REVISION_ID, 1);
  if (!revision) return tl::unexpected(revision.error());
  return PciIdentity{static_cast<std::uint16_t>(*ids), static_cast<std::uint16_t>(*ids >> 16U),
                     static_cast<std::uint16_t>(*subsystem), static_cast<std::uint16_t>(*subsystem >> 16U),
                     static_cast<std::uint8_t>(*revision)};
}

Result<void> ConfigSpace::set_command(bool bus_master) const {
  auto before = read(PCI_COMMAND, 2);
  if (!before) return pass_on(std::move(before));
  constexpr std::uint32_t kControlledBits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;
  const std::uint32_t wanted =
      PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE | (bus_master ? std::uint32_t{PCI_COMMAND_MASTER} : 0U);
  if (auto written = write(PCI_COMMAND, 2, (*before & ~kControlledBits) | wanted); !written) return written;
  // A configuration write is not posted. The read also shows whether the function is still present.
  auto after = read(PCI_COMMAND, 2);
  if (!after) return pass_on(std::move(after));
  if ((*after & kControlledBits) == wanted) return {};
  if (unresponsive()) return fail(ErrorCode::device_removed, device_ + " was removed");
  return fail(ErrorCode::device_fault,
              fmt::format("{}: the command register reads {:#06x} after {:#06x} was written", device_, *after, wanted));
}

Result<void> ConfigSpace::report_errors() const {
  constexpr std::uint32_t kReports =
      PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE;
  auto capability =
      find_capability(PCI_CAP_ID_EXP, [this](std::uint32_t at, unsigned width) { return read(at, width); });
  if (!capability) return pass_on(std::move(capability));
  if (!*capability) return {};
  const std::uint32_t position = **capability + PCI_EXP_DEVCTL;
  auto control = read(position, 2);
  if (!control) return pass_on(std::move(control));
  return write(position, 2, *control | kReports);
}

Result<void> ConfigSpace::check_access(std::uint32_t offset, unsigned width) const {
  const bool known_width = width == 1 || width == 2 || width == 4;
  if (known_width && offset % width == 0 && offset < size_ && width <= size_ - offset) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: an access of {} bytes at {:#x} is not a valid field of its {} bytes of configuration "
                          "space",
                          device_, width, offset, size_));
}

tl::unexpected<Error> ConfigSpace::failed(const char* what, std::uint32_t offset, long result) const {
  const std::string message = fmt::format("{}: configuration space at {:#x} cannot be {}", device_, offset, what);
  if (result == -ENODEV) return fail_errno(ErrorCode::device_removed, message, ENODEV);
  if (result < 0) return fail_errno(ErrorCode::io_error, message, static_cast<int>(-result));
  return fail(ErrorCode::io_error, fmt::format("{}: only {} bytes were transferred", message, result));
}

}  // namespace pollux::vfio
