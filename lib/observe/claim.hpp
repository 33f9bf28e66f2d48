// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::observe {

/// The default directory of sockets and names; see TelemetryOptions::directory.
[[nodiscard]] std::string default_directory();

/// A directory for which open_own_directory has been called. The sockets in it have permissions of their own.
class OwnDirectory {
 public:
  /// Creates it if there is none. Errors: those of open_own_directory.
  [[nodiscard]] static Result<OwnDirectory> open(std::string path);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_->get(); }

 private:
  OwnDirectory(std::string path, FileDescriptor descriptor)
      : path_(std::move(path)), descriptor_(std::make_shared<const FileDescriptor>(std::move(descriptor))) {}

  std::string path_;
  std::shared_ptr<const FileDescriptor> descriptor_;
};

/// A name that no other process has: a locked file NAME.lock in a directory, which contains the process id. The lock
/// ends with the process, so the file of a process that died is claimed again. Only the user can open it: others could
/// lock it, too.
class Claim {
 public:
  /// nullopt: another process has the name, or this one. Error io_error.
  [[nodiscard]] static Result<std::optional<Claim>> take(const OwnDirectory& directory, const std::string& name);
  Claim(Claim&&) noexcept = default;
  Claim& operator=(Claim&& other) noexcept;
  ~Claim();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  Claim(OwnDirectory directory, std::string name, FileDescriptor file)
      : directory_(std::move(directory)), name_(std::move(name)), file_(std::move(file)) {}

  OwnDirectory directory_;
  std::string name_;
  FileDescriptor file_;
};

/// Claims the first free name of PREFIX0, PREFIX1, ... Errors: no_memory (all of `limit` are taken), io_error.
[[nodiscard]] Result<Claim> claim_numbered(const OwnDirectory& directory, const std::string& prefix, unsigned limit);

/// Removes what processes that died have left in the directory: their sockets, and the files of their names.
void remove_stale(const OwnDirectory& directory);

}  // namespace pollux::observe
