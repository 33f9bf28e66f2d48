// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/bus_error_guard.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

namespace pollux::vfio_user {
namespace {

// A signal handler has no argument for a context, so its counter is global.
std::atomic<std::uint64_t> replaced_pages{0};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a signal handler may not wait for a lock");

/// Puts zeroed private memory in place of the page at `address`. mmap(2) is a system call and nothing else, so it may
/// be called in a handler. A part of a huge page cannot be replaced, so the larger sizes are tried, too.
bool replace_page(void* address) noexcept {
  constexpr std::size_t kSizes[] = {std::size_t{4} << 10, std::size_t{2} << 20, std::size_t{1} << 30};
  for (const std::size_t size : kSizes) {
    void* const page = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) & ~(size - 1));
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    if (::mmap(page, size, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED) return true;
  }
  return false;
}

// BUS_ADRERR: the page lies beyond the end of its file. After the handler the access is made again. If it fails for
// another reason, the signal's default action ends the process.
void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
  const int error = errno;
  if (info->si_code == BUS_ADRERR && replace_page(info->si_addr)) {
    replaced_pages.fetch_add(1, std::memory_order_relaxed);
  } else {
    ::signal(signal, SIG_DFL);
  }
  errno = error;
}

}  // namespace

BusErrorGuard::BusErrorGuard() {
  replaced_pages.store(0, std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &action, &before_);
}

BusErrorGuard::~BusErrorGuard() { ::sigaction(SIGBUS, &before_, nullptr); }

std::uint64_t BusErrorGuard::replaced() const noexcept { return replaced_pages.load(std::memory_order_relaxed); }

}  // namespace pollux::vfio_user
