// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/info_query.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <algorithm>

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

}  // namespace pollux::vfio
