// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// The only user of libnuma. It calls only the library's bitmasks and mbind(), since other functions print errors.
namespace numa {

/// Whether `node` is valid: -1 (any node) always is, and so is 0 on a machine without NUMA. Error: invalid_argument.
[[nodiscard]] Result<void> check_node(int node);

/// Allocates future pages of the mapping only on `node`; does nothing for -1. Error: invalid_argument if the node has
/// no memory.
[[nodiscard]] Result<void> bind(std::byte* address, std::size_t size, int node);

/// While it exists, the kernel allocates pages for the calling thread on `node`; does nothing for -1. For fallocate on
/// huge pages, which has no mapping and so no mbind.
class ThreadPolicy {
 public:
  explicit ThreadPolicy(int node);
  ThreadPolicy(const ThreadPolicy&) = delete;
  ThreadPolicy& operator=(const ThreadPolicy&) = delete;
  ~ThreadPolicy();

 private:
  static constexpr std::size_t kWords = 64;  // 4,096 nodes, more than any kernel is built for
  unsigned long saved_mask_[kWords] = {};
  int saved_mode_ = 0;
  bool changed_ = false;
};

}  // namespace numa

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

/// Huge pages of one size, as the kernel counts them.
struct HugePagePool {
  std::size_t page_size = 0;     ///< bytes
  std::uint64_t configured = 0;  ///< pages in the pool (nr_hugepages)
  /// Free pages that are not reserved, and those that the kernel may still add (overcommit).
  std::uint64_t available = 0;
};

/// Where the kernel reports its huge pages; tests use directories of their own.
struct HugePagePaths {
  std::string machine = "/sys/kernel/mm/hugepages";
  std::string nodes = "/sys/devices/system/node";
  bool use_library = true;  ///< false: read only these directories, and create every file with memfd_create
};

/// Lists the machine's huge pages and creates files of them.
class HugePageSource {
 public:
  explicit HugePageSource(HugePagePaths paths = {}) : paths_(std::move(paths)) {}

  /// The pools of all sizes, smallest first. `node` >= 0 counts only the pages of that NUMA node.
  [[nodiscard]] std::vector<HugePagePool> pools(int node = -1);
  /// Creates an empty file whose pages have `page_size` bytes. It has no name in any file system and is close-on-exec.
  /// Uses libhugetlbfs if a hugetlbfs mount is writable, else memfd_create.
  [[nodiscard]] Result<FileDescriptor> open_file(std::size_t page_size);
  /// The command that adds `missing` pages to `pool`.
  [[nodiscard]] std::string command_for(const HugePagePool& pool, std::uint64_t missing, int node) const;
  /// The file that has the number of the pool's pages, to which that command writes.
  [[nodiscard]] std::string count_file(const HugePagePool& pool, int node) const;

 private:
  [[nodiscard]] std::vector<std::size_t> sizes();
  [[nodiscard]] std::string directory(std::size_t page_size, int node) const;

  HugePagePaths paths_;
  LibHugetlbfs library_;
};

/// Creates an empty unnamed file of huge pages, or of ordinary pages if `huge_page_size` is 0; close-on-exec.
[[nodiscard]] Result<FileDescriptor> open_memory_file(std::size_t huge_page_size);

/// A size with the largest fitting unit: "2 MiB", "4 KiB".
[[nodiscard]] std::string readable_size(std::uint64_t bytes);

}  // namespace pollux
