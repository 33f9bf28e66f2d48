// SPDX-License-Identifier: BSD-3-Clause
// The counters, and the calls that read or change a running port.
#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "drivers/intel/forward/forward_queue.hpp"
#include "drivers/intel/igbvf/port.hpp"
#include "net/frame_size.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::igbvf {
namespace {

struct CardCounter {
  std::string_view name;
  std::uint32_t offset;
};

/// In the order of reading. Octets are read before frames, so that the FCS of every counted frame can be subtracted. A
/// frame that arrives in between makes the bytes too few until the next read, never too many.
enum Index : std::size_t { kRxOctets, kTxOctets, kRxLoopOctets, kTxLoopOctets, kRx, kTx, kMulticast, kRxLoop, kTxLoop };
constexpr std::array<CardCounter, IgbvfStatistics::kCounters> kCounterTable{{
    {"VFGORC", reg::VFGORC::offset()},
    {"VFGOTC", reg::VFGOTC::offset()},
    {"VFGORLBC", reg::VFGORLBC::offset()},
    {"VFGOTLBC", reg::VFGOTLBC::offset()},
    {"VFGPRC", reg::VFGPRC::offset()},
    {"VFGPTC", reg::VFGPTC::offset()},
    {"VFMPRC", reg::VFMPRC::offset()},
    {"VFGPRLBC", reg::VFGPRLBC::offset()},
    {"VFGPTLBC", reg::VFGPTLBC::offset()},
}};

}  // namespace

IgbvfStatistics::Values IgbvfStatistics::read() const {
  Values values{};
  for (std::size_t i = 0; i < kCounters; ++i) values[i] = regs_.bar().read32(kCounterTable[i].offset);
  return values;
}

// A counter that seems to have advanced by 2^31 or more within an interval has been cleared by a reset of the card. Its
// value is then the count since that reset.
void IgbvfStatistics::accumulate_locked() {
  if (!attached_) return;
  const Values now = read();
  const auto dropped = regs_.read_and_clear<hw::intel::RQDPC>(0);
  if (regs_.removed()) return;
  for (std::size_t i = 0; i < kCounters; ++i) {
    const std::uint32_t step = now[i] - last_[i];
    total_[i] += step < 0x8000'0000 ? step : now[i];
  }
  last_ = now;
  no_descriptor_ += dropped.get(hw::intel::RQDPC::COUNT);
}

void IgbvfStatistics::attach(const reg::Registers& regs) {
  const std::lock_guard lock(mutex_);
  regs_ = regs;
  last_ = read();
  attached_ = true;
}

void IgbvfStatistics::accumulate() {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
}

void IgbvfStatistics::detach() {
  const std::lock_guard lock(mutex_);
  attached_ = false;
}

void IgbvfStatistics::fill(Stats& stats) {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
  stats.rx_packets = total_[kRx];
  stats.tx_packets = total_[kTx];
  stats.rx_bytes = rx_bytes_ = std::max(rx_bytes_, octets_without_fcs(total_[kRxOctets], total_[kRx]));
  stats.tx_bytes = tx_bytes_ = std::max(tx_bytes_, octets_without_fcs(total_[kTxOctets], total_[kTx]));
  stats.multicast = total_[kMulticast];
  stats.rx_missed_errors = no_descriptor_;
  if (!stats.rx_queues.empty()) stats.rx_queues[0].missed_at_least = no_descriptor_;
}

void IgbvfStatistics::append(std::vector<Counter>& counters) {
  const std::lock_guard lock(mutex_);
  accumulate_locked();
  for (std::size_t i = 0; i < kCounters; ++i) counters.push_back({std::string(kCounterTable[i].name), total_[i]});
}

namespace {

/// For a receiving thread to end its burst.
constexpr Duration kReceiveLimit = milliseconds(100);

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

// Compared with what the physical function has granted: a reset makes it forget all, and what it refused or did not
// answer is not taken back. The address that the host has assigned is not requested: Linux's igb refuses even that to
// an untrusted function (igb_main.c, igb_set_vf_mac_addr).
Result<void> IgbvfPort::apply(const PlacedSettings* from, const PlacedSettings& to) {
  moderate(to);
  if (const MacAddress mac = mac_of(to); mac != granted_.mac) {
    if (auto set = request_address(card_, mailbox_, mac); !set) return set;
    granted_.mac = mac;
  }
  if (to.mtu != granted_.mtu) {
    if (auto set = request_max_frame(card_, mailbox_, wire_bytes(to.mtu)); !set) return set;
    granted_.mtu = to.mtu;
  }
  if (to.all_multicast != granted_.all_multicast) {
    if (auto set = request_all_multicast(card_, mailbox_, to.all_multicast); !set) return set;
    granted_.all_multicast = to.all_multicast;
  }
  if (to.multicast != granted_.multicast) {
    if (auto set = request_multicast(card_, mailbox_, to.multicast); !set) return set;
    granted_.multicast = to.multicast;
  }
  const VlanSet vlans = to.vlans.value_or(VlanSet());
  if (from == nullptr) {
    queues()->set_rx_format(format_ = rx_format(vlans));
    return request_vlans(vlans);
  }
  // The first frame of a VLAN may come before the answer.
  if (auto shown = show_vlans(granted_.vlans | vlans); !shown) return shown;
  auto set = request_vlans(vlans);
  auto shown = show_vlans(granted_.vlans);
  return set ? shown : set;
}

// Without a VLAN of its own, the function gets frames of the one that the host has assigned, if any.
RxFormat IgbvfPort::rx_format(const VlanSet& vlans) noexcept {
  return (vlans >> 1).any() ? RxFormat::intel_advanced : RxFormat::intel_assigned_tag;
}

Result<void> IgbvfPort::request_vlans(const VlanSet& vlans) {
  for (std::size_t vlan = 1; vlan < vlans.size(); ++vlan) {
    if (granted_.vlans[vlan] == vlans[vlan]) continue;
    auto set = request_vlan(card_, mailbox_, static_cast<std::uint16_t>(vlan), vlans[vlan]);
    if (!set) return set;
    granted_.vlans[vlan] = vlans[vlan];
  }
  return {};
}

Result<void> IgbvfPort::expect_open() const {
  if (device_ != nullptr && card_.regs.bar()) return {};
  return fail(ErrorCode::bad_state, fmt::format("{}: the port is closed", card_.name), "open it again");
}

Result<void> IgbvfPort::show_vlans(const VlanSet& vlans) {
  if (rx_format(vlans) == format_) return {};
  auto paused = queues()->pause_receive(card_.clock(), kReceiveLimit);
  if (paused) queues()->set_rx_format(format_ = rx_format(vlans));
  queues()->resume_receive();
  return paused;
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

// A reset of the physical function disables this function and forgets its requests. A port that is not running recovers
// at its next start.
bool IgbvfPort::may_transmit() const {
  const auto status = card_.regs.read<reg::STATUS>();
  return !was_reset_ && !status.all_ones() && status.has(reg::STATUS::LU);
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

}  // namespace pollux::drivers::igbvf
