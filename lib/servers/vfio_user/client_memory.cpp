// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/client_memory.hpp"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace pollux::vfio_user {
namespace {

/// Avoids address + size, which could wrap.
bool is_valid(const DmaMap& request) noexcept {
  const std::uint64_t unknown = ~std::uint64_t{DmaMap::kReadable | DmaMap::kWritable};
  if (request.argsz < sizeof request || request.flags == 0 || (request.flags & unknown) != 0) return false;
  if (request.size == 0 || (request.address | request.size | request.offset) % kPageSize != 0) return false;
  return request.size - 1 <= ~std::uint64_t{0} - request.address;
}

/// The page size of a file in memory; 0 if it is none, or if the range does not lie within it. An access to a page of
/// another file may block without limit, for example in a FUSE server, and one beyond the file's end raises SIGBUS.
std::uint64_t page_of_memory(int descriptor, std::uint64_t offset, std::uint64_t size) noexcept {
  struct stat file {};
  struct statfs system {};
  if (::fstat(descriptor, &file) != 0 || !S_ISREG(file.st_mode)) return 0;
  if (::fstatfs(descriptor, &system) != 0) return 0;
  const auto bytes = static_cast<std::uint64_t>(file.st_size);
  if (size > bytes || offset > bytes - size) return 0;
  if (system.f_type == TMPFS_MAGIC) return kPageSize;
  return system.f_type == HUGETLBFS_MAGIC ? static_cast<std::uint64_t>(system.f_bsize) : 0;
}

}  // namespace

bool ClientMemory::overlaps(std::uint64_t address, std::uint64_t size) const {
  const auto after = mappings_.upper_bound(address);
  if (after != mappings_.end() && after->first - address < size) return true;
  return after != mappings_.begin() && address - std::prev(after)->first < std::prev(after)->second.size;
}

int ClientMemory::map(const DmaMap& request, std::span<FileDescriptor> descriptors) {
  if (!is_valid(request) || descriptors.size() > 1) return EINVAL;
  if (overlaps(request.address, request.size)) return EEXIST;
  if (mappings_.size() >= kMaxMappings) return ENOSPC;
  Mapping mapping{request.size};
  if (!descriptors.empty()) {
    const int file = descriptors.front().get();
    const std::uint64_t page = page_of_memory(file, request.offset, request.size);
    if (page == 0) return EINVAL;
    if ((request.flags & DmaMap::kReadable) != 0) {
      if (const int error = reach(request, file, page, mapping); error != 0) return error;
    }
  }
  mappings_.emplace(request.address, std::move(mapping));
  return 0;
}

// The kernel maps and unmaps whole pages of the file, which may be huge ones.
int ClientMemory::reach(const DmaMap& request, int file, std::uint64_t page, Mapping& mapping) {
  mapping.writable = (request.flags & DmaMap::kWritable) != 0;
  const int access = mapping.writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const std::uint64_t skipped = request.offset % page;
  const std::uint64_t length = (skipped + request.size + page - 1) / page * page;
  void* const memory =
      ::mmap(nullptr, length, access, MAP_SHARED | MAP_NORESERVE, file, static_cast<off_t>(request.offset - skipped));
  if (memory == MAP_FAILED) return errno;
  mapping.pages.emplace(std::span(static_cast<std::byte*>(memory), length));
  std::byte* const bytes = mapping.pages->bytes.data() + skipped;
  const auto mapped = domain_.map({bytes, request.address, request.size, mapping.writable});
  if (mapped) {
    mapping.memory = bytes;
    return 0;
  }
  mapping.pages.reset();
  ::munmap(memory, length);
  return !mapping.writable && mapped.error().code == ErrorCode::not_supported ? 0 : EINVAL;
}

void ClientMemory::remove(std::uint64_t address, Mapping& mapping) {
  if (mapping.memory == nullptr) return;
  // The domain has mapped the segment, so `unmap` should not fail. If it does, the card may still access the memory,
  // which therefore stays mapped here.
  if (!domain_.unmap({mapping.memory, address, mapping.size, mapping.writable})) return;
  const std::span<std::byte> bytes = mapping.pages->bytes;
  mapping.pages.reset();
  ::munmap(bytes.data(), bytes.size());
}

int ClientMemory::unmap(const DmaUnmap& request) {
  if (request.argsz < sizeof request || (request.flags & ~DmaUnmap::kAll) != 0) return EINVAL;
  if (request.flags == DmaUnmap::kAll) {
    if (request.address != 0 || request.size != 0) return EINVAL;
    unmap_all();
    return 0;
  }
  const auto found = mappings_.find(request.address);
  if (found == mappings_.end() || found->second.size != request.size) return ENOENT;
  remove(found->first, found->second);
  mappings_.erase(found);
  return 0;
}

void ClientMemory::unmap_all() {
  for (auto& [address, mapping] : mappings_) remove(address, mapping);
  mappings_.clear();
}

bool ClientMemory::is_lost() {
  const std::uint64_t lost = GuardedRange::lost();
  if (std::exchange(lost_before_, lost) == lost) return false;
  return std::ranges::any_of(mappings_, [](const auto& entry) {
    const Mapping& mapping = entry.second;
    return mapping.pages && mapping.pages->guard.is_lost();
  });
}

}  // namespace pollux::vfio_user
