// SPDX-License-Identifier: BSD-3-Clause
// The calls that observe a running port, and its interrupts.
#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "drivers/virtio/net/port.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::virtio {
namespace {

constexpr Duration kServiceInterval = std::chrono::seconds(1);

}  // namespace

void VirtioNetPort::list_capabilities() {
  capabilities_ = {offer<RegisterDump>(*this), offer<Interrupts>(*this), offer<TransmitWatch>(*this)};
}

Link VirtioNetPort::link() { return card_.common().removed() ? Link{} : read_link(card_).link; }

void VirtioNetPort::append_counters(std::vector<Counter>& counters) {
  if ((facts_.features & feature::kGuestAnnounce) != 0) counters.push_back({"announcements", announcements_});
}

// A queue that its device has spoiled cannot be used again without a reset.
Result<void> VirtioNetPort::check_faults() const {
  const auto check = [&](std::string_view direction, std::uint16_t queue, const char* fault) -> Result<void> {
    if (fault == nullptr) return {};
    return fail(ErrorCode::device_fault,
                fmt::format("{}: the device returned {} on {} queue {}", card_.name, fault, direction, queue),
                "close the port and open it again, or detach it and attach its device, which resets the device");
  };
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    if (auto fine = check("receive", queue, rx_[queue].fault()); !fine) return fine;
  }
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) {
    if (auto fine = check("transmit", queue, tx_[queue].fault()); !fine) return fine;
  }
  return {};
}

Result<Duration> VirtioNetPort::service() {
  const auto status = card_.common().read<reg::DEVICE_STATUS>();
  if (status.all_ones()) return fail_removed(card_.name);
  if (auto healthy = check_device(*device_); !healthy) return pass_on(std::move(healthy));
  if (!running()) return kServiceInterval;
  if (auto fine = check_faults(); !fine) return pass_on(std::move(fine));
  if (status.has(reg::DEVICE_STATUS::NEEDS_RESET)) {
    return fail(ErrorCode::device_fault, fmt::format("{}: the device needs a reset (NEEDS_RESET)", card_.name),
                "close the port and open it again, or detach it and attach its device");
  }
  // The device's host moved: the port's addresses are to be announced, by the program that knows them.
  if (card_.has(feature::kGuestAnnounce) && read_link(card_).announce) {
    ++announcements_;
    if (auto done = commands().acknowledge_announcement(); !done) return pass_on(std::move(done));
  }
  return kServiceInterval;
}

std::vector<int> VirtioNetPort::events() const { return device_events(device_.get(), config_event_); }

// QUEUE_SELECT selects what the registers after it show; a dump must not move it while a queue is being set up, which
// the port's mutex ensures.
std::vector<RegisterValue> VirtioNetPort::registers() {
  if (device_ == nullptr) return {};
  auto values = dump_registers(card_.common().bar(), hw::virtio::kCommonRegisters, {});
  auto net = dump_registers(card_.transport.net().bar(), hw::virtio::kNetRegisters, {});
  values.insert(values.end(), std::make_move_iterator(net.begin()), std::make_move_iterator(net.end()));
  return values;
}

TransmitWatch::Report VirtioNetPort::watch_transmit(Duration limit) {
  if (link().up) {
    return tx_watch_.look(config().tx_queues(), card_.clock().now(), limit,
                          [this](std::uint16_t queue) { return tx_[queue].progress(); });
  }
  tx_watch_.forget();
  return {};
}

// Vector 0 is for changes of the configuration; the receive queues have the others, in turn if there are too few. With
// a single vector the queues share it, and changes have none.
unsigned VirtioNetPort::vector_of(std::uint16_t queue) const noexcept {
  return vectors_ < 2 ? 0 : 1 + queue % (vectors_ - 1);
}

void VirtioNetPort::forget_vectors() noexcept {
  for (VirtioRxQueue& queue : rx_) queue.attach_vector(-1);
  config_event_ = -1;
  vectors_ = 0;
}

// After a reset no vector is set.
void VirtioNetPort::enable_interrupts() {
  forget_vectors();
  const unsigned wanted = std::min(device_->interrupt_vectors(), config().rx_queues() + 1U);
  if (wanted == 0 || config().rx_queues() == 0) return;
  const auto events = device_->enable_interrupts(wanted);
  if (!events) {
    card_.log(LogLevel::warning, events.error().message() + "; no thread can sleep on the port's queues");
    return;
  }
  vectors_ = wanted;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) {
    rx_[queue].attach_vector((*events)[vector_of(queue)]);
  }
  if (vectors_ < 2) return;
  card_.common().write<reg::CONFIG_MSIX_VECTOR>(reg::CONFIG_MSIX_VECTOR::Value(0));
  if (card_.common().read<reg::CONFIG_MSIX_VECTOR>().raw() == 0) config_event_ = events->front();
}

Result<std::vector<unsigned>> VirtioNetPort::rx_vectors() {
  if (device_ == nullptr || device_->interrupt_vectors() == 0) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the device has no MSI-X vectors", info().name),
                "poll its queues");
  }
  if (vectors_ == 0) {
    return fail(ErrorCode::bad_state, fmt::format("{}: no interrupt vector is enabled", info().name),
                "start the port; its log says why vectors could not be enabled");
  }
  std::vector<unsigned> vectors;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) vectors.push_back(vector_of(queue));
  return vectors;
}

}  // namespace pollux::drivers::virtio
