// SPDX-License-Identifier: BSD-3-Clause
#include "mem/libhugetlbfs.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <string_view>

namespace pollux {
namespace {

constexpr const char* kName = "libhugetlbfs.so.0";

/// libhugetlbfs reads /proc/mounts in blocks of 2,048 bytes, each of which must hold a whole line (a container's
/// overlay mount may be longer), and /proc/meminfo in one block.
constexpr std::size_t kBuffer = 2048;

template <class Function>
Function* symbol(void* library, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

}  // namespace

bool may_load_libhugetlbfs(char* const* environment, const std::string& proc) {
  for (char* const* variable = environment; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view setting = *variable;
    if (setting.starts_with("HUGETLB_") && !setting.starts_with("HUGETLB_PATH=")) return false;
  }
  std::ifstream mounts(proc + "/mounts");
  std::ifstream meminfo(proc + "/meminfo");
  if (!mounts || !meminfo) return false;
  for (std::string line; std::getline(mounts, line);) {
    if (line.size() >= kBuffer - 1) return false;
  }
  std::size_t bytes = 0;
  for (std::string line; std::getline(meminfo, line);) bytes += line.size() + 1;
  return bytes < kBuffer;
}

void LibHugetlbfs::load() {
  if (tried_) return;
  tried_ = true;
  // RTLD_NODELETE: the library leaves pointers to itself in the process. RTLD_NOLOAD first: if the library is loaded
  // already, its constructor has already run.
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
  void* library = ::dlopen(kName, kFlags | RTLD_NOLOAD);
  if (library == nullptr && may_load_libhugetlbfs(environ, "/proc")) library = ::dlopen(kName, kFlags);
  if (library == nullptr) return;
  sizes_ = symbol<int(long*, int)>(library, "gethugepagesizes");
  find_mount_ = symbol<const char*(long)>(library, "hugetlbfs_find_path_for_size");
  open_file_ = symbol<int(long)>(library, "hugetlbfs_unlinked_fd_for_size");
}

std::vector<std::size_t> LibHugetlbfs::page_sizes() {
  load();
  std::array<long, 16> sizes{};
  const int count = sizes_ == nullptr ? 0 : sizes_(sizes.data(), static_cast<int>(sizes.size()));
  std::vector<std::size_t> result;
  for (int i = 0; i < count; ++i) result.push_back(static_cast<std::size_t>(sizes[static_cast<std::size_t>(i)]));
  return result;
}

FileDescriptor LibHugetlbfs::unlinked_file(std::size_t page_size) {
  load();
  if (find_mount_ == nullptr || open_file_ == nullptr) return {};
  const auto size = static_cast<long>(page_size);
  const char* const mount = find_mount_(size);
  // Checked first, since the library prints a message if it cannot create the file.
  if (mount == nullptr || ::access(mount, W_OK | X_OK) != 0) return {};
  FileDescriptor file(open_file_(size));
  // The library uses mkstemp, which leaves the descriptor open across exec.
  if (file) static_cast<void>(::fcntl(file.get(), F_SETFD, FD_CLOEXEC));
  return file;
}

}  // namespace pollux
