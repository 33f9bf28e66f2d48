// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>

#include <cerrno>

#include "backends/vfio/iommu_info.hpp"
#include "backends/vfio/mapping_error.hpp"

namespace pollux::vfio {
namespace {

tl::unexpected<Error> explain_open(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
      return fail(ErrorCode::module_not_loaded, fmt::format("{} does not exist: the kernel's VFIO is not loaded", path),
                  "modprobe vfio-pci");
    case EACCES:
    case EPERM:
      return fail_errno(ErrorCode::permission_denied, fmt::format("{} cannot be opened", path), error,
                        fmt::format("chmod 0666 {} (it grants nothing by itself), or run as root", path));
    default: return fail_errno(ErrorCode::io_error, fmt::format("{} cannot be opened", path), error);
  }
}

}  // namespace

Result<Descriptor> open_container_file(const Host& host) {
  const std::string path = host.paths.dev / "vfio/vfio";
  const int opened = host.kernel->open(path, O_RDWR);
  if (opened < 0) return explain_open(path, -opened);
  Descriptor descriptor(host.kernel, opened);

  const int version = host.kernel->ioctl_with_number(opened, VFIO_GET_API_VERSION, 0);
  if (version != VFIO_API_VERSION) {
    return fail(ErrorCode::not_supported,
                fmt::format("{} has version {} of VFIO's API, not {}", path, version, VFIO_API_VERSION));
  }
  return descriptor;
}

Result<std::shared_ptr<GroupContainer>> Container::open(const Host& host) {
  auto descriptor = open_container_file(host);
  if (!descriptor) return pass_on(std::move(descriptor));
  if (host.kernel->ioctl_with_number(descriptor->get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
    return fail(ErrorCode::module_not_loaded,
                fmt::format("{} offers no type1 IOMMU", (host.paths.dev / "vfio/vfio").string()),
                "modprobe vfio_iommu_type1");
  }
  return std::make_shared<Container>(host, *std::move(descriptor));
}

Result<void> Container::set_iommu() {
  const int result = host_.kernel->ioctl_with_number(descriptor_.get(), VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
  if (result == -EPERM) {
    // Without interrupt remapping a device could forge any interrupt. Linux, drivers/vfio/vfio_iommu_type1.c.
    return fail(ErrorCode::not_supported, "the IOMMU does not remap interrupts, so VFIO refuses to isolate the device",
                "switch interrupt remapping (x2APIC) on in the firmware, or accept the risk: "
                "echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
  }
  if (result < 0) return fail_errno(ErrorCode::io_error, "VFIO cannot set up the IOMMU", -result, "see dmesg");
  auto ranges = read_usable_iova();
  if (!ranges) return pass_on(std::move(ranges));
  ranges_ = *std::move(ranges);
  return {};
}

Result<std::vector<IovaRange>> Container::read_usable_iova() const {
  auto info = read_iommu_info(descriptor_);
  if (!info) return pass_on(std::move(info));
  return std::move(info->ranges);
}

Result<void> Container::map(const DmaSegment& segment) {
  vfio_iommu_type1_dma_map request{};
  request.argsz = sizeof request;
  request.flags = VFIO_DMA_MAP_FLAG_READ | (segment.writable ? VFIO_DMA_MAP_FLAG_WRITE : 0U);
  request.vaddr = reinterpret_cast<std::uintptr_t>(segment.address);
  request.iova = segment.iova;
  request.size = segment.size;
  if (const int result = descriptor_.ioctl(VFIO_IOMMU_MAP_DMA, &request); result < 0) {
    return tl::unexpected(explain_map_failure(host_, {segment, ranges_, -result}, descriptor_, mappings_));
  }
  ++mappings_;
  return {};
}

Result<void> Container::unmap(const DmaSegment& segment) {
  vfio_iommu_type1_dma_unmap request{};
  request.argsz = sizeof request;
  request.iova = segment.iova;
  request.size = segment.size;
  const int result = descriptor_.ioctl(VFIO_IOMMU_UNMAP_DMA, &request);
  const auto what = [&] {
    return fmt::format("{} bytes at IOVA {:#x} cannot be unmapped", segment.size, segment.iova);
  };
  if (result < 0) return fail_errno(ErrorCode::io_error, what(), -result);
  if (request.size != segment.size) {
    return fail(ErrorCode::io_error, fmt::format("{}: the IOMMU unmapped {} bytes", what(), request.size));
  }
  --mappings_;
  return {};
}

}  // namespace pollux::vfio
