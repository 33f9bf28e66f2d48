// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

#include "pollux/base/error.hpp"

/// The text files below RUN/pollux, by which a process tells later ones what it has changed.
namespace pollux::pci::record_file {

/// The error of a system call on `file`, with a hint.
[[nodiscard]] tl::unexpected<Error> cannot_write(const std::filesystem::path& file, int error);

/// Makes the file's directory. Errors: `permission_denied`, `io_error`.
[[nodiscard]] Result<void> make_directory_of(const std::filesystem::path& file);

/// Makes the directory, and replaces the file atomically. Everybody may read it. Errors: `permission_denied`,
/// `io_error`.
[[nodiscard]] Result<void> replace(const std::filesystem::path& file, const std::string& text);

}  // namespace pollux::pci::record_file
