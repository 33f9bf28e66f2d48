// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// The reply of one of VFIO's INFO ioctls: a fixed structure, followed by a chain of capabilities (linux/vfio.h,
/// "struct vfio_info_cap_header"). The offsets are untrusted input, so each is checked before it is followed.
class InfoReply {
 public:
  InfoReply() = default;
  explicit InfoReply(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  /// The fixed part. Bytes beyond the end of a short reply are zero.
  template <class Fixed>
  [[nodiscard]] Fixed fixed() const {
    Fixed value{};
    std::memcpy(&value, bytes_.data(), std::min(sizeof value, bytes_.size()));
    return value;
  }

  /// The bytes after the header of capability `id`, up to the reply's end. None if the chain that starts at offset
  /// `first` lacks it. A link that loops, goes backwards or leaves the reply ends the chain.
  [[nodiscard]] std::optional<std::span<const std::byte>> capability(std::uint32_t first, std::uint16_t id) const;

 private:
  std::vector<std::byte> bytes_;
};

/// Bytes. Bounds the reply size that the kernel asks for.
inline constexpr std::size_t kMaxReplySize = 64 * 1024;
/// Runs an INFO ioctl with space for the fixed part. If the kernel asks for more space, runs it once more with that
/// much. `fixed` begins with argsz, which is filled in here. Its other members are the request's input.
[[nodiscard]] int query_info(const Descriptor& descriptor, unsigned long request, std::span<const std::byte> fixed,
                             InfoReply& reply);

/// A number at `offset`, if it is within `bytes`.
template <class Number>
[[nodiscard]] std::optional<Number> number_at(std::span<const std::byte> bytes, std::size_t offset) {
  if (bytes.size() < sizeof(Number) || offset > bytes.size() - sizeof(Number)) return std::nullopt;
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

/// A type1 container's description of its IOMMU.
struct IommuInfo {
  std::vector<IovaRange> ranges;               ///< usable addresses, ascending; never empty
  std::optional<std::uint32_t> mappings_left;  ///< further mappings the container allows; absent on older kernels
};

/// Runs VFIO_IOMMU_GET_INFO. For a kernel without the range capability it assumes the 39 bits that three levels of page
/// tables translate, without the interrupt window at 0xfee00000. Error `device_fault` for an inconsistent reply.
[[nodiscard]] Result<IommuInfo> read_iommu_info(const Descriptor& container);

/// Appends a range that the kernel reported. Error `device_fault` unless it lies above all ranges before it.
[[nodiscard]] Result<void> add_range(std::vector<IovaRange>& ranges, const IovaRange& range);
/// Error `device_fault` for an empty list.
[[nodiscard]] Result<void> check_not_empty(const std::vector<IovaRange>& ranges);

}  // namespace pollux::vfio
