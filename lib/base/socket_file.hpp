// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <string>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Opens the directory that a socket's path is in. It has to be root's or this user's, and others may not write to it,
/// unless it is sticky, as /tmp: they could put a link in the socket's place before its owner and mode are set. Errors:
/// permission_denied, io_error (it cannot be opened). `hint`: what to do.
[[nodiscard]] Result<FileDescriptor> open_directory_of(const std::string& path, const std::string& hint);

/// Gives the socket that this process has bound at `path`, in that directory, its mode, owner and group (-1: as they
/// are). Whatever else has the name is left as it is. Returns an error of errno(3), or 0.
[[nodiscard]] int give_socket(const FileDescriptor& directory, const std::string& path, mode_t mode, uid_t user,
                              gid_t group) noexcept;

}  // namespace pollux
