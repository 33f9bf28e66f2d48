// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/interrupts.hpp"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <cstddef>
#include <cstring>
#include <utility>

namespace pollux::vfio {
namespace {

// linux/pci_regs.h, PCI_MSIX_FLAGS_QSIZE: the table size field has 11 bits.
constexpr std::uint32_t kMostVectors = 2048;

}  // namespace

Result<Interrupts> Interrupts::probe(const Descriptor& device, const std::string& name, std::uint32_t index) {
  vfio_irq_info info{};
  info.argsz = sizeof info;
  info.index = index;
  // The kernel refuses an index that this device cannot have, and says 0 for one that it does not have.
  const int result = device.ioctl(VFIO_DEVICE_GET_IRQ_INFO, &info);
  const bool offered = result >= 0 && (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0;
  if (offered && info.count > kMostVectors) {
    return fail(ErrorCode::device_fault, fmt::format("{} claims {} interrupt vectors", name, info.count));
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
  // The kernel disables what is left when the device is closed, so a failure here is without consequence.
  static_cast<void>(disable());
}

Result<void> Interrupts::enable(std::uint32_t count) {
  if (count > available_) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} interrupt vectors were asked for, it has {}", name_, count, available_));
  }
  if (auto disabled = disable(); !disabled) return disabled;
  if (count == 0) return {};

  std::vector<Descriptor> events;
  std::vector<int> numbers;
  for (std::uint32_t i = 0; i < count; ++i) {
    const int event = device_->kernel().eventfd();
    if (event < 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: {} eventfds cannot be had", name_, count), -event,
                        "raise the limit of open files: ulimit -n");
    }
    events.emplace_back(device_->shared_kernel(), event);
    numbers.push_back(event);
  }
  const int result = set(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, numbers);
  if (result < 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: {} interrupt vectors cannot be enabled", name_, count),
                      -result, "see dmesg");
  }
  // A positive answer is how many vectors the platform could have given (Linux, vfio_pci_intrs.c, vfio_msi_enable).
  if (result > 0) {
    return fail(ErrorCode::not_supported,
                fmt::format("{}: the platform gives {} interrupt vectors, not {}", name_, result, count),
                "ask for fewer");
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
    return fail_errno(ErrorCode::io_error, fmt::format("{}: its interrupts cannot be disabled", name_), -result);
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
