// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "pollux/mem/mbuf.hpp"

namespace pollux {

/// Whether nobody else uses a segment's bytes.
[[nodiscard]] inline bool is_own(Mbuf& segment) noexcept {
  if (segment.is_shared()) return false;
  Mbuf* const root = MbufAccess::root(segment);
  return (MbufAccess::special(root != nullptr ? *root : segment) & MbufAccess::kExternal) == 0;
}

/// Accesses the bytes of a frame by offset. The frame is contiguous or a chain of mbufs.
class FrameBytes {
 public:
  explicit FrameBytes(Mbuf& frame) noexcept : segment_(&frame), size_(frame.packet_length()) {}
  explicit FrameBytes(std::span<std::uint8_t> frame) noexcept : flat_(frame), size_(frame.size()) {}
  /// The same for a frame of which no byte is written.
  [[nodiscard]] static FrameBytes to_read(const Mbuf& frame) noexcept { return FrameBytes(const_cast<Mbuf&>(frame)); }
  [[nodiscard]] static FrameBytes to_read(std::span<const std::uint8_t> frame) noexcept {
    return FrameBytes(std::span(const_cast<std::uint8_t*>(frame.data()), frame.size()));
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Calls `use(bytes, segment)` for each contiguous part from offset `from` to `to`, both within the frame. `segment`
  /// is nullptr if the frame is not an mbuf.
  template <class Use>
  void for_each(std::size_t from, std::size_t to, Use use) const {
    if (segment_ == nullptr) return use(flat_.subspan(from, to - from), static_cast<Mbuf*>(nullptr));
    std::size_t start = 0;
    for (Mbuf* segment = segment_; segment != nullptr && start < to; segment = segment->next()) {
      const std::size_t end = start + segment->length();
      if (end > from) {
        const std::size_t first = std::max(from, start);
        use(segment->bytes().subspan(first - start, std::min(to, end) - first), segment);
      }
      start = end;
    }
  }

  /// Copies the bytes from `offset` on; all of them are in the frame.
  void read(std::size_t offset, std::span<std::uint8_t> out) const {
    auto to = out.begin();
    for_each(offset, offset + out.size(),
             [&to](std::span<std::uint8_t> piece, Mbuf*) { to = std::copy(piece.begin(), piece.end(), to); });
  }
  void write(std::size_t offset, std::span<const std::uint8_t> in) const {
    auto from = in.begin();
    for_each(offset, offset + in.size(), [&from](std::span<std::uint8_t> piece, Mbuf*) {
      std::copy_n(from, piece.size(), piece.begin());
      from += static_cast<std::ptrdiff_t>(piece.size());
    });
  }
  [[nodiscard]] std::uint8_t read8(std::size_t offset) const {
    std::uint8_t byte = 0;
    read(offset, {&byte, 1});
    return byte;
  }
  /// A number in network byte order.
  [[nodiscard]] std::uint16_t read16(std::size_t offset) const {
    std::uint8_t bytes[2] = {};
    read(offset, bytes);
    return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
  }
  void write16(std::size_t offset, std::uint16_t number) const {
    const std::uint8_t bytes[] = {static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
    write(offset, bytes);
  }

 private:
  Mbuf* segment_ = nullptr;
  std::span<std::uint8_t> flat_;
  std::size_t size_;
};

}  // namespace pollux
