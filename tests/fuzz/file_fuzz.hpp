// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pollux::test {

/// Writes the input to a file, opens the port "`scheme`FILE", starts it, polls until no frames arrive for some time,
/// and closes it. Each file must give an error with a text, or valid frames.
void live_on_file(std::string_view scheme, const std::uint8_t* data, std::size_t size);

}  // namespace pollux::test
