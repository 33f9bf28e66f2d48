// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/iommufd.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>

#include "backends/vfio/iommu_info.hpp"
#include "backends/vfio/iommufd_uapi.hpp"
#include "backends/vfio/mapping_error.hpp"
#include "pollux/pci/iommu_group.hpp"

namespace pollux::vfio {
namespace {

// Bounds the count that the kernel reports. The reserved windows of an IOMMU leave fewer ranges than this.
constexpr std::uint32_t kMaxRanges = 4096;

tl::unexpected<Error> explain_iommufd(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail(ErrorCode::module_not_loaded,
                  fmt::format("{} does not exist: this kernel has no IOMMUFD, or it is not loaded", path),
                  "modprobe iommufd; where the kernel is built without it, use the group: vfio:ADDRESS?via=group");
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied, fmt::format("{} cannot be opened", path), error,
                        fmt::format("chmod 0666 {} (it grants nothing by itself), or run as root", path));
    default: return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened", path), error);
  }
}

// A device cannot be bound while another driver or process uses its group or owns the group's DMA.
tl::unexpected<Error> explain_group_in_use(const Host& host, const pci::DeviceInfo& device, const std::string& what,
                                           int error) {
  if (device.iommu_group) {
    const std::array leaving{device.address};
    if (const auto group = pci::read_group(host.paths, *device.iommu_group)) {
      if (auto viable = pci::check_viable(*group, leaving); !viable) return pass_on(std::move(viable));
    }
  }
  // EPERM is also the error of an IOMMU without interrupt remapping. Linux, drivers/iommu/iommufd/device.c,
  // iommufd_device_bind.
  const std::string find_user =
      "find the process that has one of its group's devices open: fuser -v /dev/vfio/* /dev/vfio/devices/*";
  if (error == EPERM) {
    return fail_errno(ErrorCode::group_in_use,
                      what + ": another process uses a device of its group, or the IOMMU does not remap interrupts",
                      error,
                      find_user +
                          "; or switch interrupt remapping (x2APIC) on in the firmware, or accept the risk: "
                          "echo 1 > /sys/module/iommufd/parameters/allow_unsafe_interrupts");
  }
  return fail_errno(ErrorCode::group_in_use, what + ": its IOMMU group is in use", error, find_user);
}

tl::unexpected<Error> explain_bind(const Host& host, const pci::DeviceInfo& device, int error) {
  const std::string what = fmt::format("{} cannot be bound to the IOMMUFD", device.address.to_string());
  switch (error) {
    // A device file serves one process at a time. Linux, drivers/vfio/vfio_main.c, vfio_df_open.
    case EINVAL:
      return fail(ErrorCode::busy, what + ": it is in use by this or another process",
                  "find the process and end it: fuser -v /dev/vfio/devices/*");
    case EBUSY:
    case EPERM: return explain_group_in_use(host, device, what, error);
    default: return fail_errno(ErrorCode::io_error, what, error, "see dmesg");
  }
}

tl::unexpected<Error> explain_attach(const pci::DeviceInfo& device, int error) {
  const std::string what = fmt::format("{} cannot join the process's IOMMU address space", device.address.to_string());
  // Linux, drivers/iommu/iommufd/io_pagetable.c, iopt_reserve_iova.
  if (error == EADDRINUSE) {
    return fail_errno(ErrorCode::not_supported, what + ": memory is mapped at IOVAs that it cannot use", error,
                      "open this device before memory is allocated, or in a Context of its own");
  }
  return fail_errno(ErrorCode::io_error, what, error, "see dmesg");
}

}  // namespace

Result<std::shared_ptr<Iommufd>> Iommufd::open(const Host& host) {
  const std::string path = host.paths.dev / "iommu";
  const int opened = host.kernel->open(path, O_RDWR);
  if (opened < 0) return explain_iommufd(path, -opened);
  Descriptor descriptor(host.kernel, opened);
  uapi::IoasAlloc request;
  if (const int result = descriptor.ioctl(uapi::kIoasAlloc, &request); result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{} cannot create an address space", path), -result,
                      "see dmesg");
  }
  return std::make_shared<Iommufd>(host, std::move(descriptor), request.ioas);
}

Result<void> Iommufd::attach_device(const Descriptor& opened, const pci::DeviceInfo& device) {
  uapi::BindIommufd bind;
  bind.iommufd = descriptor_.get();
  if (const int result = opened.ioctl(uapi::kDeviceBindIommufd, &bind); result < 0) {
    return explain_bind(host_, device, -result);
  }
  uapi::AttachPageTable attach;
  attach.page_table = ioas_;
  const int result = opened.ioctl(uapi::kDeviceAttachPageTable, &attach);
  if (result < 0) return explain_attach(device, -result);
  return {};
}

Result<std::vector<IovaRange>> Iommufd::read_usable_iova() const {
  uapi::IoasIovaRanges request;
  request.ioas = ioas_;
  std::vector<uapi::IovaRange> reported;
  int result = descriptor_.ioctl(uapi::kIoasIovaRanges, &request);
  if (result == -EMSGSIZE && request.count <= kMaxRanges) {
    reported.resize(request.count);
    request.ranges = reinterpret_cast<std::uintptr_t>(reported.data());
    result = descriptor_.ioctl(uapi::kIoasIovaRanges, &request);
  }
  if (result < 0) return fail_errno(ErrorCode::io_error, "the IOMMUFD's usable IOVA ranges cannot be read", -result);
  if (request.count < reported.size()) reported.resize(request.count);
  std::vector<IovaRange> ranges;
  for (const uapi::IovaRange& range : reported) {
    if (auto added = add_range(ranges, {range.start, range.last}); !added) return pass_on(std::move(added));
  }
  if (auto checked = check_not_empty(ranges); !checked) return pass_on(std::move(checked));
  return ranges;
}

Result<void> Iommufd::map(const DmaSegment& segment) {
  uapi::IoasMap request;
  request.flags = uapi::kMapFixedIova | uapi::kMapReadable | (segment.writable ? uapi::kMapWriteable : 0U);
  request.ioas = ioas_;
  request.address = reinterpret_cast<std::uintptr_t>(segment.address);
  request.length = segment.size;
  request.iova = segment.iova;
  if (const int result = descriptor_.ioctl(uapi::kIoasMap, &request); result < 0) {
    return tl::unexpected(explain_map_failure(host_, {segment, ranges_, -result, pinned_}));
  }
  pinned_ += segment.size;
  return {};
}

Result<void> Iommufd::unmap(const DmaSegment& segment) {
  uapi::IoasUnmap request;
  request.ioas = ioas_;
  request.iova = segment.iova;
  request.length = segment.size;
  const int result = descriptor_.ioctl(uapi::kIoasUnmap, &request);
  const auto what = [&] {
    return fmt::format("{} bytes at IOVA {:#x} cannot be unmapped", segment.size, segment.iova);
  };
  if (result < 0) return fail_errno(ErrorCode::io_error, what(), -result);
  if (request.length != segment.size) {
    return fail(ErrorCode::io_error, fmt::format("{}: the IOMMU unmapped {} bytes", what(), request.length));
  }
  pinned_ -= segment.size;
  return {};
}

}  // namespace pollux::vfio
