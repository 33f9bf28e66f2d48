// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_registry.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "mem/huge_pages.hpp"

namespace pollux {
namespace {

constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, Linux 5.14; missing in older C library headers

/// Reserves address space without pages: anywhere if `where` is null, else in place of what is mapped there.
void* reserve_at(void* where, std::size_t size) {
  const int fixed = where == nullptr ? 0 : MAP_FIXED;
  return ::mmap(where, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
}

off_t as_offset(std::uint64_t value) { return static_cast<off_t>(value); }

/// The largest file that this process may create. Exceeding it raises a signal.
std::size_t largest_file() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ~std::size_t{0};
  return static_cast<std::size_t>(limit.rlim_cur);
}

Result<void> fail_no_pages(std::size_t page_size, std::size_t size, int error) {
  return fail_errno(ErrorCode::no_memory,
                    fmt::format("{} pages of {} KiB could not be allocated", size / page_size, page_size / 1024), error,
                    "request less, or raise the limits of this process's control group (memory.max and hugetlb.*.max)");
}

}  // namespace

int populate_mapping(std::byte* address, std::size_t size) {
  int result = 0;
  do {
    result = ::madvise(address, size, kPopulateWrite);
  } while (result != 0 && (errno == EINTR || errno == EAGAIN));
  return result == 0 ? 0 : errno;
}

int populate_file(int file, std::uint64_t offset, std::byte* address, std::size_t size, std::size_t page_size,
                  int node) {
  const numa::ThreadPolicy policy(node);
  int result = 0;
  do {
    result = ::fallocate(file, 0, as_offset(offset), as_offset(size));
  } while (result != 0 && errno == EINTR);
  if (result != 0) return errno;
  for (std::size_t at = 0; at < size; at += page_size) {
    *static_cast<volatile std::byte*>(address + at) = std::byte{0};
  }
  return 0;
}

Arena::Arena(std::size_t size)
    : size_(std::max(kGranule, (std::min(size, ~std::size_t{0} - kGranule) + kGranule - 1) / kGranule * kGranule)) {}

Arena::~Arena() {
  if (base_ != nullptr && is_owner()) ::munmap(base_, size_);
}

Result<void> Arena::reserve() {
  if (base_ != nullptr) return {};
  std::size_t size = size_;
  int error = EFBIG;
  for (; size >= kGranule; size = size / 2 / kGranule * kGranule) {
    if (size > largest_file()) continue;
    // Reserves one granule more, so that the base can be aligned; the excess is unmapped again.
    void* const got = reserve_at(nullptr, size + kGranule);
    if (got == MAP_FAILED) {
      error = errno;
      continue;
    }
    static_cast<void>(::madvise(got, size + kGranule, MADV_DONTFORK));
    auto* const start = static_cast<std::byte*>(got);
    const std::size_t skip = (kGranule - reinterpret_cast<std::uintptr_t>(got) % kGranule) % kGranule;
    if (skip != 0) ::munmap(start, skip);
    ::munmap(start + skip + size, kGranule - skip);
    base_ = start + skip;
    size_ = size;
    return {};
  }
  return fail_errno(ErrorCode::no_memory, "1 GiB of address space for DMA memory could not be reserved", error,
                    "raise the limits on address space and file size (`ulimit -v unlimited -f unlimited`)");
}

int Arena::descriptor(std::size_t page_size) const {
  const auto file = files_.find(page_size);
  return file == files_.end() ? -1 : file->second.get();
}

Result<void> Arena::add_file(std::size_t page_size, FileDescriptor file) {
  if (::ftruncate(file.get(), as_offset(size_)) != 0) {
    return fail_errno(ErrorCode::no_memory,
                      fmt::format("a file of {} bytes for DMA memory could not be created", size_), errno,
                      "set ContextOptions::arena_size lower");
  }
  files_.insert_or_assign(page_size, std::move(file));
  return {};
}

Result<std::byte*> Arena::place(std::size_t page_size, std::uint64_t iova, std::size_t size, int node) {
  std::byte* const address = address_of(iova);
  const int file = descriptor(page_size);
  // MAP_NORESERVE: if huge pages were reserved and could then not be populated, the reservation would stay with the
  // file, and no process could use the pages.
  constexpr int kFlags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE;
  void* const mapped = ::mmap(address, size, PROT_READ | PROT_WRITE, kFlags, file, as_offset(iova));
  Result<void> populated =
      mapped == MAP_FAILED ? fail_no_pages(page_size, size, errno) : populate(page_size, iova, size, node);
  if (populated) return address;
  remove(page_size, iova, size);
  return pass_on(std::move(populated));
}

Result<void> Arena::populate(std::size_t page_size, std::uint64_t iova, std::size_t size, int node) {
  std::byte* const address = address_of(iova);
  static_cast<void>(::madvise(address, size, MADV_DONTFORK));
  if (auto bound = numa::bind(address, size, node); !bound) return bound;
  int error = populate_mapping(address, size);
  if (error == EINVAL) error = populate_file(descriptor(page_size), iova, address, size, page_size, node);
  if (error == 0) return {};
  return fail_no_pages(page_size, size, error == EFAULT ? ENOMEM : error);
}

void Arena::remove(std::size_t page_size, std::uint64_t iova, std::size_t size) {
  std::byte* const address = address_of(iova);
  if (reserve_at(address, size) != MAP_FAILED) static_cast<void>(::madvise(address, size, MADV_DONTFORK));
  // Frees the pages: otherwise they would stay in the file, and the next piece here would not be zero.
  static_cast<void>(
      ::fallocate(descriptor(page_size), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, as_offset(iova), as_offset(size)));
}

}  // namespace pollux
