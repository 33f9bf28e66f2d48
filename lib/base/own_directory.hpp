// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Opens a directory that belongs to this user, who alone may write to it, or creates it. Files that are opened
/// relative to it are those of the directory that was checked, whatever happens to its path. Errors: permission_denied
/// (it belongs to another user, or others may write to it; a symbolic link is not followed), io_error. `hint`: what to
/// do.
[[nodiscard]] Result<FileDescriptor> open_own_directory(const std::string& path, const std::string& hint);

}  // namespace pollux
