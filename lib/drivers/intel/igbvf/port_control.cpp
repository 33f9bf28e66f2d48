// SPDX-License-Identifier: BSD-3-Clause
// The calls that observe a running port.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "drivers/intel/forward/forward_queue.hpp"
#include "drivers/intel/igbvf/port.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::igbvf {
namespace {

/// VMBMEM belongs to the exchange with the physical function. V2PMAILBOX is not in the dump either, since a read clears
/// bits of it.
constexpr std::array<std::string_view, 1> kNotDumped{"VMBMEM"};

std::uint32_t speed_of(std::uint32_t field) noexcept {
  constexpr std::array<std::uint32_t, 4> kSpeeds{10, 100, 1000, 1000};
  return kSpeeds[field & 3];
}

/// Appends the registers of `table` that have an alias, read at the alias, for each of `queues` queues.
void dump_aliases(const Bar& bar, std::span<const RegisterInfo> table, std::uint32_t queues,
                  std::vector<RegisterValue>& values) {
  for (const RegisterInfo& info : table) {
    if (!readable(info.access)) continue;
    for (std::uint32_t i = 0; i < std::min(queues, info.alias.count); ++i) {
      const std::uint32_t offset = info.alias.offset + i * info.alias.bytes;
      values.push_back({.name = fmt::format("{}[{}]", info.name, i),
                        .offset = offset,
                        .value = bar.read(offset, info.bits / 8),
                        .fields = info.fields});
    }
  }
}

}  // namespace

Result<std::unique_ptr<ForwardPath>> IgbvfPort::forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                             std::uint16_t tx_queue) {
  return intel::make_forward_path(*this, rx_queue, out, tx_queue);
}

Link IgbvfPort::link() {
  const auto status = card_.regs.read<reg::STATUS>();
  if (was_reset_ || status.all_ones() || !status.has(reg::STATUS::LU)) return {};
  return {.up = true,
          .speed = speed_of(status.get(reg::STATUS::SPEED)),
          .duplex = status.has(reg::STATUS::FD) ? Duplex::full : Duplex::half,
          .autonegotiated = true};
}

Stats IgbvfPort::stats() {
  Stats stats = QueuedPort::stats();
  statistics_.fill(stats);
  return stats;
}

Result<Duration> IgbvfPort::service() {
  if (card_.regs.removed()) return fail_removed(card_.name);
  if (auto healthy = check_device(*device_); !healthy) return pass_on(std::move(healthy));
  if (mailbox_.take_reset_notice(card_)) {
    was_reset_ = true;
    if (running()) {
      return fail(
          ErrorCode::device_fault, fmt::format("{}: the physical function was reset", card_.name),
          "once the physical function is up, close the port and open it again, or detach it and attach its device");
    }
  }
  statistics_.accumulate();
  return IgbvfStatistics::kUpdateInterval;
}

std::vector<int> IgbvfPort::events() const { return device_events(device_.get(), queues()->other_event()); }

std::vector<RegisterValue> IgbvfPort::registers() {
  if (!expect_open()) return {};
  auto values = dump_registers(card_.regs.bar(), reg::kRegisters, kNotDumped);
  dump_aliases(card_.regs.bar(), hw::intel::kRxQueueRegisters, traits_.queues, values);
  dump_aliases(card_.regs.bar(), hw::intel::kTxQueueRegisters, traits_.queues, values);
  return values;
}

// A reset of the physical function disables this function and forgets its requests. A port that is not running recovers
// at its next start.
bool IgbvfPort::may_transmit() const {
  const auto status = card_.regs.read<reg::STATUS>();
  return !was_reset_ && !status.all_ones() && status.has(reg::STATUS::LU);
}

Result<void> IgbvfPort::expect_open() const {
  if (device_ != nullptr && card_.regs.bar()) return {};
  return fail(ErrorCode::bad_state, fmt::format("{}: the port is closed", card_.name), "open it again");
}

}  // namespace pollux::drivers::igbvf
