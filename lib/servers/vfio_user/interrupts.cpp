// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/session.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>
#include <string_view>
#include <utility>

#include "device/capability_list.hpp"

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

namespace {

/// Maximum number of interrupts passed on before the server serves its clients again.
constexpr int kMaxEvents = 32;

/// The key of `unmask_event_` among the events of the pin.
constexpr std::uint32_t kUnmaskEvent = 1;

/// Registers of configuration space: include/uapi/linux/pci_regs.h.
constexpr std::uint32_t kCommand = 0x04;
constexpr std::uint32_t kCommandDisablePin = 0x0400;
constexpr std::uint32_t kStatus = 0x06;
constexpr std::uint32_t kStatusPin = 0x0008;
constexpr std::uint32_t kInterruptPin = 0x3D;
constexpr std::uint8_t kMsiCapability = 0x05;

std::uint32_t config(Device& device, std::uint32_t offset, unsigned width) {
  return device.read_config(offset, width).value_or(0);
}

bool has_capability(Device& device, std::uint8_t id) {
  const auto found = find_capability(
      id, [&device](std::uint32_t offset, unsigned width) { return device.read_config(offset, width); });
  return found && *found;
}

}  // namespace

bool is_eventfd(int descriptor) noexcept {
  std::array<char, 32> link{};
  *fmt::format_to_n(link.data(), link.size() - 1, "/proc/self/fd/{}", descriptor).out = '\0';
  std::array<char, 32> target{};
  const ssize_t length = ::readlink(link.data(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) == "anon_inode:[eventfd]";
}

Interrupts::Interrupts(Device& device, FileDescriptor events) : device_(&device), events_(std::move(events)) {
  lines_[kIntx].resize(config(device, kInterruptPin, 1) != 0 ? 1 : 0);
  lines_[kMsi].resize(has_capability(device, kMsiCapability) && device.interrupt_vectors() != 0 ? 1 : 0);
  lines_[kMsix].resize(device.interrupt_vectors());
  lines_[kErrorIrq].resize(1);
  lines_[kRequestIrq].resize(device.removal_event() >= 0 ? 1 : 0);
}

Result<Interrupts> Interrupts::create(Device& device) {
  FileDescriptor events(::epoll_create1(EPOLL_CLOEXEC));
  if (!events) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: an epoll instance cannot be created", device.name()), errno,
                      "raise the limit of open files (ulimit -n)");
  }
  Interrupts interrupts(device, std::move(events));
  for (const auto& [event, irq] :
       {std::pair(device.error_event(), kErrorIrq), std::pair(device.removal_event(), kRequestIrq)}) {
    if (event >= 0 && !interrupts.watch(event, irq, 0)) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: its events cannot be watched", device.name()), errno);
    }
  }
  return interrupts;
}

std::uint32_t Interrupts::flags(std::uint32_t irq) noexcept {
  switch (irq) {
    case kIntx: return IrqInfo::kEventfd | IrqInfo::kMaskable | IrqInfo::kAutomasked;
    case kMsi: return IrqInfo::kEventfd | IrqInfo::kNoResize;
    default: return IrqInfo::kEventfd;
  }
}

namespace {

Duration read_clock(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

}  // namespace

// A single one may be slow, since a virtual machine's processor may be interrupted, too.
template <class Use>
void Interrupts::measure(clockid_t clock, const Use& use) noexcept {
  const Duration begin = read_clock(clock);
  use();
  const Duration took = read_clock(clock) - begin;
  if (took <= kMaxUse) return;
  if (clock != CLOCK_THREAD_CPUTIME_ID) {
    is_suspect_ = true;
    return;
  }
  const Duration now = read_clock(CLOCK_MONOTONIC);
  slow_time_ = std::max(slow_time_ - (now - slow_at_) / kShare, Duration(0)) + took;
  slow_at_ = now;
}

// Edge-triggered: each signal of the device is reported once, and its eventfd need not be read.
bool Interrupts::watch(int descriptor, std::uint32_t irq, std::uint32_t index) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = std::uint64_t{irq} << 32 | index;
  return ::epoll_ctl(events_.get(), EPOLL_CTL_ADD, descriptor, &event) == 0;
}

int Interrupts::set(const SetIrqs& request, std::span<const std::byte> data, std::span<FileDescriptor> descriptors) {
  constexpr std::uint32_t kData = SetIrqs::kDataNone | SetIrqs::kDataBool | SetIrqs::kDataEventfd;
  constexpr std::uint32_t kActions = SetIrqs::kMask | SetIrqs::kUnmask | SetIrqs::kTrigger;
  const bool one_of_each = std::popcount(request.flags & kData) == 1 && std::popcount(request.flags & kActions) == 1;
  if (!one_of_each || (request.flags & ~(kData | kActions)) != 0 || request.index >= kIrqs) return EINVAL;
  const std::size_t lines = lines_[request.index].size();
  if (request.start > lines || request.count > lines - request.start) return EINVAL;
  const bool with_bools = (request.flags & SetIrqs::kDataBool) != 0;
  const bool with_events = (request.flags & SetIrqs::kDataEventfd) != 0;
  if (data.size() != (with_bools ? request.count : 0)) return EINVAL;
  if (!descriptors.empty() && (!with_events || descriptors.size() != request.count)) return EINVAL;
  return (request.flags & SetIrqs::kTrigger) != 0 ? set_trigger(request, data, descriptors)
                                                  : set_mask(request, data, descriptors);
}

// Only the pin can be masked. Vectors are masked in the client.
int Interrupts::set_mask(const SetIrqs& request, std::span<const std::byte> data,
                         std::span<FileDescriptor> descriptors) {
  if (request.index != kIntx || request.count != 1) return EINVAL;
  const bool unmask = (request.flags & SetIrqs::kUnmask) != 0;
  if ((request.flags & SetIrqs::kDataEventfd) != 0) return unmask ? set_unmask_event(descriptors) : EINVAL;
  if (data.empty() || data[0] != std::byte{0}) pin_masked_ = !unmask;
  return 0;
}

int Interrupts::set_unmask_event(std::span<FileDescriptor> descriptors) {
  if (!descriptors.empty() && !is_eventfd(descriptors[0].get())) return EINVAL;
  bool done = true;
  measure(CLOCK_THREAD_CPUTIME_ID, [&] {
    // The client has the eventfd, too, so closing this descriptor does not end the watch.
    if (unmask_event_) ::epoll_ctl(events_.get(), EPOLL_CTL_DEL, unmask_event_.get(), nullptr);
    unmask_event_ = descriptors.empty() ? FileDescriptor() : std::move(descriptors[0]);
    done = !unmask_event_ || watch(unmask_event_.get(), kIntx, kUnmaskEvent);
  });
  return done ? 0 : EIO;
}

int Interrupts::set_trigger(const SetIrqs& request, std::span<const std::byte> data,
                            std::span<FileDescriptor> descriptors) {
  if ((request.flags & SetIrqs::kDataEventfd) != 0) return assign(request, descriptors);
  if ((request.flags & SetIrqs::kDataNone) != 0 && request.count == 0) {
    if (request.start != 0) return EINVAL;
    disable(request.index);
    return 0;
  }
  // The client triggers interrupts itself.
  for (std::uint32_t i = 0; i < request.count; ++i) {
    if (data.empty() || data[i] != std::byte{0}) signal(lines_[request.index][request.start + i]);
  }
  return 0;
}

int Interrupts::assign(const SetIrqs& request, std::span<FileDescriptor> descriptors) {
  const bool usable = std::ranges::all_of(descriptors, [](const FileDescriptor& d) { return is_eventfd(d.get()); });
  if (!usable) return EINVAL;
  if ((request.index == kMsi || request.index == kMsix) && request.count != 0) {
    if (const int error = enable_vectors(request.index); error != 0) return error;
  }
  if (request.index == kIntx) pin_masked_ = false;
  for (std::uint32_t i = 0; i < request.count; ++i) {
    Line& line = lines_[request.index][request.start + i];
    measure(CLOCK_THREAD_CPUTIME_ID,
            [&] { line.client = descriptors.empty() ? FileDescriptor() : std::move(descriptors[i]); });
    if (line.pending) signal(line);
  }
  return 0;
}

int Interrupts::enable_vectors(std::uint32_t irq) {
  if (enabled_ == irq) return 0;
  if (enabled_ != kIrqs) return EINVAL;  // the client has to disable the other kind first
  const auto events = device_->enable_interrupts(count(irq));
  if (!events) return EIO;
  for (std::uint32_t vector = 0; vector < events->size(); ++vector) {
    if (watch((*events)[vector], irq, vector)) continue;
    static_cast<void>(device_->enable_interrupts(0));
    return EIO;
  }
  enabled_ = irq;
  return 0;
}

// The device closes its eventfds, which removes them from the epoll instance, too.
void Interrupts::disable(std::uint32_t irq) {
  measure(CLOCK_THREAD_CPUTIME_ID, [&] {
    for (Line& line : lines_[irq]) line = {};
  });
  if (irq == kIntx) static_cast<void>(set_unmask_event({}));
  if (irq != enabled_) return;
  enabled_ = kIrqs;
  // Nothing is left to do if this fails: without an eventfd no interrupt leaves the server.
  static_cast<void>(device_->enable_interrupts(0));
}

void Interrupts::release() {
  for (std::uint32_t irq = 0; irq < kIrqs; ++irq) disable(irq);
}

void Interrupts::close(std::vector<FileDescriptor>& descriptors) noexcept {
  if (!descriptors.empty()) measure(CLOCK_THREAD_CPUTIME_ID, [&] { descriptors.clear(); });
}

// After a slow signal the next ones are measured in processor time, which costs more: the thread may have been
// interrupted.
void Interrupts::signal(Line& line) noexcept {
  line.pending = !line.client;
  if (!line.client || is_slow()) return;
  measure(is_suspect_ ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, [&] { signaller_->signal(line.client.get()); });
}

void Interrupts::relay() {
  std::array<epoll_event, kMaxEvents> events;
  const int ready = ::epoll_wait(events_.get(), events.data(), kMaxEvents, 0);
  for (int i = 0; i < ready; ++i) {
    const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
    const auto irq = static_cast<std::uint32_t>(key >> 32);
    const auto index = static_cast<std::uint32_t>(key);
    if (irq == kIntx) {
      pin_masked_ = false;
    } else if (index < lines_[irq].size()) {
      signal(lines_[irq][index]);
    }
  }
  relay_pin();
}

void Interrupts::relay_pin() {
  if (!watches_pin()) return;
  if ((config(*device_, kStatus, 2) & kStatusPin) == 0) return;
  if ((config(*device_, kCommand, 2) & kCommandDisablePin) != 0) return;
  pin_masked_ = true;
  signal(lines_[kIntx][0]);
}

}  // namespace pollux::vfio_user
