// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "mem/huge_pages.hpp"

namespace pollux::test {

/// A temporary directory that the destructor removes with its contents.
class TemporaryDirectory {
 public:
  TemporaryDirectory() : path_((std::filesystem::temp_directory_path() / "pollux-test-XXXXXX").string()) {
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The kernel's counts of huge pages, with values that a test sets.
class FakeHugePages {
 public:
  struct Counts {
    std::uint64_t configured = 0;
    std::uint64_t free = 0;
    std::uint64_t reserved = 0;
    std::uint64_t surplus = 0;
    std::uint64_t overcommit = 0;
  };

  FakeHugePages() { std::filesystem::create_directories(machine()); }

  void set(std::size_t page_size, const Counts& counts) const { write(machine(), page_size, counts); }
  void set_on_node(int node, std::size_t page_size, const Counts& counts) const {
    write(directory_.path() + "/nodes/node" + std::to_string(node) + "/hugepages", page_size, counts);
  }
  void make_directory(const std::string& name) const { std::filesystem::create_directories(machine() + "/" + name); }
  [[nodiscard]] HugePagePaths paths() const {
    return {.machine = machine(), .nodes = directory_.path() + "/nodes", .use_library = false};
  }

 private:
  [[nodiscard]] std::string machine() const { return directory_.path() + "/machine"; }
  static void write(const std::string& parent, std::size_t page_size, const Counts& counts) {
    const std::string at = parent + "/hugepages-" + std::to_string(page_size / 1024) + "kB";
    std::filesystem::create_directories(at);
    std::ofstream(at + "/nr_hugepages") << counts.configured << '\n';
    std::ofstream(at + "/free_hugepages") << counts.free << '\n';
    std::ofstream(at + "/resv_hugepages") << counts.reserved << '\n';
    std::ofstream(at + "/surplus_hugepages") << counts.surplus << '\n';
    std::ofstream(at + "/nr_overcommit_hugepages") << counts.overcommit << '\n';
  }

  TemporaryDirectory directory_;
};

}  // namespace pollux::test
