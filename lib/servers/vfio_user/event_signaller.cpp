// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/event_signaller.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>

namespace pollux::vfio_user {
namespace {

/// Reads that have ended and whose results have not been collected.
constexpr unsigned kMaxResults = 64;

}  // namespace

EventSignaller::EventSignaller() : nothing_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  if (!nothing_ || ::syscall(SYS_io_setup, kMaxResults, &context_) != 0) context_ = 0;
}

EventSignaller::~EventSignaller() {
  if (context_ != 0) ::syscall(SYS_io_destroy, context_);
}

void EventSignaller::signal(int eventfd) noexcept {
  if (context_ != 0) {
    if (submit(eventfd)) return;
    // The results fill the kernel's ring.
    collect();
    if (submit(eventfd)) return;
  }
  pollfd writable{eventfd, POLLOUT, 0};
  if (::poll(&writable, 1, 0) == 1 && (writable.revents & POLLOUT) != 0) static_cast<void>(::eventfd_write(eventfd, 1));
}

bool EventSignaller::submit(int eventfd) noexcept {
  std::byte unused{};
  iocb read{};
  read.aio_lio_opcode = IOCB_CMD_PREAD;
  read.aio_fildes = static_cast<std::uint32_t>(nothing_.get());
  read.aio_buf = reinterpret_cast<std::uintptr_t>(&unused);
  read.aio_flags = IOCB_FLAG_RESFD;
  read.aio_resfd = static_cast<std::uint32_t>(eventfd);
  std::array<iocb*, 1> reads{&read};
  return ::syscall(SYS_io_submit, context_, 1L, reads.data()) == 1;
}

void EventSignaller::collect() noexcept {
  std::array<io_event, kMaxResults> results{};
  timespec at_once{};
  // Nothing is left to do if this fails: the next `submit` then fails, too.
  static_cast<void>(
      ::syscall(SYS_io_getevents, context_, 0L, static_cast<long>(results.size()), results.data(), &at_once));
}

}  // namespace pollux::vfio_user
