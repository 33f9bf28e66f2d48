// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

/// The text files below RUN/pollux, by which a process tells later ones what it has changed.
namespace pollux::pci::record_file {

/// The error of a system call on `file`, with a hint.
[[nodiscard]] tl::unexpected<Error> cannot_write(const std::filesystem::path& file, int error);

/// Opens the directory, after that above it; both are made if there are none. Errors: those of open_own_directory.
[[nodiscard]] Result<FileDescriptor> open_directory(const std::filesystem::path& directory);

/// Makes the directory, and replaces the file atomically. Everybody may read it. Errors: `permission_denied`,
/// `io_error`.
[[nodiscard]] Result<void> replace(const std::filesystem::path& file, const std::string& text);

}  // namespace pollux::pci::record_file
