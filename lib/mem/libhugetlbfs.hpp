// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"

namespace pollux {

/// The fence around libhugetlbfs (docs/adr/0001-libhugetlbfs.md): it is loaded on first use, with its symbols bound
/// locally, and only where its constructor neither prints nor changes the process. Where it is not, memfd does the same
/// work. Thread rule: one thread at a time.
class LibHugetlbfs {
 public:
  /// An unlinked file on a hugetlbfs mount of that page size, closed on exec; none where the library is not installed,
  /// must not be loaded, or knows no mount that this process may write to.
  [[nodiscard]] FileDescriptor unlinked_file(std::size_t page_size);
  /// The sizes it reports, in its order; empty without it.
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

/// Whether libhugetlbfs's constructor would stay silent and change nothing: no HUGETLB_ variable but HUGETLB_PATH is
/// set in `environment` (null-terminated), and what it reads under `proc` fits its buffers, since it prints an error
/// otherwise.
[[nodiscard]] bool may_load_libhugetlbfs(char* const* environment, const std::string& proc);

}  // namespace pollux
