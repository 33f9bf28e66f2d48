// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/client_memory.hpp"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <cerrno>

namespace pollux::vfio_user {
namespace {

/// Avoids address + size, which could wrap.
bool is_valid(const DmaMap& request) noexcept {
  const std::uint64_t unknown = ~std::uint64_t{DmaMap::kReadable | DmaMap::kWritable};
  if (request.argsz < sizeof request || request.flags == 0 || (request.flags & unknown) != 0) return false;
  if (request.size == 0 || (request.address | request.size | request.offset) % kPageSize != 0) return false;
  return request.size - 1 <= ~std::uint64_t{0} - request.address;
}

/// Accepts only files in memory: an access to a page of another file may block without limit, for example in a FUSE
/// server. The whole range must lie within the file, because an access beyond its end raises SIGBUS.
bool is_memory(int descriptor, std::uint64_t offset, std::uint64_t size) noexcept {
  struct stat file {};
  struct statfs system {};
  if (::fstat(descriptor, &file) != 0 || !S_ISREG(file.st_mode)) return false;
  if (::fstatfs(descriptor, &system) != 0) return false;
  if (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC) return false;
  const auto bytes = static_cast<std::uint64_t>(file.st_size);
  return size <= bytes && offset <= bytes - size;
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
    if (!is_memory(file, request.offset, request.size)) return EINVAL;
    if ((request.flags & DmaMap::kReadable) != 0) {
      if (const int error = reach(request, file, mapping); error != 0) return error;
    }
  }
  mappings_.emplace(request.address, mapping);
  return 0;
}

int ClientMemory::reach(const DmaMap& request, int file, Mapping& mapping) {
  mapping.writable = (request.flags & DmaMap::kWritable) != 0;
  const int access = mapping.writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const memory =
      ::mmap(nullptr, request.size, access, MAP_SHARED | MAP_NORESERVE, file, static_cast<off_t>(request.offset));
  if (memory == MAP_FAILED) return errno;
  auto* const bytes = static_cast<std::byte*>(memory);
  const auto mapped = domain_.map({bytes, request.address, request.size, mapping.writable});
  if (mapped) {
    mapping.memory = bytes;
    return 0;
  }
  ::munmap(memory, request.size);
  return !mapping.writable && mapped.error().code == ErrorCode::not_supported ? 0 : EINVAL;
}

void ClientMemory::remove(std::uint64_t address, const Mapping& mapping) {
  if (mapping.memory == nullptr) return;
  // The domain has mapped the segment, so `unmap` should not fail. If it does, the card may still access the memory,
  // which therefore stays mapped here.
  if (domain_.unmap({mapping.memory, address, mapping.size, mapping.writable})) ::munmap(mapping.memory, mapping.size);
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
  for (const auto& [address, mapping] : mappings_) remove(address, mapping);
  mappings_.clear();
}

}  // namespace pollux::vfio_user
