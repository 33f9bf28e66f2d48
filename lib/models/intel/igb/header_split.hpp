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

/// What becomes of a frame in a queue whose descriptors have a buffer for headers.
struct SplitFrame {
  std::size_t header_bytes = 0;   ///< that go to the header buffer
  std::size_t payload_start = 0;  ///< the first byte of the frame that goes to the packet buffers
  std::uint16_t reported = 0;     ///< the length of the headers in the write-back
  bool found = false;             ///< the headers' end was found (SPH)
  bool overflows = false;         ///< but the headers are longer than their buffer (HBO)
};

/// `frame_bytes`: of the whole frame. `header`: from `split_point`. `room`: of the header buffer. `always`: the header
/// buffer is used for frames that are not split, too (SRRCTL.DESCTYPE 5). 82575 manual, table 33.
[[nodiscard]] SplitFrame split_frame(std::size_t frame_bytes, std::uint16_t header, std::size_t room,
                                     bool always) noexcept;

/// The same if the headers are copied (SRRCTL.DESCTYPE 3). The copy fills its buffer. `large_only`: a frame that fits
/// the header buffer is written there alone (SRRCTL.DESCTYPE 4). 82575 manual, 5.3.4.10 and 5.5; I210 datasheet, p.
/// 271.
[[nodiscard]] SplitFrame copy_headers(std::size_t frame_bytes, std::uint16_t header, std::size_t room,
                                      bool large_only) noexcept;

}  // namespace pollux::models::igb
