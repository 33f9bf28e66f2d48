// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/mem/mbuf.hpp"
#include "pollux/net/drops.hpp"

namespace pollux {

/// A frame that a driver builds from the buffers in which it has arrived: its segments, and why it will be dropped.
struct BuiltFrame {
  Mbuf* head = nullptr;
  Mbuf* tail = nullptr;
  std::uint32_t segments = 0;
  std::uint32_t bytes = 0;
  RxDrop why = nullptr;

  /// `segment`: with its offset and length. At most 255.
  void add(Mbuf& segment) noexcept {
    if (head == nullptr) {
      head = tail = &segment;
    } else {
      MbufAccess::special(*head) |= MbufAccess::kMultiSegment;
      MbufAccess::special(segment) = MbufAccess::kMultiSegment;
      MbufAccess::next(*tail) = &segment;
      MbufAccess::next(segment) = nullptr;
      tail = &segment;
    }
    ++segments;
    bytes += segment.length();
    if (segments < 2) return;
    MbufAccess::segment_count(*head) = static_cast<std::uint8_t>(segments);
    MbufAccess::packet_length(*head) = bytes;
  }
};

}  // namespace pollux
