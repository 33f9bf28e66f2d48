// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>
#include <unistd.h>

#include <cerrno>

#include "backends/vfio/device_access.hpp"
#include "backends/vfio/info_query.hpp"

namespace pollux::vfio {
namespace {

constexpr std::uint64_t kPresent = std::uint64_t{1} << 63U;
constexpr std::uint64_t kFrameNumber = (std::uint64_t{1} << 55U) - 1;

tl::unexpected<Error> hidden() {
  return fail(
      ErrorCode::permission_denied,
      "a device without an IOMMU needs physical addresses, but the kernel hides them from this process: it lacks "
      "CAP_SYS_ADMIN",
      "run as root");
}

}  // namespace

Result<std::shared_ptr<const Pagemap>> Pagemap::open(const Host& host) {
  const std::string path = host.paths.proc / "self/pagemap";
  const int opened = host.kernel->open(path, O_RDONLY);
  if (opened == -EACCES || opened == -EPERM) return hidden();
  if (opened < 0) {
    return fail_errno(ErrorCode::not_supported,
                      fmt::format("{} cannot be opened; it is needed for physical addresses", path), -opened,
                      "mount /proc, or use a kernel with CONFIG_PROC_PAGE_MONITOR");
  }
  auto pagemap = std::make_shared<const Pagemap>(Descriptor(host.kernel, opened));
  const std::byte here{};
  if (auto found = pagemap->find(&here); !found) return pass_on(std::move(found));
  return pagemap;
}

Result<std::uint64_t> Pagemap::find(const std::byte* address) const {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  std::uint64_t entry = 0;
  const long size = descriptor_.kernel().pread(descriptor_.get(), &entry, sizeof entry, number / page * sizeof entry);
  const auto what = [&] { return fmt::format("the physical address of {} cannot be read", fmt::ptr(address)); };
  if (size < 0) return fail_errno(ErrorCode::io_error, what(), static_cast<int>(-size));
  if (size != sizeof entry || (entry & kPresent) == 0) {
    return fail(ErrorCode::io_error, what() + ": no page is present");
  }
  const std::uint64_t frame = entry & kFrameNumber;
  if (frame == 0) return hidden();
  return frame * page + number % page;
}

Result<Descriptor> open_container_file(const Host& host) {
  const std::string path = host.paths.dev / "vfio/vfio";
  const int opened = host.kernel->open(path, O_RDWR);
  if (opened < 0) {
    return explain_control_file(path, -opened, "the kernel's VFIO is not loaded", "modprobe vfio-pci");
  }
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

Result<std::shared_ptr<GroupContainer>> NoIommuContainer::open(const Host& host) {
  auto pagemap = Pagemap::open(host);
  if (!pagemap) return pass_on(std::move(pagemap));
  auto descriptor = open_container_file(host);
  if (!descriptor) return pass_on(std::move(descriptor));
  if (host.kernel->ioctl_with_number(descriptor->get(), VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU) <= 0) {
    return fail(ErrorCode::not_supported, "no-IOMMU mode is not enabled in the kernel's VFIO",
                "echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode; where that file is missing, use a "
                "kernel with CONFIG_VFIO_NOIOMMU");
  }
  return std::make_shared<NoIommuContainer>(*std::move(descriptor), *std::move(pagemap));
}

Result<void> NoIommuContainer::set_iommu() {
  const int result = descriptor_.kernel().ioctl_with_number(descriptor_.get(), VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
  if (result == -EPERM) {
    return fail_errno(ErrorCode::permission_denied, "VFIO's no-IOMMU mode is refused: it requires CAP_SYS_RAWIO", EPERM,
                      "run as root");
  }
  if (result < 0) return fail_errno(ErrorCode::io_error, "VFIO cannot set up its no-IOMMU mode", -result, "see dmesg");
  return {};
}

}  // namespace pollux::vfio
