// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::tool {

/// A binding that is rolled back unless it is confirmed. There is at most one on a machine. A file in
/// RUN/pollux/confirm stands for it; whoever renames it first, the confirmation or the roll-back, wins.
class PendingBinding {
 public:
  /// Error: `busy` if another binding waits for its confirmation; `permission_denied`, `io_error`.
  [[nodiscard]] static Result<PendingBinding> create(const pci::SystemPaths& paths);

  /// Confirms the binding that waits. Error: `not_found` if none does; `permission_denied`.
  [[nodiscard]] static Result<void> confirm(const pci::SystemPaths& paths);

  /// Whether it still waits.
  [[nodiscard]] bool waits() const;
  /// Ends the wait for the roll-back. Returns false if it was confirmed.
  [[nodiscard]] bool claim() const;

 private:
  PendingBinding(FileDescriptor directory, FileDescriptor lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}

  FileDescriptor directory_;  // one that was checked: record_file::open_directory
  /// A child process inherits the lock, and holds it until its end.
  FileDescriptor lock_;
};

}  // namespace pollux::tool
