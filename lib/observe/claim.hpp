// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::observe {

/// The default directory of sockets and names; see TelemetryOptions::directory.
[[nodiscard]] std::string default_directory();
/// Creates the directory. Errors: permission_denied (it belongs to another user, or others may write to it), io_error.
[[nodiscard]] Result<void> prepare_directory(const std::string& directory);

/// A name that no other process has: a locked file NAME.lock in a directory, which contains the process id. The lock
/// ends with the process, so the file of a process that died is claimed again.
class Claim {
 public:
  /// nullopt: another process has the name, or this one. Error io_error.
  [[nodiscard]] static Result<std::optional<Claim>> take(const std::string& directory, const std::string& name);
  Claim(Claim&&) noexcept = default;
  Claim& operator=(Claim&& other) noexcept;
  ~Claim();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

 private:
  Claim(const std::string& directory, std::string name, FileDescriptor file)
      : path_(directory + '/' + name + ".lock"), name_(std::move(name)), file_(std::move(file)) {}

  std::string path_;
  std::string name_;
  FileDescriptor file_;
};

/// Claims the first free name of PREFIX0, PREFIX1, ... Errors: no_memory (all of `limit` are taken), io_error.
[[nodiscard]] Result<Claim> claim_numbered(const std::string& directory, const std::string& prefix, unsigned limit);

/// Removes what processes that died have left in the directory: their sockets, and the files of their names.
void remove_stale(const std::string& directory);

}  // namespace pollux::observe
