// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "backends/vfio/descriptor.hpp"

namespace pollux::vfio {

/// What one of VFIO's INFO ioctls answered: a fixed structure and behind it a chain of capabilities (linux/vfio.h,
/// "struct vfio_info_cap_header"). Offsets come from outside, so each is checked before it is followed.
class InfoReply {
 public:
  InfoReply() = default;
  explicit InfoReply(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}

  /// The fixed part; what the reply is too short for is zero.
  template <class Fixed>
  [[nodiscard]] Fixed fixed() const {
    Fixed value{};
    std::memcpy(&value, bytes_.data(), std::min(sizeof value, bytes_.size()));
    return value;
  }

  /// The bytes behind the header of capability `id`, up to the reply's end, if the chain that starts at `first` has it.
  /// A chain that loops, goes backwards or leaves the reply ends there.
  [[nodiscard]] std::optional<std::span<const std::byte>> capability(std::uint32_t first, std::uint16_t id) const;

 private:
  std::vector<std::byte> bytes_;
};

/// Runs an INFO ioctl with room for the fixed part first and, if the kernel asks for more, once again with that much.
/// `fixed` begins with argsz, which is filled in here; its other members are what the request takes as input.
/// The kernel's word for the size is bounded by `kLongestReply`.
inline constexpr std::size_t kLongestReply = 64 * 1024;
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

}  // namespace pollux::vfio
