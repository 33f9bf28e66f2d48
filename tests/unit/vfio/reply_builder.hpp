// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio::test {

/// Builds the reply of a VFIO INFO ioctl: a structure followed by capabilities.
class ReplyBuilder {
 public:
  explicit ReplyBuilder(std::size_t fixed) : fixed_(fixed), bytes_(fixed) {}
  /// Appends a capability and returns its offset.
  std::uint32_t add(std::uint16_t id, const std::vector<std::byte>& body);
  void set_next(std::uint32_t capability, std::uint32_t next);
  /// The capabilities alone, without the fixed part.
  [[nodiscard]] std::vector<std::byte> tail() const;
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::size_t fixed_;
  std::size_t last_ = 0;
  std::vector<std::byte> bytes_;
};

[[nodiscard]] std::vector<std::byte> iova_ranges(const std::vector<IovaRange>& ranges);
[[nodiscard]] std::vector<std::byte> one_number(std::uint32_t number);
[[nodiscard]] std::vector<std::byte> sparse_areas(const std::vector<std::array<std::uint64_t, 2>>& areas);

}  // namespace pollux::vfio::test
