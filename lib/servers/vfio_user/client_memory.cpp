// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/client_memory.hpp"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>

namespace pollux::vfio_user {

/// Entries are used again and never freed, so that the signal handler may go through them at any time. The thread that
/// it interrupts uses the range, so the entry of this range does not change meanwhile.
struct GuardedRange::Entry {
  std::atomic<bool> used{true};
  std::atomic<bool> lost{false};
  std::atomic<std::uintptr_t> begin{0};
  std::atomic<std::size_t> bytes{0};
  Entry* next = nullptr;
};

// A signal handler has no argument for a context, so what it needs is global.
std::atomic<GuardedRange::Entry*> GuardedRange::first_{nullptr};

namespace {

std::atomic<std::uint64_t> lost_ranges{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a signal handler may not wait for a lock");

}  // namespace

GuardedRange::Entry* GuardedRange::take_entry() {
  for (Entry* entry = first_.load(std::memory_order_acquire); entry != nullptr; entry = entry->next) {
    if (!entry->used.exchange(true, std::memory_order_acq_rel)) return entry;
  }
  auto* const made = new Entry;
  made->next = first_.load(std::memory_order_relaxed);
  while (!first_.compare_exchange_weak(made->next, made, std::memory_order_release, std::memory_order_relaxed)) {
  }
  return made;
}

GuardedRange::GuardedRange(std::byte* memory, std::size_t bytes) : entry_(take_entry()) {
  entry_->lost.store(false, std::memory_order_relaxed);
  entry_->begin.store(reinterpret_cast<std::uintptr_t>(memory), std::memory_order_relaxed);
  entry_->bytes.store(bytes, std::memory_order_release);
}

GuardedRange::~GuardedRange() {
  if (entry_ == nullptr) return;
  entry_->bytes.store(0, std::memory_order_relaxed);
  entry_->used.store(false, std::memory_order_release);
}

bool GuardedRange::is_lost() const noexcept {
  return entry_ != nullptr && entry_->lost.load(std::memory_order_relaxed);
}

std::uint64_t GuardedRange::lost() noexcept { return lost_ranges.load(std::memory_order_relaxed); }

// mmap(2) is a system call and nothing else, so it may be called in a handler. It replaces whole mappings, whose page
// size does not matter then.
bool BusErrorGuard::replace(const void* address) noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  for (auto* entry = GuardedRange::first_.load(std::memory_order_acquire); entry != nullptr; entry = entry->next) {
    const std::size_t bytes = entry->bytes.load(std::memory_order_acquire);
    const std::uintptr_t begin = entry->begin.load(std::memory_order_relaxed);
    if (at - begin >= bytes) continue;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an atomic pointer would say no more
    if (::mmap(reinterpret_cast<void*>(begin), bytes, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) return false;
    entry->lost.store(true, std::memory_order_relaxed);
    lost_ranges.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

// BUS_ADRERR: the page lies beyond the end of its file, or the file system has no memory for it. After the handler the
// access is made again. If it fails for another reason, the signal's default action ends the process.
void BusErrorGuard::on_bus_error(int signal, siginfo_t* info, void* /*context*/) noexcept {
  const int error = errno;
  if (info->si_code != BUS_ADRERR || !replace(info->si_addr)) ::signal(signal, SIG_DFL);
  errno = error;
}

BusErrorGuard::BusErrorGuard() {
  struct sigaction action {};
  action.sa_sigaction = &on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, &before_);
}

BusErrorGuard::~BusErrorGuard() { ::sigaction(SIGBUS, &before_, nullptr); }

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

void ClientMemory::Unmap::operator()(std::byte* memory) const noexcept { ::munmap(memory, bytes); }

bool ClientMemory::overlaps(std::uint64_t address, std::uint64_t size) const {
  const auto after = mappings_.upper_bound(address);
  if (after != mappings_.end() && after->first - address < size) return true;
  return after != mappings_.begin() && address - std::prev(after)->first < std::prev(after)->second.size;
}

int ClientMemory::map(const DmaMap& request, std::span<FileDescriptor> descriptors) {
  if (!is_valid(request) || descriptors.size() > 1) return EINVAL;
  if (overlaps(request.address, request.size)) return EEXIST;
  full_ = mappings_.size() >= kMaxMappings;
  if (full_) return ENOSPC;
  // The entry first: if memory for anything is lacking later, `unmap_all` finds what was mapped.
  const auto entry = mappings_.emplace(request.address, Mapping{request.size}).first;
  const int error = map_file(request, descriptors, entry->second);
  if (error != 0) mappings_.erase(entry);
  return error;
}

int ClientMemory::map_file(const DmaMap& request, std::span<FileDescriptor> descriptors, Mapping& mapping) {
  if (!descriptors.empty()) {
    const int file = descriptors.front().get();
    const std::uint64_t page = page_of_memory(file, request.offset, request.size);
    if (page == 0) return EINVAL;
    if ((request.flags & DmaMap::kReadable) != 0) return reach(request, file, page, mapping);
  }
  return 0;
}

// The kernel maps and unmaps whole pages of the file, which may be huge ones.
int ClientMemory::reach(const DmaMap& request, int file, std::uint64_t page, Mapping& mapping) {
  mapping.writable = (request.flags & DmaMap::kWritable) != 0;
  const int access = mapping.writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const std::uint64_t skipped = request.offset % page;
  const std::uint64_t length = (skipped + request.size + page - 1) / page * page;
  full_ = length > kMaxMappedBytes - mapped_bytes_;
  if (full_) return ENOSPC;
  void* const memory =
      ::mmap(nullptr, length, access, MAP_SHARED | MAP_NORESERVE, file, static_cast<off_t>(request.offset - skipped));
  if (memory == MAP_FAILED) return errno;
  mapping.pages.emplace(static_cast<std::byte*>(memory), length);
  std::byte* const bytes = mapping.pages->memory.get() + skipped;
  const auto mapped = domain_.map({bytes, request.address, request.size, mapping.writable});
  if (mapped) {
    mapping.memory = bytes;
    mapped_bytes_ += length;
    return 0;
  }
  mapping.pages.reset();
  return !mapping.writable && mapped.error().code == ErrorCode::not_supported ? 0 : EINVAL;
}

void ClientMemory::remove(std::uint64_t address, Mapping& mapping) {
  if (mapping.memory == nullptr) return;
  // The domain has mapped the segment, so `unmap` should not fail. If it does, the card may still access the memory,
  // which therefore stays mapped here.
  if (!domain_.unmap({mapping.memory, address, mapping.size, mapping.writable})) {
    static_cast<void>(mapping.pages->memory.release());
    return;
  }
  mapped_bytes_ -= mapping.pages->memory.get_deleter().bytes;
  mapping.pages.reset();
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
