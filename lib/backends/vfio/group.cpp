// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/group.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>

#include <array>
#include <cerrno>

#include "backends/vfio/group_container.hpp"
#include "backends/vfio/preflight.hpp"
#include "pollux/pci/iommu_group.hpp"

namespace pollux::vfio {
namespace {

tl::unexpected<Error> explain_open(const std::string& path, const std::string& address, GroupKind kind, int error) {
  const bool isolated = kind == GroupKind::behind_iommu;
  switch (error) {
    case EBUSY:
      return fail(ErrorCode::group_in_use,
                  fmt::format("{} cannot be opened: its IOMMU group is in use: {} is open in another process, or in "
                              "another Context of this process",
                              address, path),
                  "find the process and end it: fuser -v " + path);
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied,
                        fmt::format("{} cannot be opened: this user may not open {}", address, path), error,
                        isolated ? fmt::format("pollux bind --user $USER {}, or run as root", address)
                                 : "run as root: a device without an IOMMU requires CAP_SYS_RAWIO, even from the owner "
                                   "of its file");
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail_errno(ErrorCode::not_found, fmt::format("{} cannot be opened: {} does not exist", address, path),
                        error,
                        fmt::format("in a container, pass {} and /dev/vfio/vfio into it; otherwise bind again: "
                                    "pollux unbind {} && pollux bind {}",
                                    path, address, address));
    default: return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened: {}", address, path), error);
  }
}

tl::unexpected<Error> explain_not_viable(const Host& host, const pci::DeviceInfo& device) {
  const std::array leaving{device.address};
  const auto group = pci::read_group(host.paths, *device.iommu_group);
  if (group) {
    if (auto viable = pci::check_viable(*group, leaving); !viable) return pass_on(std::move(viable));
  }
  // A group is also not viable while another user owns its DMA (Linux, drivers/vfio/group.c,
  // vfio_group_ioctl_get_status).
  return fail(ErrorCode::group_in_use,
              fmt::format("{} cannot be opened: IOMMU group {} is in use by another process or driver",
                          device.address.to_string(), *device.iommu_group),
              "find the process that has one of its devices open: fuser -v /dev/vfio/* /dev/vfio/devices/*");
}

}  // namespace

Result<Group> Group::open(const Host& host, const pci::DeviceInfo& device, GroupKind kind) {
  const std::string path = kind == GroupKind::behind_iommu ? group_node(host, *device.iommu_group)
                                                           : no_iommu_node(host, *device.iommu_group);
  const int opened = host.kernel->open(path, O_RDWR);
  if (opened < 0) return explain_open(path, device.address.to_string(), kind, -opened);
  Group group(Descriptor(host.kernel, opened), *device.iommu_group);

  vfio_group_status status{};
  status.argsz = sizeof status;
  if (const int result = group.descriptor_.ioctl(VFIO_GROUP_GET_STATUS, &status); result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: the group's status cannot be read", path), -result);
  }
  if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) return explain_not_viable(host, device);
  return group;
}

Result<void> Group::join(const GroupContainer& container) {
  int descriptor = container.descriptor();
  const int result = descriptor_.ioctl(VFIO_GROUP_SET_CONTAINER, &descriptor);
  if (result >= 0) return {};
  const std::string what = fmt::format("IOMMU group {} cannot join the process's VFIO container", number_);
  switch (-result) {
    case EBUSY:
    case EPERM:
      return fail_errno(ErrorCode::group_in_use, what, -result,
                        "find the process that has one of its devices open: fuser -v /dev/vfio/* /dev/vfio/devices/*");
    // The new group cannot use an IOVA that is already mapped, or reserves it. Linux, vfio_iommu_type1.c.
    case EINVAL:
      return fail_errno(ErrorCode::not_supported, what + ": memory is mapped at IOVAs that it cannot use", -result,
                        "open this device before memory is allocated, or in a Context of its own");
    default: return fail_errno(ErrorCode::io_error, what, -result, "see dmesg");
  }
}

Result<Descriptor> Group::open_device(pci::Address address, const std::string& token) const {
  const std::string name = address.to_string();
  std::string request = token.empty() ? name : fmt::format("{} vf_token={}", name, token);
  const int opened = descriptor_.ioctl(VFIO_GROUP_GET_DEVICE_FD, request.data());
  if (opened >= 0) return Descriptor(descriptor_.shared_kernel(), opened);
  // Linux, drivers/vfio/pci/vfio_pci_core.c, vfio_pci_validate_vf_token.
  if (opened == -EACCES || (opened == -EINVAL && !token.empty())) {
    return fail_errno(
        ErrorCode::permission_denied,
        fmt::format("{} cannot be opened {}", name, token.empty() ? "without a vf_token" : "with this vf_token"),
        -opened,
        "open a physical function that VFIO has and its virtual functions with the same ?vf_token=UUID; give no other "
        "device a token");
  }
  switch (-opened) {
    case ENODEV:
      return fail_errno(ErrorCode::not_bound, fmt::format("{} is not bound to VFIO", name), -opened,
                        "pollux bind " + name);
    case EBUSY:
      return fail_errno(ErrorCode::busy, fmt::format("{} is already open", name), -opened,
                        fmt::format("find the process and end it: fuser -v /dev/vfio/{}", number_));
    default:
      return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened through VFIO", name), -opened,
                        "see dmesg");
  }
}

}  // namespace pollux::vfio
