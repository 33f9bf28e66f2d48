// SPDX-License-Identifier: BSD-3-Clause
// The calls that read or change a running port.
#include <array>
#include <functional>
#include <string_view>
#include <utility>

#include "device/device_events.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/forward/forward_queue.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::igb {
namespace {

/// Without interrupts. A virtual function's driver waits a second for an answer.
constexpr Duration kMailboxInterval = milliseconds(10);

/// A read of SWSM takes its semaphore. A read of a time stamp's high half releases the stamp (QEMU, hw/net/igb_core.c,
/// igb_mac_swsm_read, igb_get_rxsatrh and igb_get_txstmph). VMBMEM belongs to the exchange with a virtual function.
constexpr std::array<std::string_view, 5> kNotDumped{"SWSM", "TXSTMPH", "RXSTMPH", "RXSATRH", "VMBMEM"};

}  // namespace

Result<std::unique_ptr<ForwardPath>> IgbPort::forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                           std::uint16_t tx_queue) {
  return intel::make_forward_path(*this, rx_queue, out, tx_queue);
}

void IgbPort::list_capabilities() {
  capabilities_ = family_capabilities();
  for (const CapabilityEntry& own : {interrupt_capability(), offer<PortClock>(clock_), offer<FrameStamps>(stamps_),
                                     offer<Nvm>(nvm_), offer<RegisterDump>(*this), transmit_watch(), receive_watch()}) {
    capabilities_.push_back(own);
  }
  if (device_->handover() != nullptr) capabilities_.push_back(offer<handover::PortHandover>(*this));
  if (functions_.max_functions() != 0) capabilities_.push_back(offer<VirtualFunctions>(functions_));
}

void IgbPort::append_counters(std::vector<Counter>& counters) {
  GigabitPort::append_counters(counters);
  stamps_.append_counters(counters);
  if (kept_.card != nullptr) handover::append_counters(counters, kept_.losses);
}

Result<Duration> IgbPort::service() {
  if (!card_.asleep && card_.regs.removed()) return fail_removed(card_.name);
  if (auto healthy = check_device(*device_); !healthy) return pass_on(std::move(healthy));
  if (card_.asleep || !has_card_) return gigabit::CardStatistics::kUpdateInterval;
  if (running()) acknowledge_interrupts(card_, *queues());
  const Link now = link();
  settle_flow_control(now);
  if (running()) tx_rates_.follow(now, settings());
  functions_.service();  // before messages about the link, which would replace requests
  functions_.follow(now);
  statistics_.accumulate();
  clock_.follow();
  stamps_.release_unread();
  if (kept_.is_running) store_kept();
  const auto* const interrupts = queues()->interrupts();
  const bool must_poll = running() && functions_.enabled() && (interrupts == nullptr || !interrupts->has_other());
  return must_poll ? kMailboxInterval : gigabit::CardStatistics::kUpdateInterval;
}

std::vector<RegisterValue> IgbPort::registers() {
  if (!has_card_ || !expect_open()) return {};
  return dump_registers(card_.regs.bar(), hw::igb::registers_of(*card_.traits), kNotDumped);
}

Duration IgbPort::longest_request() const {
  return tx_rates_.longest_request(settings(), card_.first_queue, config().tx_queues());
}

// The card counts the frames of all pools together.
intel::CountedFrames IgbPort::counted_frames() {
  auto [all, dropped] = statistics_.counted_frames();
  dropped.resize(config().rx_queues());
  if (!settings().pools.pools.empty() || functions_.enabled())
    return {.all = std::nullopt, .dropped = std::move(dropped)};
  return {.all = all, .dropped = std::move(dropped)};
}

Result<void> IgbPort::expect_open() const { return gigabit::expect_open(card_); }

}  // namespace pollux::drivers::igb
