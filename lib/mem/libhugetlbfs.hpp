// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"

namespace pollux {

/// The only user of libhugetlbfs (docs/adr/0001-libhugetlbfs.md). Loads it on first use, with its symbols bound
/// locally, and only if its constructor will neither print nor change the process. Without it, memfd does the same
/// work.
/// Thread rule: one thread at a time.
class LibHugetlbfs {
 public:
  /// Creates an unlinked, close-on-exec file on a hugetlbfs mount of that page size. Returns none if the library is not
  /// installed or must not be loaded, or if no such mount is writable.
  [[nodiscard]] FileDescriptor unlinked_file(std::size_t page_size);
  /// The page sizes that the library reports, in its order; empty without it.
  [[nodiscard]] std::vector<std::size_t> page_sizes();
  [[nodiscard]] bool loaded() {
    load();
    return open_file_ != nullptr;
  }

 private:
  void load();

  bool tried_ = false;
  int (*sizes_)(long* sizes, int count) = nullptr;
  const char* (*find_mount_)(long page_size) = nullptr;
  int (*open_file_)(long page_size) = nullptr;
};

/// Whether libhugetlbfs's constructor will print nothing and change nothing: `environment` (null-terminated) has no
/// HUGETLB_ variable except HUGETLB_PATH, and the files it reads under `proc` fit its buffers (it prints an error
/// otherwise).
[[nodiscard]] bool may_load_libhugetlbfs(char* const* environment, const std::string& proc);

}  // namespace pollux
