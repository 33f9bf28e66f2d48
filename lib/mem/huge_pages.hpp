// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "mem/libhugetlbfs.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// Huge pages of one size, as the kernel counts them.
struct HugePagePool {
  std::size_t page_size = 0;     ///< bytes
  std::uint64_t configured = 0;  ///< pages set aside (nr_hugepages)
  std::uint64_t available =
      0;  ///< pages nobody has or has reserved, and those that the kernel may still make (overcommit)
};

/// Where the kernel tells of its huge pages; a test gives a directory of its own.
struct HugePagePaths {
  std::string machine = "/sys/kernel/mm/hugepages";
  std::string nodes = "/sys/devices/system/node";
  bool use_library = true;  ///< false: ask only these directories, and take every file from memfd_create
};

/// The machine's huge pages: which there are, and files made of them.
/// Thread rule: one thread at a time.
class HugePageSource {
 public:
  explicit HugePageSource(HugePagePaths paths = {}) : paths_(std::move(paths)) {}

  /// Every size that the machine has, smallest first. `node` >= 0 counts the pages of that NUMA node alone.
  [[nodiscard]] std::vector<HugePagePool> pools(int node = -1);
  /// An empty file whose pages have `page_size` bytes; it has no name in any file system and is closed on exec.
  /// Through libhugetlbfs where a mount can be written to, as a memfd otherwise.
  [[nodiscard]] Result<FileDescriptor> open_file(std::size_t page_size);
  /// The command that makes `missing` more pages available than `pool` has now.
  [[nodiscard]] std::string command_for(const HugePagePool& pool, std::uint64_t missing, int node) const;

 private:
  [[nodiscard]] std::vector<std::size_t> sizes();
  [[nodiscard]] std::string directory(std::size_t page_size, int node) const;

  HugePagePaths paths_;
  LibHugetlbfs library_;
};

/// An empty nameless file of ordinary pages (0) or of huge pages, closed on exec.
[[nodiscard]] Result<FileDescriptor> open_memory_file(std::size_t huge_page_size);

/// Bytes in the unit that fits: "2 MiB", "4 KiB".
[[nodiscard]] std::string readable_size(std::uint64_t bytes);

}  // namespace pollux
