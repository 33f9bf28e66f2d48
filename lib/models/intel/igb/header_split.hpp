// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/registers.hpp"
#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;
namespace intel = pollux::hw::intel;

/// Where the headers of a frame end that a queue with header splitting splits: bytes from the frame's start. 0: the
/// frame is of no type that `types` has, or its headers are longer than the write-back can say.
[[nodiscard]] std::uint16_t split_point(std::span<const std::byte> frame, const Headers& headers,
                                        hw::PSRTYPE::Value types, hw::RFCTL::Value control) noexcept;

/// What becomes of a frame in a queue with header splitting.
struct SplitFrame {
  std::size_t header_bytes = 0;  ///< that go to the header buffer
  std::uint16_t reported = 0;    ///< the length in the write-back
  bool found = false;            ///< the headers' end was found (SPH)
  bool overflows = false;        ///< but the headers are longer than their buffer (HBO)
};

/// `frame_bytes`: of the whole frame. `header`: from `split_point`. `room`: of the header buffer. `always`: the header
/// buffer is used for frames that are not split, too (SRRCTL.DESCTYPE 5). 82575 manual, table 33.
[[nodiscard]] SplitFrame split_frame(std::size_t frame_bytes, std::uint16_t header, std::size_t room,
                                     bool always) noexcept;

}  // namespace pollux::models::igb
