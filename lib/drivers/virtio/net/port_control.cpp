// SPDX-License-Identifier: BSD-3-Clause
// The calls that observe a running port, and its interrupts.
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "drivers/virtio/net/port.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::virtio {

using paravirtual::kServiceInterval;

Link VirtioNetPort::link() { return card_.common().removed() ? Link{} : read_link(card_).link; }

void VirtioNetPort::append_counters(std::vector<Counter>& counters) {
  if ((facts_.features & feature::kGuestAnnounce) != 0) counters.push_back({"announcements", announcements_});
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

// QUEUE_SELECT selects what the registers after it show; a dump must not move it while a queue is being set up, which
// the port's mutex ensures.
std::vector<RegisterValue> VirtioNetPort::registers() {
  if (device_ == nullptr) return {};
  auto values = dump_registers(card_.common().bar(), hw::virtio::kCommonRegisters, {});
  auto net = dump_registers(card_.transport.net().bar(), hw::virtio::kNetRegisters, {});
  values.insert(values.end(), std::make_move_iterator(net.begin()), std::make_move_iterator(net.end()));
  return values;
}

// After a reset no vector is set. Vector 0 is for changes of the configuration. With a single vector the queues share
// it, and changes have none.
void VirtioNetPort::use_vectors() {
  const int event = enable_interrupts(1, 1);
  if (vectors_ < 2) return;
  card_.common().write<reg::CONFIG_MSIX_VECTOR>(reg::CONFIG_MSIX_VECTOR::Value(0));
  if (card_.common().read<reg::CONFIG_MSIX_VECTOR>().raw() == 0) event_ = event;
}

}  // namespace pollux::drivers::virtio
