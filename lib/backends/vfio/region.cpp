// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/region.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>
#include <unistd.h>

#include "backends/vfio/info_query.hpp"

namespace pollux::vfio {
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

}  // namespace pollux::vfio
