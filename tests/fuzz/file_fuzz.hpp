// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pollux::test {

/// Opens the port "`scheme`FILE" with the input in the file, starts it, polls until it has been silent for a while,
/// and closes it. Whatever is in the file: an error that says so, or frames that are sound.
void live_on_file(std::string_view scheme, const std::uint8_t* data, std::size_t size);

}  // namespace pollux::test
