// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "gro_sequences.hpp"

namespace pollux::test {

/// Puts an 802.1Q tag, usually that of the others, into most of the frames; a few get an 802.1ad tag, or two tags. The
/// same seed makes the same tags.
void tag_some(std::vector<SequenceFrame>& frames, std::uint64_t seed);

/// Inserts a tag after the addresses.
void insert_tag(std::vector<std::uint8_t>& frame, std::uint16_t protocol, std::uint16_t control);

}  // namespace pollux::test
