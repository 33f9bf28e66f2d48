// SPDX-License-Identifier: BSD-3-Clause
// What a port answers and lets be changed while it runs.
#include <poll.h>

#include <utility>

#include <fmt/format.h>

#include "drivers/igb/filters.hpp"
#include "drivers/igb/link.hpp"
#include "drivers/igb/nvm.hpp"
#include "drivers/igb/port.hpp"
#include "drivers/igb/register_dump.hpp"
#include "drivers/igb/rx_setup.hpp"
#include "net/stats.hpp"

namespace pollux::igb {
namespace {

/// Whether an eventfd has been signalled; -1 never is.
bool is_signalled(int event) {
  pollfd look{.fd = event, .events = POLLIN, .revents = 0};
  return event >= 0 && ::poll(&look, 1, 0) == 1 && (look.revents & POLLIN) != 0;
}

}  // namespace

Result<void> Port::set_mac(const MacAddress& mac) {
  if (auto fits = expect({PortState::opened, PortState::configured, PortState::started}, "set_mac"); !fits) return fits;
  if (!is_station_address(mac)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: {} cannot be a port's address", card_.name, to_string(mac)),
                "use an address that is not all zero and whose first byte is even");
  }
  mac_ = mac;
  if (state_ != PortState::started) return {};
  write_own_address(card_, mac_);
  return settle_registers();
}

Result<void> Port::set_mtu(std::uint32_t bytes) {
  if (auto fits = expect({PortState::configured, PortState::started}, "set_mtu"); !fits) return fits;
  if (auto good = check_mtu(bytes, plan_, card_.name); !good) return good;
  plan_.mtu = bytes;
  if (state_ != PortState::started) return {};
  write_receive_limit(card_, bytes);
  return settle_registers();
}

Result<void> Port::set_promiscuous(bool on) {
  if (auto fits = expect({PortState::configured, PortState::started}, "set_promiscuous"); !fits) return fits;
  plan_.promiscuous = on;
  if (state_ != PortState::started) return {};
  write_receive_control(card_, plan_.promiscuous, plan_.all_multicast);
  return settle_registers();
}

Result<void> Port::set_all_multicast(bool on) {
  if (auto fits = expect({PortState::configured, PortState::started}, "set_all_multicast"); !fits) return fits;
  plan_.all_multicast = on;
  if (state_ != PortState::started) return {};
  write_receive_control(card_, plan_.promiscuous, plan_.all_multicast);
  return settle_registers();
}

Link Port::link() {
  if (state_ == PortState::closed || state_ == PortState::failed) return {};
  return read_link(card_);
}

Stats Port::stats() {
  Stats stats;
  queues_->count(stats);
  statistics_.fill(stats);
  sum_drops(stats);
  return stats;
}

std::vector<Counter> Port::extended_stats() {
  std::vector<Counter> counters = named_counters(stats(), true);
  counters.push_back({"removed_buffers", removed_buffers_});
  statistics_.append(counters);
  return counters;
}

Result<Duration> Port::service() {
  if (state_ == PortState::failed) return tl::unexpected<Error>(failure_);
  if (auto fits = expect({PortState::opened, PortState::configured, PortState::started}, "service"); !fits) {
    return pass_on(std::move(fits));
  }
  if (card_.regs.removed()) return enter_failed(fail_removed(card_.name).value());
  if (device_->removed()) {
    return enter_failed(
        {ErrorCode::device_removed, fmt::format("{}: the host wants the card back", card_.name), "close the port"});
  }
  if (is_signalled(device_->error_event())) {
    return enter_failed({ErrorCode::device_fault, fmt::format("{}: an uncorrected PCI Express error", card_.name),
                         "close the port and open it again; the host's log names the error"});
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

}  // namespace pollux::igb
