// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace pollux::test {

/// Compares the library's packet parser with that of the in-process card; the two share no code. Returns a description
/// of the first error: impossible offsets, or a packet type or checksum status that differs from the card's. Returns an
/// empty text if there is none. If the frame has tags that the card does not skip, only the offsets are checked. The
/// frame may have any bytes.
[[nodiscard]] std::string disagreement(std::span<const std::uint8_t> frame);

}  // namespace pollux::test
