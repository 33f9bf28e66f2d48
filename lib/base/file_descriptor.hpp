// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <utility>

namespace pollux {

/// Owns a file descriptor; the destructor closes it. A child made by fork(3) has none: its copies are closed at once
/// (ADR 16), so that what the parent closes ends: a queue of the kernel's, a lock, a listening socket. Objects that the
/// child has copied are empty there. A child made by _Fork(3) keeps the descriptors, and so do all children those with
/// numbers from 65,536 on. The descriptor is none of the standard streams: if its number is 0, 1 or 2, because the
/// program has closed one of them, it gets another.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number);
  FileDescriptor(FileDescriptor&& other) noexcept
      : number_(std::exchange(other.number_, -1)), process_(other.process_) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    std::swap(process_, other.process_);
    return *this;
  }
  ~FileDescriptor() {
    if (*this) close();
  }

  /// -1 if there is none.
  [[nodiscard]] int get() const noexcept { return process_ == this_process_ ? number_ : -1; }
  /// The caller closes it.
  [[nodiscard]] int release() noexcept;
  [[nodiscard]] explicit operator bool() const noexcept { return get() >= 0; }

  /// Has children of fork(3) close a descriptor that an object of another class owns, and closes by a FileDescriptor.
  static void close_in_children(int number);

 private:
  friend struct ForkHandler;
  void close() noexcept;

  /// Counts forks: another one in a child than in its parent. Written by the child's only thread.
  static constinit std::uint32_t this_process_;

  int number_ = -1;
  std::uint32_t process_ = 0;
};

}  // namespace pollux
