// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace pollux::models::virtio {

/// The MSI-X table and its pending bits, in one BAR. The address and data of a message are stored only. PCI Local Bus
/// Specification 3.0, 6.8.2.
class MsixTable {
 public:
  static constexpr std::uint32_t kPendingOffset = 0x800;
  static constexpr std::uint32_t kBarBytes = 0x1000;

  explicit MsixTable(unsigned vectors) : entries_(vectors) { reset(); }

  void reset() {
    entries_.assign(entries_.size(), {0, 0, 0, kMasked});
    pending_ = 0;
  }
  /// Whether the message is sent now. Otherwise the vector is masked and becomes pending.
  [[nodiscard]] bool request(unsigned vector) {
    const bool masked = (entries_[vector][kControl] & kMasked) != 0;
    if (masked) pending_ |= std::uint64_t{1} << vector;
    return !masked;
  }
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const {
    if (offset / kEntryBytes < entries_.size()) return entries_[offset / kEntryBytes][offset % kEntryBytes / 4];
    if (offset == kPendingOffset) return static_cast<std::uint32_t>(pending_);
    return offset == kPendingOffset + 4 ? static_cast<std::uint32_t>(pending_ >> 32) : 0;
  }
  /// Returns the vector whose message is due because it was pending and is no longer masked.
  [[nodiscard]] std::optional<unsigned> write(std::uint32_t offset, std::uint32_t value) {
    const unsigned vector = offset / kEntryBytes;
    if (vector >= entries_.size()) return std::nullopt;
    entries_[vector][offset % kEntryBytes / 4] = value;
    const std::uint64_t bit = std::uint64_t{1} << vector;
    if ((entries_[vector][kControl] & kMasked) != 0 || (pending_ & bit) == 0) return std::nullopt;
    pending_ &= ~bit;
    return vector;
  }

 private:
  static constexpr std::uint32_t kEntryBytes = 16;
  static constexpr std::uint32_t kControl = 3;
  static constexpr std::uint32_t kMasked = 1;

  std::vector<std::array<std::uint32_t, 4>> entries_;
  std::uint64_t pending_ = 0;
};

}  // namespace pollux::models::virtio
