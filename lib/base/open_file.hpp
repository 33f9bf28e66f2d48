// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

/// Opens the files that a user names: captures and recordings. Only regular files, since a program must not block on a
/// pipe or a terminal, nor read a device without end. `name` is what the file is for, for messages. Errors: not_found,
/// permission_denied, invalid_argument (not a regular file), io_error.
namespace pollux {

/// Opens a file for reading. While it is open, open_output_file rejects it.
[[nodiscard]] Result<FileDescriptor> open_input_file(const std::string& path, std::string_view name);

/// Creates a file, or truncates it. Error busy: a part of this or another process writes it or reads it, and opened it
/// by these functions.
[[nodiscard]] Result<FileDescriptor> open_output_file(const std::string& path, std::string_view name);

}  // namespace pollux
