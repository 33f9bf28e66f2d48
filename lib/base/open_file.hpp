// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Opens a file that a user names, such as a capture or recording, for reading. Only regular files, since a program
/// must not block on a pipe or a terminal, nor read a device without end. `name` is what the file is for, for messages.
/// While it is open, open_output_file rejects it. Errors: not_found, permission_denied, invalid_argument (not a regular
/// file), io_error.
[[nodiscard]] Result<FileDescriptor> open_input_file(const std::string& path, std::string_view name);

/// All bytes of such a file. `limit`: how many it may have, so that a wrong file does not take all memory. Errors:
/// those of open_input_file; invalid_argument (it has more bytes), io_error.
[[nodiscard]] Result<std::string> read_input_file(const std::string& path, std::string_view name, std::size_t limit);

/// The same as open_input_file, but creates a file, or truncates it. Error busy: a part of this or another process
/// writes it or reads it, and opened it by these functions.
[[nodiscard]] Result<FileDescriptor> open_output_file(const std::string& path, std::string_view name);

/// Whether `path` is a program that this process may run. A folder has such permissions, too.
[[nodiscard]] bool is_program(const std::string& path);

/// Opens a directory that belongs to this user, who alone may write to it, or creates it. Files that are opened
/// relative to it are those of the directory that was checked, whatever happens to its path. Errors: permission_denied
/// (it belongs to another user, or others may write to it; a symbolic link is not followed), io_error. `hint`: what to
/// do.
[[nodiscard]] Result<FileDescriptor> open_own_directory(const std::string& path, const std::string& hint);

}  // namespace pollux
