// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/interrupts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string_view>
#include <utility>

namespace pollux::vfio_user {
namespace {

/// Interrupts passed on before the server looks at its clients again.
constexpr int kMaxEvents = 32;

/// An eventfd that never blocks the server. Any other file could.
bool make_usable(int descriptor) {
  std::array<char, 32> target{};
  const std::string link = fmt::format("/proc/self/fd/{}", descriptor);
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length < 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) != "anon_inode:[eventfd]")
    return false;
  const int flags = ::fcntl(descriptor, F_GETFL);
  return flags >= 0 && ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0;
}

}  // namespace

Interrupts::Interrupts(Device& device, FileDescriptor events) : device_(&device), events_(std::move(events)) {
  for (std::uint32_t irq = 0; irq < kIrqs; ++irq) lines_[irq].resize(count(irq));
}

Result<Interrupts> Interrupts::create(Device& device) {
  FileDescriptor events(::epoll_create1(EPOLL_CLOEXEC));
  if (!events) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: an epoll instance cannot be created", device.name()), errno,
                      "raise the limit of open files (ulimit -n)");
  }
  Interrupts interrupts(device, std::move(events));
  const int error = device.error_event();
  if (error >= 0 && !interrupts.watch(error, kErrorIrq, 0)) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: its error event cannot be watched", device.name()), errno);
  }
  return interrupts;
}

std::uint32_t Interrupts::count(std::uint32_t irq) const noexcept {
  if (irq == kMsix) return device_->interrupt_vectors();
  return irq == kErrorIrq ? 1 : 0;
}

std::uint32_t Interrupts::flags(std::uint32_t irq) noexcept {
  switch (irq) {
    case kIntx: return IrqInfo::kEventfd | IrqInfo::kMaskable | IrqInfo::kAutomasked;
    case kMsi: return IrqInfo::kEventfd | IrqInfo::kNoResize;
    default: return IrqInfo::kEventfd;
  }
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
  return (request.flags & SetIrqs::kTrigger) != 0 ? set_trigger(request, data, descriptors) : EINVAL;
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
  const bool usable = std::ranges::all_of(descriptors, [](const FileDescriptor& d) { return make_usable(d.get()); });
  if (!usable) return EINVAL;
  if (request.index == kMsix && request.count != 0) {
    if (const int error = enable_vectors(); error != 0) return error;
  }
  for (std::uint32_t i = 0; i < request.count; ++i) {
    Line& line = lines_[request.index][request.start + i];
    line.client = descriptors.empty() ? FileDescriptor() : std::move(descriptors[i]);
    if (line.pending) signal(line);
  }
  return 0;
}

int Interrupts::enable_vectors() {
  if (vectors_enabled_) return 0;
  const auto events = device_->enable_interrupts(count(kMsix));
  if (!events) return EIO;
  for (std::uint32_t vector = 0; vector < events->size(); ++vector) {
    if (watch((*events)[vector], kMsix, vector)) continue;
    static_cast<void>(device_->enable_interrupts(0));
    return EIO;
  }
  vectors_enabled_ = true;
  return 0;
}

// The device closes its eventfds, which removes them from the epoll instance, too.
void Interrupts::disable(std::uint32_t irq) {
  for (Line& line : lines_[irq]) line = {};
  if (irq != kMsix || !std::exchange(vectors_enabled_, false)) return;
  // Nothing is left to do if this fails: without an eventfd no interrupt leaves the server.
  static_cast<void>(device_->enable_interrupts(0));
}

void Interrupts::release() {
  for (std::uint32_t irq = 0; irq < kIrqs; ++irq) disable(irq);
}

// An eventfd that a client has filled up is signalled already.
void Interrupts::signal(Line& line) noexcept {
  line.pending = !line.client;
  if (line.client) static_cast<void>(::eventfd_write(line.client.get(), 1));
}

void Interrupts::relay() {
  std::array<epoll_event, kMaxEvents> events;
  const int ready = ::epoll_wait(events_.get(), events.data(), kMaxEvents, 0);
  for (int i = 0; i < ready; ++i) {
    const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
    const auto irq = static_cast<std::uint32_t>(key >> 32);
    signal(lines_[irq][static_cast<std::uint32_t>(key)]);
  }
}

}  // namespace pollux::vfio_user
