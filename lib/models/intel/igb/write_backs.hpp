// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/dma.hpp"

namespace pollux::models::igb {

/// A queue's pending write-backs. If WTHRESH is above 1, several are performed together.
/// [I-M-WTHRESH] They are performed when the threshold is reached, on SWFLUSH, when the queue is disabled, and when the
/// moderation interval of the queue's vector has passed since the first of them. An interval of zero performs them at
/// once. Without a vector there is no interval. I210 datasheet, 7.1.4.4 and 7.2.2.6.
class WriteBacks {
 public:
  /// Adds a write-back of 8 or 16 bytes, depending on `what`.
  void add(ModelAccess what, std::uint64_t iova, std::span<const std::byte> bytes) {
    Entry& entry = entries_.emplace_back();
    entry.what = what;
    entry.iova = iova;
    entry.size = bytes.size();
    std::memcpy(entry.bytes.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  /// Performs all pending write-backs in order. False if there were none.
  bool flush(Dma& dma, std::uint32_t queue) {
    if (entries_.empty()) return false;
    for (const Entry& entry : entries_) {
      dma.write(entry.what, queue, entry.iova, std::span(entry.bytes).first(entry.size));
    }
    entries_.clear();
    return true;
  }
  void discard() noexcept { entries_.clear(); }

 private:
  struct Entry {
    ModelAccess what = ModelAccess::receive_write_back;
    std::uint64_t iova = 0;
    std::size_t size = 0;
    std::array<std::byte, hw::kDescriptorBytes> bytes{};
  };
  std::vector<Entry> entries_;
};

}  // namespace pollux::models::igb
