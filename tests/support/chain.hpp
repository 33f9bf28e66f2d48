// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "pollux/mem/mbuf.hpp"

namespace pollux::test {

/// `bytes` in mbufs of `from`, a pool or a cache: `first` of them in the first mbuf, `step` in each other.
template <class Source, class Bytes>
[[nodiscard]] MbufPtr make_chain(Source& from, const Bytes& bytes, std::size_t first, std::size_t step) {
  MbufPtr frame;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t part = std::min(at == 0 ? first : step, bytes.size() - at);
    MbufPtr segment = from.allocate();
    std::memcpy(segment->append(static_cast<std::uint32_t>(part)), bytes.data() + at, part);
    at += part;
    if (frame == nullptr) {
      frame = std::move(segment);
    } else {
      EXPECT_TRUE(frame->chain(segment));
    }
  }
  return frame;
}

}  // namespace pollux::test
