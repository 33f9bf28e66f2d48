// SPDX-License-Identifier: BSD-3-Clause
// The calls that read or change a running port.
#include <utility>

#include "drivers/intel/common/device_events.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/forward/make_forward_path.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/link.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/register_dump.hpp"
#include "drivers/intel/igb/rx_setup.hpp"

namespace pollux::drivers::igb {

Result<std::unique_ptr<ForwardPath>> Port::forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                        std::uint16_t tx_queue) {
  return intel::make_forward_path(*this, rx_queue, out, tx_queue);
}

Result<void> Port::set_mac(const MacAddress& mac) {
  write_own_address(card_, mac);
  return flush_registers(card_);
}

// A stopped port writes the limit when it starts.
Result<void> Port::set_mtu(std::uint32_t bytes) {
  if (!running_) return {};
  write_receive_limit(card_, bytes);
  return flush_registers(card_);
}

Result<void> Port::set_promiscuity(bool promiscuous, bool all_multicast) {
  write_receive_control(card_, promiscuous, all_multicast, loopback_);
  return flush_registers(card_);
}

void* Port::capability(CapabilityId id) noexcept {
  if (id == RegisterDump::kId) return static_cast<RegisterDump*>(this);
  if (id == Rss::kId) return static_cast<Rss*>(&rss_);
  return id == Loopback::kId ? static_cast<Loopback*>(this) : nullptr;
}

Result<void> Port::set_loopback(LoopbackMode mode) {
  if (running_ || device_ == nullptr) {
    return fail(
        ErrorCode::bad_state,
        fmt::format("{}: loopback cannot be changed while the port is {}", card_.name, running_ ? "started" : "closed"),
        running_ ? "stop the port, set loopback, start it again" : "open the port again");
  }
  loopback_ = mode;
  return {};
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
  if (auto healthy = intel::check_device(*device_); !healthy) return pass_on(std::move(healthy));
  statistics_.accumulate();
  return Statistics::kUpdateInterval;
}

std::vector<int> Port::events() const {
  return device_ == nullptr ? std::vector<int>{} : intel::device_events(*device_);
}

std::vector<RegisterValue> Port::registers() {
  if (device_ == nullptr || !card_.regs.bar()) return {};
  return dump_registers(card_.regs);
}

}  // namespace pollux::drivers::igb
