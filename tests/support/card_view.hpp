// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace pollux::test {

/// What is wrong with the library's view of a frame: offsets that cannot be, or a packet type or a verdict on a
/// checksum that the in-process card, whose parser shares no code with the library's, does not have. Empty if nothing
/// is. Frames behind tags that the card does not look behind are only held to what offsets can be. Any bytes do.
[[nodiscard]] std::string disagreement(std::span<const std::uint8_t> frame);

}  // namespace pollux::test
