// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/bus_error_guard.hpp"

#include <sys/mman.h>

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

}  // namespace pollux::vfio_user
