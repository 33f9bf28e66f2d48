// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pollux::test {

/// A broadcast frame (without FCS), and where a card that splits headers from frames splits it.
struct SplittableFrame {
  std::string name;
  std::vector<std::uint8_t> bytes;
  std::size_t header = 0;  ///< bytes of its headers; 0: it is not split
  bool on_qemu = true;     ///< QEMU's card does the same
};

/// Frames of at least 60 bytes of every type that the 82576 splits, and of types that it does not.
[[nodiscard]] std::vector<SplittableFrame> splittable_frames();
/// A TCP segment over IPv4 with `payload` bytes of data. Its headers have 54 bytes.
[[nodiscard]] std::vector<std::uint8_t> tcp_segment(std::size_t payload);
/// A TCP segment over IPv4 of 114 bytes of headers and no data.
[[nodiscard]] std::vector<std::uint8_t> tcp_headers_alone();
/// A TCP segment whose header says that it is longer than the frame. It is not split. QEMU's card loses it.
[[nodiscard]] std::vector<std::uint8_t> cut_tcp_segment();

}  // namespace pollux::test
