// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/info_query.hpp"

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

}  // namespace pollux::vfio
