// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/interrupts.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <cstddef>
#include <cstring>
#include <utility>

namespace pollux::vfio {
namespace {

// The table size field has 11 bits. linux/pci_regs.h, PCI_MSIX_FLAGS_QSIZE.
constexpr std::uint32_t kMaxVectors = 2048;

}  // namespace

Result<Interrupts> Interrupts::probe(const Descriptor& device, const std::string& name, std::uint32_t index) {
  vfio_irq_info info{};
  info.argsz = sizeof info;
  info.index = index;
  // If the device has no such index, the kernel fails the request or reports 0 vectors.
  const int result = device.ioctl(VFIO_DEVICE_GET_IRQ_INFO, &info);
  const bool offered = result >= 0 && (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0;
  if (offered && info.count > kMaxVectors) {
    return fail(ErrorCode::device_fault,
                fmt::format("{} reports {} interrupt vectors, but the maximum is {}", name, info.count, kMaxVectors));
  }
  return Interrupts(device, name, index, offered ? info.count : 0);
}

Interrupts::Interrupts(Interrupts&& other) noexcept
    : device_(other.device_),
      name_(std::move(other.name_)),
      index_(other.index_),
      available_(other.available_),
      events_(std::exchange(other.events_, {})),
      numbers_(std::exchange(other.numbers_, {})) {}

Interrupts::~Interrupts() {
  // A failure is harmless here: the kernel disables the interrupts when the device is closed.
  static_cast<void>(disable());
}

Result<void> Interrupts::enable(std::uint32_t count) {
  if (count > available_) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: {} interrupt vectors were requested, but the device has {}", name_, count, available_));
  }
  if (auto disabled = disable(); !disabled) return disabled;
  if (count == 0) return {};

  std::vector<Descriptor> events;
  std::vector<int> numbers;
  events.reserve(count);  // so that no eventfd is lost if an allocation fails
  numbers.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const int event = device_->kernel().eventfd();
    if (event < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: {} eventfds could not be created", name_, count), -event,
                        "raise the limit of open files: ulimit -n");
    }
    events.emplace_back(device_->shared_kernel(), event);
    numbers.push_back(event);
  }
  const int result = set(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, numbers);
  if (result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: {} interrupt vectors could not be enabled", name_, count),
                      -result, "see dmesg");
  }
  // A positive result is the number of vectors that the platform could provide (Linux, vfio_pci_intrs.c,
  // vfio_msi_enable).
  if (result > 0) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the platform provides {} interrupt vectors, but {} were requested", name_, result, count),
        "request fewer");
  }
  events_ = std::move(events);
  numbers_ = std::move(numbers);
  return {};
}

Result<void> Interrupts::disable() {
  if (events_.empty()) return {};
  const int result = set(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, {});
  events_.clear();
  numbers_.clear();
  if (result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: the interrupts could not be disabled", name_), -result);
  }
  return {};
}

int Interrupts::set(std::uint32_t flags, std::span<const int> events) const {
  vfio_irq_set header{};
  header.argsz = static_cast<std::uint32_t>(sizeof header + events.size_bytes());
  header.flags = flags;
  header.index = index_;
  header.count = static_cast<std::uint32_t>(events.size());
  std::vector<std::byte> request(header.argsz);
  std::memcpy(request.data(), &header, sizeof header);
  if (!events.empty()) std::memcpy(request.data() + sizeof header, events.data(), events.size_bytes());
  return device_->ioctl(VFIO_DEVICE_SET_IRQS, request.data());
}

}  // namespace pollux::vfio
