// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <ctime>
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

/// What tells a socket's file from another one that gets its name later; all zeros: there is no socket of that name.
struct SocketIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  timespec made{};  ///< since the number of a file that was removed may be used again at once
  friend bool operator==(const SocketIdentity& one, const SocketIdentity& other) noexcept {
    return one.inode == other.inode && one.device == other.device && one.made.tv_sec == other.made.tv_sec &&
           one.made.tv_nsec == other.made.tv_nsec;
  }
};
[[nodiscard]] SocketIdentity identity_of(const std::string& path) noexcept;

/// Removes that socket, unless another file has its name by now.
void remove_socket(const std::string& path, const SocketIdentity& socket) noexcept;

/// Removes a socket that nobody listens to, and leaves whatever else has the name, also a socket that got it since this
/// was found out. `type`: of the socket that is to get the name. Returns 0; EADDRINUSE if somebody listens;
/// another error of errno(3) if that cannot be found out.
[[nodiscard]] int remove_unused_socket(const std::string& path, int type);

}  // namespace pollux
