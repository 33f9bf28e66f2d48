// SPDX-License-Identifier: BSD-3-Clause

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/vfio.h>
#include <unistd.h>

#include <cerrno>

#include "backends/vfio/device_access.hpp"
#include "backends/vfio/region.hpp"

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

/// A VFIO type1 container: one IOMMU address space that all groups in it share. Memory is pinned once, for any number
/// of groups.
class Container final : public GroupContainer {
 public:
  Container(const Host& host, Descriptor descriptor) : host_(host), descriptor_(std::move(descriptor)) {}

  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.get(); }
  /// Error `not_supported` if the IOMMU cannot isolate interrupts.
  [[nodiscard]] Result<void> set_iommu() override {
    const int result = host_.kernel->ioctl_with_number(descriptor_.get(), VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    if (result == -EPERM) {
      // Without interrupt remapping a device could forge any interrupt. Linux, drivers/vfio/vfio_iommu_type1.c.
      return fail(ErrorCode::not_supported,
                  "the IOMMU does not remap interrupts, so VFIO refuses to isolate the device",
                  "switch interrupt remapping (x2APIC) on in the firmware, or accept the risk: "
                  "echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    }
    if (result < 0) return fail_errno(ErrorCode::io_error, "VFIO cannot set up the IOMMU", -result, "see dmesg");
    return use_ranges({});
  }
  /// Reads the usable addresses, without those that another program uses.
  [[nodiscard]] Result<void> use_ranges(const std::vector<IovaRange>& used) {
    auto ranges = read_usable_iova();
    if (!ranges) return pass_on(std::move(ranges));
    ranges_ = without(*std::move(ranges), used);
    return {};
  }
  // Linux, drivers/vfio/vfio_iommu_type1.c, vfio_dma_do_unmap: from 6.0 on another process than the mapper's may.
  [[nodiscard]] Result<void> unmap_all() override {
    vfio_iommu_type1_dma_unmap request{};
    request.argsz = sizeof request;
    request.flags = VFIO_DMA_UNMAP_FLAG_ALL;
    const int result = descriptor_.ioctl(VFIO_IOMMU_UNMAP_DMA, &request);
    if (result >= 0) return {};
    return fail_errno(ErrorCode::io_error, "the memory of a program that has ended cannot be unmapped", -result);
  }
  [[nodiscard]] Result<std::vector<IovaRange>> read_usable_iova() const override {
    auto info = read_iommu_info(descriptor_);
    if (!info) return pass_on(std::move(info));
    return std::move(info->ranges);
  }

  [[nodiscard]] std::string_view name() const override { return "VFIO container"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return ranges_; }
  [[nodiscard]] bool is_iommu() const override { return true; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
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
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override {
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

 private:
  Host host_;
  Descriptor descriptor_;
  std::vector<IovaRange> ranges_;
  std::size_t mappings_ = 0;
};

/// A container of VFIO's no-IOMMU mode. Nothing is translated, so devices use physical addresses and can access all of
/// the machine's memory. `map` does nothing and pins no memory. Memory keeps its physical address because it consists
/// of huge pages: the kernel does not swap them, and moves them only on request.
class NoIommuContainer final : public GroupContainer {
 public:
  NoIommuContainer(Descriptor descriptor, std::shared_ptr<const Pagemap> pagemap)
      : descriptor_(std::move(descriptor)), pagemap_(std::move(pagemap)) {}

  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.get(); }
  [[nodiscard]] Result<void> set_iommu() override {
    const int result = descriptor_.kernel().ioctl_with_number(descriptor_.get(), VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU);
    if (result == -EPERM) {
      return fail_errno(ErrorCode::permission_denied, "VFIO's no-IOMMU mode is refused: it requires CAP_SYS_RAWIO",
                        EPERM, "run as root");
    }
    if (result < 0)
      return fail_errno(ErrorCode::io_error, "VFIO cannot set up its no-IOMMU mode", -result, "see dmesg");
    return {};
  }
  [[nodiscard]] Result<std::vector<IovaRange>> read_usable_iova() const override { return usable_iova(); }

  [[nodiscard]] std::string_view name() const override { return "a device without an IOMMU"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
  [[nodiscard]] std::shared_ptr<const PhysicalAddresses> physical_addresses() const override { return pagemap_; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    if (segment.writable) return {};
    return fail(ErrorCode::not_supported, "a device without an IOMMU can write all memory");
  }
  [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  Descriptor descriptor_;
  std::shared_ptr<const Pagemap> pagemap_;
};

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

Result<std::shared_ptr<GroupContainer>> open_container(const Host& host) {
  auto descriptor = open_container_file(host);
  if (!descriptor) return pass_on(std::move(descriptor));
  if (host.kernel->ioctl_with_number(descriptor->get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) <= 0) {
    return fail(ErrorCode::module_not_loaded,
                fmt::format("{} offers no type1 IOMMU", (host.paths.dev / "vfio/vfio").string()),
                "modprobe vfio_iommu_type1");
  }
  return std::make_shared<Container>(host, *std::move(descriptor));
}

Result<std::shared_ptr<GroupContainer>> open_no_iommu_container(const Host& host) {
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

Result<std::shared_ptr<GroupContainer>> take_container(const Host& host, Descriptor descriptor,
                                                       const std::vector<IovaRange>& used) {
  auto container = std::make_shared<Container>(host, std::move(descriptor));
  if (auto read = container->use_ranges(used); !read) return pass_on(std::move(read));
  return container;
}

// Physical pages are this program's own, so no address of the other one can be among them.
Result<std::shared_ptr<GroupContainer>> take_no_iommu_container(const Host& host, Descriptor descriptor,
                                                                const std::vector<IovaRange>& /*used*/) {
  auto pagemap = Pagemap::open(host);
  if (!pagemap) return pass_on(std::move(pagemap));
  return std::make_shared<NoIommuContainer>(std::move(descriptor), *std::move(pagemap));
}

}  // namespace pollux::vfio
