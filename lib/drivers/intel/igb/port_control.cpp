// SPDX-License-Identifier: BSD-3-Clause
// What a port answers and lets be changed while it runs.
#include <poll.h>

#include <fmt/format.h>

#include "drivers/intel/forward/make_forward_path.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/link.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/register_dump.hpp"
#include "drivers/intel/igb/rx_setup.hpp"

namespace pollux::drivers::igb {
namespace {

/// Whether an eventfd has been signalled; -1 never is.
bool is_signalled(int event) {
  pollfd look{.fd = event, .events = POLLIN, .revents = 0};
  return event >= 0 && ::poll(&look, 1, 0) == 1 && (look.revents & POLLIN) != 0;
}

}  // namespace

Result<std::unique_ptr<ForwardPath>> Port::forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                        std::uint16_t tx_queue) {
  return intel::make_forward_path(*this, rx_queue, out, tx_queue);
}

Result<void> Port::set_mac(const MacAddress& mac) {
  write_own_address(card_, mac);
  return settle_registers();
}

// What the card takes is written with the rest when it starts.
Result<void> Port::set_mtu(std::uint32_t bytes) {
  if (!running_) return {};
  write_receive_limit(card_, bytes);
  return settle_registers();
}

Result<void> Port::set_promiscuity(bool promiscuous, bool all_multicast) {
  write_receive_control(card_, promiscuous, all_multicast);
  return settle_registers();
}

Link Port::link() { return read_link(card_); }

Stats Port::stats() {
  Stats stats;
  queues()->count(stats);
  statistics_.fill(stats);
  return stats;
}

void Port::append_counters(std::vector<Counter>& counters) { statistics_.append(counters); }

Result<Duration> Port::service() {
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (device_->removed()) {
    return fail(ErrorCode::device_removed, fmt::format("{}: the host wants the card back", card_.name),
                "close the port");
  }
  if (is_signalled(device_->error_event())) {
    return fail(ErrorCode::device_fault, fmt::format("{}: an uncorrected PCI Express error", card_.name),
                "close the port and open it again; the host's log names the error");
  }
  statistics_.fold();
  return Statistics::kFoldInterval;
}

std::vector<int> Port::events() const {
  if (device_ == nullptr) return {};
  return {device_->error_event(), device_->removal_event()};
}

std::vector<RegisterValue> Port::registers() {
  if (device_ == nullptr || !card_.regs.bar()) return {};
  return dump_registers(card_.regs);
}

}  // namespace pollux::drivers::igb
