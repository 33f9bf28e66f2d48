// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"

/// Copies of an NVM in files: its words, low byte first, and nothing else, as `ethtool --eeprom-dump DEVICE raw on`
/// writes them.
namespace pollux::tool {

using NvmWords = std::vector<std::uint16_t>;

[[nodiscard]] std::string to_bytes(std::span<const std::uint16_t> words);
/// Creates `path`, or replaces it. Error io_error.
[[nodiscard]] Result<void> save_copy(const std::string& path, std::span<const std::uint16_t> words);
/// Saves a copy to a file that does not exist yet: `stem`.bin, or with a number before the extension. Returns its name.
[[nodiscard]] Result<std::string> save_new_copy(const std::string& stem, std::span<const std::uint16_t> words);
/// Errors: not_found, permission_denied, io_error, invalid_argument (not a regular file, too long, or not a whole
/// number of words).
[[nodiscard]] Result<NvmWords> load_copy(const std::string& path);

}  // namespace pollux::tool
