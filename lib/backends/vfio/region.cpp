// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/region.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "device/capability_list.hpp"

namespace pollux::vfio {

std::optional<std::span<const std::byte>> InfoReply::capability(std::uint32_t first, std::uint16_t id) const {
  const std::span<const std::byte> bytes(bytes_);
  std::uint32_t offset = first;
  // The kernel appends capabilities in order, so an offset that does not grow is a loop.
  while (offset != 0) {
    const auto header = number_at<vfio_info_cap_header>(bytes, offset);
    if (!header) return std::nullopt;
    if (header->id == id) return bytes.subspan(offset + sizeof *header);
    if (header->next <= offset) return std::nullopt;
    offset = header->next;
  }
  return std::nullopt;
}

int query_info(const Descriptor& descriptor, unsigned long request, std::span<const std::byte> fixed,
               InfoReply& reply) {
  std::size_t size = fixed.size();
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::vector<std::byte> bytes(size);
    std::copy(fixed.begin(), fixed.end(), bytes.begin());
    const auto argsz = static_cast<std::uint32_t>(size);
    std::memcpy(bytes.data(), &argsz, sizeof argsz);
    const int result = descriptor.ioctl(request, bytes.data());
    if (result < 0) return result;
    std::uint32_t wanted = 0;
    std::memcpy(&wanted, bytes.data(), sizeof wanted);
    reply = InfoReply(std::move(bytes));
    if (wanted <= size || wanted > kMaxReplySize) break;
    size = wanted;
  }
  return 0;
}

namespace {

std::vector<IovaRange> assumed_ranges() {
  constexpr std::uint64_t kInterruptWindow = 0xfee0'0000;
  constexpr std::uint64_t kInterruptWindowEnd = 0xfef0'0000;
  constexpr std::uint64_t kLast = (std::uint64_t{1} << 39U) - 1;
  return {{0, kInterruptWindow - 1}, {kInterruptWindowEnd, kLast}};
}

Result<std::vector<IovaRange>> parse_ranges(std::span<const std::byte> body) {
  const auto count = number_at<std::uint32_t>(body, 0);
  constexpr std::size_t kList = 2 * sizeof(std::uint32_t);
  if (!count || body.size() < kList || *count > (body.size() - kList) / sizeof(vfio_iova_range)) {
    return fail(ErrorCode::device_fault,
                "the IOMMU's list of usable addresses is longer than what the kernel returned");
  }
  std::vector<IovaRange> ranges;
  for (std::size_t i = 0; i < *count; ++i) {
    const auto range = number_at<vfio_iova_range>(body, kList + i * sizeof(vfio_iova_range));
    if (auto added = add_range(ranges, {range->start, range->end}); !added) return pass_on(std::move(added));
  }
  if (auto checked = check_not_empty(ranges); !checked) return pass_on(std::move(checked));
  return ranges;
}

}  // namespace

Result<void> add_range(std::vector<IovaRange>& ranges, const IovaRange& range) {
  const bool ascending = ranges.empty() || range.first > ranges.back().last;
  if (range.last < range.first || !ascending) {
    return fail(
        ErrorCode::device_fault,
        fmt::format("the IOMMU's list of usable addresses has the entry {:#x} to {:#x}", range.first, range.last));
  }
  ranges.push_back(range);
  return {};
}

Result<void> check_not_empty(const std::vector<IovaRange>& ranges) {
  if (!ranges.empty()) return {};
  return fail(ErrorCode::device_fault, "the IOMMU's list of usable addresses is empty");
}

Result<IommuInfo> read_iommu_info(const Descriptor& container) {
  InfoReply reply;
  const vfio_iommu_type1_info asked{};
  if (const int result = query_info(container, VFIO_IOMMU_GET_INFO, std::as_bytes(std::span(&asked, 1)), reply);
      result < 0) {
    return fail_errno(ErrorCode::io_error, "the VFIO container's IOMMU information cannot be read", -result);
  }
  const auto fixed = reply.fixed<vfio_iommu_type1_info>();
  IommuInfo info;
  const std::uint32_t first = (fixed.flags & VFIO_IOMMU_INFO_CAPS) != 0 ? fixed.cap_offset : 0;
  if (const auto left = reply.capability(first, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL)) {
    info.mappings_left = number_at<std::uint32_t>(*left, 0);
  }
  const auto body = reply.capability(first, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
  if (!body) {
    info.ranges = assumed_ranges();
    return info;
  }
  auto ranges = parse_ranges(*body);
  if (!ranges) return pass_on(std::move(ranges));
  info.ranges = std::move(*ranges);
  return info;
}

namespace {

std::uint64_t page_size() { return static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)); }

// True if `area` is made of whole pages, lies within `region`, and lies above the areas before it.
bool valid_area(const Region::Area& area, const Region& region) {
  const std::uint64_t from = region.mappable.empty() ? 0 : region.mappable.back().offset + region.mappable.back().size;
  return area.size != 0 && area.offset >= from && area.offset <= region.size &&
         area.size <= region.size - area.offset && (area.offset | area.size) % page_size() == 0;
}

Result<void> parse_areas(std::span<const std::byte> body, const std::string& device, Region& region) {
  const auto refuse = [&] {
    return fail(ErrorCode::device_fault,
                fmt::format("{}: the mappable areas of region {} are inconsistent", device, region.index));
  };
  constexpr std::size_t kList = 2 * sizeof(std::uint32_t);
  const auto count = number_at<std::uint32_t>(body, 0);
  if (!count || body.size() < kList || *count > (body.size() - kList) / sizeof(vfio_region_sparse_mmap_area)) {
    return refuse();
  }
  for (std::size_t i = 0; i < *count; ++i) {
    const auto raw = number_at<vfio_region_sparse_mmap_area>(body, kList + i * sizeof(vfio_region_sparse_mmap_area));
    const Region::Area area{raw->offset, raw->size};
    if (area.size == 0) continue;
    if (!valid_area(area, region)) return refuse();
    region.mappable.push_back(area);
  }
  return {};
}

}  // namespace

Result<Region> read_region(const Descriptor& descriptor, const std::string& device, std::uint32_t index) {
  vfio_region_info asked{};
  asked.index = index;
  InfoReply reply;
  const int result = query_info(descriptor, VFIO_DEVICE_GET_REGION_INFO, std::as_bytes(std::span(&asked, 1)), reply);
  if (result < 0) {
    return fail_errno(ErrorCode::io_error,
                      fmt::format("{}: the information on region {} cannot be read", device, index), -result);
  }
  const auto info = reply.fixed<vfio_region_info>();
  Region region;
  region.index = index;
  region.offset = info.offset;
  region.size = info.size;
  region.readable = (info.flags & VFIO_REGION_INFO_FLAG_READ) != 0;
  region.writable = (info.flags & VFIO_REGION_INFO_FLAG_WRITE) != 0;
  if ((info.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0) return region;

  const std::uint32_t first = (info.flags & VFIO_REGION_INFO_FLAG_CAPS) != 0 ? info.cap_offset : 0;
  if (const auto body = reply.capability(first, VFIO_REGION_INFO_CAP_SPARSE_MMAP)) {
    if (auto parsed = parse_areas(*body, device, region); !parsed) return pass_on(std::move(parsed));
  } else if (region.size != 0) {
    region.mappable.push_back({0, region.size});
  }
  return region;
}

namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

bool covers_all(const Region& region) {
  return region.mappable.size() == 1 && region.mappable.front().offset == 0 &&
         region.mappable.front().size == region.size;
}

}  // namespace

Result<BarWindow> BarWindow::map(const Descriptor& descriptor, const std::string& device, const Region& region) {
  if (region.mappable.empty() || !region.readable || !region.writable) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: BAR {} cannot be mapped: it consists of I/O ports or shares a page", device, region.index));
  }
  Kernel& kernel = descriptor.kernel();
  const auto refused = [&](int error) {
    return fail_errno(ErrorCode::io_error,
                      fmt::format("{}: {} bytes of BAR {} cannot be mapped", device, region.size, region.index),
                      -error);
  };
  if (covers_all(region)) {
    const auto mapped = kernel.mmap(nullptr, region.size, kReadWrite, MAP_SHARED, descriptor.get(), region.offset);
    if (mapped.error != 0) return refused(mapped.error);
    return BarWindow(descriptor.shared_kernel(), mapped.address, region.size);
  }

  const auto placeholder = kernel.mmap(nullptr, region.size, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (placeholder.error != 0) return refused(placeholder.error);
  std::memset(placeholder.address, 0xff, region.size);
  BarWindow window(descriptor.shared_kernel(), placeholder.address, region.size);
  for (const Region::Area& area : region.mappable) {
    const auto mapped = kernel.mmap(window.base_ + area.offset, area.size, kReadWrite, MAP_SHARED | MAP_FIXED,
                                    descriptor.get(), region.offset + area.offset);
    if (mapped.error != 0) return refused(mapped.error);
  }
  return window;
}

BarWindow::BarWindow(BarWindow&& other) noexcept
    : kernel_(std::move(other.kernel_)), base_(std::exchange(other.base_, nullptr)), size_(other.size_) {}

BarWindow& BarWindow::operator=(BarWindow&& other) noexcept {
  std::swap(kernel_, other.kernel_);
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  return *this;
}

BarWindow::~BarWindow() {
  if (base_ != nullptr) kernel_->munmap(base_, size_);
}

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
