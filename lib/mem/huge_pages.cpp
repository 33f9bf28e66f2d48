// SPDX-License-Identifier: BSD-3-Clause
#include "mem/huge_pages.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <climits>
#include <filesystem>
#include <fstream>
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

/// memfd_create(2), uapi/linux/memfd.h; missing in C libraries that are older than the kernel.
constexpr unsigned kNoExecSeal = 0x0008;
constexpr unsigned kHugeShift = 26;

std::uint64_t read_count(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t count = 0;
  return file >> count ? count : 0;
}

/// The page size in a directory's name such as "hugepages-2048kB"; 0 for any other name.
std::size_t size_in_name(std::string_view name) {
  constexpr std::string_view kPrefix = "hugepages-";
  constexpr std::string_view kSuffix = "kB";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return 0;
  const char* const first = name.data() + kPrefix.size();
  const char* const last = name.data() + name.size() - kSuffix.size();
  std::size_t kibibytes = 0;
  const auto [end, error] = std::from_chars(first, last, kibibytes);
  return error == std::errc() && end == last && std::has_single_bit(kibibytes) ? kibibytes * 1024 : 0;
}

}  // namespace

namespace numa {
namespace {

constexpr std::size_t kBitsPerWord = sizeof(unsigned long) * CHAR_BIT;

template <std::size_t Words>
void set_node(unsigned long (&mask)[Words], int node) {
  const auto bit = static_cast<std::size_t>(node);
  mask[bit / kBitsPerWord] |= 1UL << (bit % kBitsPerWord);
}

/// The mask's size as the kernel expects it: one more than the number of bits.
template <std::size_t Words>
constexpr unsigned long bits(const unsigned long (&)[Words]) {
  return Words * kBitsPerWord + 1;
}

bool machine_has_numa() { return numa_available() >= 0; }

}  // namespace

Result<void> check_node(int node) {
  if (node == -1) return {};
  const bool numa = machine_has_numa();
  const int last = numa ? numa_max_node() : 0;
  const bool exists =
      node >= 0 && node <= last && (!numa || numa_bitmask_isbitset(numa_nodes_ptr, static_cast<unsigned>(node)) != 0);
  if (exists) return {};
  return fail(
      ErrorCode::invalid_argument, fmt::format("NUMA node {} does not exist", node),
      numa ? fmt::format("this machine's highest node is {} (`numactl --hardware` lists them); -1 leaves the choice "
                         "to the kernel",
                         last)
           : std::string("this machine has no NUMA; use 0 or -1"));
}

Result<void> bind(std::byte* address, std::size_t size, int node) {
  if (node < 0 || !machine_has_numa()) return {};
  unsigned long mask[64] = {};
  set_node(mask, node);
  if (::mbind(address, size, MPOL_BIND, mask, bits(mask), 0) == 0) return {};
  const int error = errno;
  if (error == ENOSYS || error == EPERM)
    return {};  // a kernel without NUMA policies has one node; some sandboxes forbid mbind
  return fail_errno(ErrorCode::invalid_argument, fmt::format("memory cannot be allocated on NUMA node {}", node), error,
                    "choose a node that has memory and that this process's cpuset allows, or -1");
}

ThreadPolicy::ThreadPolicy(int node) {
  if (node < 0 || !machine_has_numa()) return;
  if (::get_mempolicy(&saved_mode_, saved_mask_, bits(saved_mask_), nullptr, 0) != 0) return;
  unsigned long mask[kWords] = {};
  set_node(mask, node);
  changed_ = ::set_mempolicy(MPOL_BIND, mask, bits(mask)) == 0;
}

ThreadPolicy::~ThreadPolicy() {
  if (changed_) static_cast<void>(::set_mempolicy(saved_mode_, saved_mask_, bits(saved_mask_)));
}

}  // namespace numa

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

std::string readable_size(std::uint64_t bytes) {
  constexpr std::uint64_t kKibi = 1024;
  if (bytes >= kKibi * kKibi * kKibi && bytes % (kKibi * kKibi * kKibi) == 0) return fmt::format("{} GiB", bytes >> 30);
  if (bytes >= kKibi * kKibi && bytes % (kKibi * kKibi) == 0) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} KiB", (bytes + kKibi - 1) / kKibi);
}

std::string HugePageSource::directory(std::size_t page_size, int node) const {
  const std::string parent = node < 0 ? paths_.machine : fmt::format("{}/node{}/hugepages", paths_.nodes, node);
  return fmt::format("{}/hugepages-{}kB", parent, page_size / 1024);
}

std::vector<std::size_t> HugePageSource::sizes() {
  std::vector<std::size_t> sizes = paths_.use_library ? library_.page_sizes() : std::vector<std::size_t>();
  if (sizes.empty()) {
    std::error_code ignored;  // the directory does not exist: the kernel has no huge pages
    for (const auto& entry : std::filesystem::directory_iterator(paths_.machine, ignored)) {
      const std::size_t size = size_in_name(entry.path().filename().string());
      if (size != 0) sizes.push_back(size);
    }
  }
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

std::vector<HugePagePool> HugePageSource::pools(int node) {
  std::vector<HugePagePool> pools;
  for (const std::size_t size : sizes()) {
    HugePagePool pool;
    pool.page_size = size;
    const std::string machine = directory(pool.page_size, -1);
    const std::string counted = directory(pool.page_size, node);
    const std::uint64_t overcommit = read_count(machine + "/nr_overcommit_hugepages");
    const std::uint64_t surplus = read_count(machine + "/surplus_hugepages");
    // Reservations are not tied to a node, so all of the machine's may have to come from this one.
    const std::uint64_t reserved = read_count(machine + "/resv_hugepages");
    const std::uint64_t free = read_count(counted + "/free_hugepages");
    pool.configured = read_count(counted + "/nr_hugepages");
    pool.available = free - std::min(free, reserved) + overcommit - std::min(overcommit, surplus);
    pools.push_back(pool);
  }
  return pools;
}

Result<FileDescriptor> HugePageSource::open_file(std::size_t page_size) {
  FileDescriptor file = paths_.use_library ? library_.unlinked_file(page_size) : FileDescriptor();
  if (file) return file;
  return open_memory_file(page_size);
}

std::string HugePageSource::command_for(const HugePagePool& pool, std::uint64_t missing, int node) const {
  return fmt::format("echo {} > {}", pool.configured + missing, count_file(pool, node));
}

std::string HugePageSource::count_file(const HugePagePool& pool, int node) const {
  return directory(pool.page_size, node) + "/nr_hugepages";
}

Result<FileDescriptor> open_memory_file(std::size_t huge_page_size) {
  unsigned flags = MFD_CLOEXEC;
  if (huge_page_size != 0) {
    flags |= MFD_HUGETLB | static_cast<unsigned>(std::countr_zero(huge_page_size)) << kHugeShift;
  }
  // Not executable, if the kernel supports that (6.3): some systems allow no other memfd.
  int number = ::memfd_create("pollux", flags | kNoExecSeal);
  if (number < 0 && errno == EINVAL) number = ::memfd_create("pollux", flags);
  if (number >= 0) return FileDescriptor(number);
  const int error = errno;
  if (huge_page_size == 0) return fail_errno(ErrorCode::no_memory, "a file for DMA memory cannot be created", error);
  return fail_errno(error == ENODEV || error == EINVAL ? ErrorCode::not_supported : ErrorCode::no_memory,
                    fmt::format("a file of {} huge pages cannot be created", readable_size(huge_page_size)), error,
                    "boot with hugepagesz= for that size, or choose one that /sys/kernel/mm/hugepages lists");
}

}  // namespace pollux
