// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/functions.hpp"

#include <algorithm>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_identity.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr unsigned kPriorityShift = 13;

}  // namespace

unsigned FunctionControl::max_functions() const {
  return card_.device == nullptr ? 0 : std::min(card_.device->max_functions(), most_functions());
}

Result<void> FunctionControl::adopt() const {
  const unsigned enabled = card_.device->functions();
  if (enabled <= max_functions()) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: {} virtual functions are enabled, and leave no queue for the port", card_.name, enabled),
              fmt::format("disable them, and enable at most {}", most_functions()));
}

Result<void> FunctionControl::attach() {
  const unsigned enabled = card_.device->functions();
  if (enabled != count() && enabled != 0) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the card has {} virtual functions enabled, and the port had {}", card_.name, enabled, count()),
        "disable the card's functions first");
  }
  if (enabled != count()) {
    if (auto set = card_.device->set_functions(count()); !set) return set;
  }
  for (Function& function : functions_) function.counted = {};
  return {};
}

Result<void> FunctionControl::check(const PlacedSettings& from, PlacedSettings& to) const {
  if (to.functions.size() > max_functions()) {
    return refuse(card_.name,
                  fmt::format("{} virtual functions are more than {}", to.functions.size(), max_functions()),
                  "the card keeps the queues of one for the port itself");
  }
  return place_vlans(from, to);
}

Result<void> FunctionControl::apply(const PlacedSettings& from, const PlacedSettings& to) {
  if (from.functions.size() != to.functions.size()) {
    functions_ = {};
    requested_vlans_ = {};
    return card_.device->set_functions(count());
  }
  if (!port_.running()) return {};
  const Filters before = filters(from);
  for (unsigned number = 0; number < count(); ++number) {
    if (to.functions[number] == from.functions[number]) continue;
    if (to.functions[number].mac) functions_[number].requests.mac.reset();
    if (to.functions[number].vlan != from.functions[number].vlan) leave_vlans(number);
  }
  write(&before, filters(to));
  for (unsigned number = 0; number < count(); ++number) {
    if (to.functions[number] != from.functions[number]) write(number);
  }
  return {};
}

void FunctionControl::write(unsigned number) {
  write_inserted_tag(number);
  write_limits(number);
  write_spoof_checks();
  write_traffic();
}

Result<void> FunctionControl::expect_function(unsigned number) const {
  if (number < count()) return expect_open(card_);
  return refuse(card_.name, fmt::format("there is no virtual function {}", number),
                fmt::format("{} are enabled; they are counted from 0", count()));
}

Result<VirtualFunctionState> FunctionControl::function(unsigned number) {
  if (auto exists = expect_function(number); !exists) return pass_on(std::move(exists));
  if (port_.running()) {
    count(number);
    count_forged();
  }
  VirtualFunctionState state = functions_[number].state;
  state.config = config(number);
  state.mac = mac_of(number);
  return state;
}

// QEMU, igb_core.c, igb_set_vtctrl. The function's driver learns of it from a message without kClearToSend.
Result<void> FunctionControl::reset_function(unsigned number) {
  if (auto exists = expect_function(number); !exists) return exists;
  if (!port_.running()) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: virtual function {} cannot be reset while the port is stopped", card_.name, number),
                "start the port; a start resets all functions");
  }
  card_.regs.write<reg::PVTCTRL>(number, reg::PVTCTRL::RST);
  change_requests([&] { forget_requests(number); });
  write(number);
  send_control(number);
  card_.regs.flush();
  return card_.regs.removed() ? fail_removed(card_.name) : Result<void>();
}

// [I-SRIOV] The order follows Linux, igb_main.c, igb_configure (igb_vmm_control, igb_setup_mrqc, igb_set_vmolr), and
// e1000_82575.c, igb_vmdq_set_loopback_pf, igb_vmdq_set_replication_pf and igb_vmdq_set_anti_spoofing_pf. All queues
// share one packet buffer, and a function may clear SRRCTL.DROP_EN of its own; QDE is the port's alone (igb_main.c,
// igb_setup_rctl).
void FunctionControl::start() {
  if (!enabled()) return;
  card_.regs.write<reg::QDE>(reg::QDE::QUEUES((1U << reg::kRxQueues) - 1));
  const PlacedSettings& settings = port_.settings();
  link_up_ = false;
  for (unsigned number = 0; number < count(); ++number) forget_requests(number);
  write(nullptr, filters(settings));
  write_port_pool();
  for (unsigned number = 0; number < count(); ++number) write(number);
  card_.regs.write<reg::VT_CTL>(reg::VT_CTL::DEFAULT_POOL(count()) | reg::VT_CTL::REPLICATION_EN);
  card_.regs.write<reg::RPLOLR>(strips_fcs(settings) ? reg::RPLOLR::Value(reg::RPLOLR::STRVLAN | reg::RPLOLR::STRCRC)
                                                     : reg::RPLOLR::Value(reg::RPLOLR::STRVLAN));
  card_.regs.write<reg::MRQC>(reg::MRQC::VMDQ);
}

// Linux, igb_main.c, igb_irq_enable (MBVFIMR, VMMB) and __igb_open (PFRSTD).
void FunctionControl::announce() const {
  if (!enabled()) return;
  card_.regs.write<reg::MBVFIMR>(reg::MBVFIMR::POOLS((1U << count()) - 1));
  card_.regs.write<reg::IMS>(reg::IMS::VMMB | reg::IMS::DOUTSYNC);
  modify<reg::CTRL_EXT>(card_, reg::CTRL_EXT::PFRSTD);
}

// Linux, igb_main.c, igb_reset and igb_ping_all_vfs.
void FunctionControl::stop() {
  if (!enabled() || card_.regs.removed()) return;
  count_forged();
  for (unsigned number = 0; number < count(); ++number) {
    count(number);
    forget_requests(number);  // its VLANs must not take the room of those that are set while the port is stopped
    send_control(number);
  }
  write_traffic();
}

void FunctionControl::write_port(const PlacedSettings& from, const PlacedSettings& to) {
  const Filters before = filters(from);
  write(&before, filters(to));
  write_port_pool();
}

std::optional<MacAddress> FunctionControl::mac_of(unsigned number) const {
  const std::optional<MacAddress>& requested = functions_[number].requests.mac;
  return requested ? requested : config(number).mac;
}

void FunctionControl::forget_requests(unsigned number) {
  functions_[number].state.driver_up = false;
  functions_[number].requests = {};
  leave_vlans(number);
}

// [E-VFLR] A reset leaves what the function's last owner has written, such as where a queue reports its head in memory.
// FreeBSD, if_igb_iov.c, igb_iov_sanitize_vf_queues. The function neither sends nor receives now.
void FunctionControl::clear_queues(unsigned number) const {
  for (std::uint32_t queue = number; queue < card_.traits->queues; queue += card_.traits->pools) {
    card_.regs.write<reg::RXDCTL>(queue, {});
    card_.regs.write<reg::TXDCTL>(queue, {});
    card_.regs.write<reg::SRRCTL>(queue, {});
    card_.regs.write<reg::TDWBAL>(queue, {});
    card_.regs.write<reg::TDWBAH>(queue, {});
  }
  card_.regs.write<reg::PSRTYPE>(number, {});
}

reg::VMOLR::Value FunctionControl::groups(bool all, bool has_hashes) const {
  reg::VMOLR::Value value;
  if (all) value = value.with(reg::VMOLR::MPME);
  return has_hashes || (all && !card_.traits->features.pool_all_multicast) ? value.with(reg::VMOLR::ROMPE) : value;
}

// Linux, igb_main.c, igb_set_vmolr and igb_set_vf_vlan_strip: a function's tags are in its descriptors.
void FunctionControl::write_limits(unsigned number) const {
  const Requests& requests = functions_[number].requests;
  reg::VMOLR::Value value =
      groups(requests.wants_all_groups(), !requests.groups.empty())
          .with(reg::VMOLR::RLPML(requests.max_frame) | reg::VMOLR::LPE | reg::VMOLR::BAM | reg::VMOLR::STRVLAN);
  if (strips_fcs(port_.settings())) value = value.with(reg::VMOLR::STRCRC);
  if (config(number).vlan == 0) value = value.with(reg::VMOLR::AUPE);
  card_.regs.write<reg::VMOLR>(number, value);
  write_queue_strips(card_, number, true, strips_fcs(port_.settings()));
}

// The unicast table serves the port's pool alone. In promiscuous mode all of its bits are set: Linux, igb_main.c,
// igb_set_rx_mode and igb_set_uta.
void FunctionControl::write_port_pool() const {
  const PlacedSettings& settings = port_.settings();
  reg::VMOLR::Value value = groups(port_has_all_groups(settings), !settings.multicast.empty())
                                .with(reg::VMOLR::RLPML(limit_bytes(card_, receive_limit(settings))) | reg::VMOLR::LPE |
                                      reg::VMOLR::BAM | reg::VMOLR::AUPE);
  if (settings.vlan_stripping) value = value.with(reg::VMOLR::STRVLAN);
  if (strips_fcs(settings)) value = value.with(reg::VMOLR::STRCRC);
  if (settings.promiscuous || !settings.unicast.empty()) value = value.with(reg::VMOLR::ROPE);
  // An 82576's default pool gets the VLANs that no entry names. FreeBSD, if_igb_iov.c, igb_iov_rebuild_vlan.
  if (!settings.vlans && card_.traits->pool_dma_strips) value = value.with(reg::VMOLR::VPE);
  card_.regs.write<reg::VMOLR>(count(), value);
  write_queue_strips(card_, count(), settings.vlan_stripping, strips_fcs(settings));
}

// Linux, igb_main.c, igb_vf_reset_msg, enables a function's queues when its driver has announced itself.
void FunctionControl::write_traffic() const {
  std::uint32_t pools = own_pools();
  for (unsigned number = 0; number < count(); ++number) {
    if (functions_[number].state.driver_up && config(number).enabled) pools |= 1U << number;
  }
  card_.regs.write<reg::VFTE>(reg::VFTE::POOLS(pools));
  card_.regs.write<reg::VFRE>(reg::VFRE::POOLS(pools));
}

void FunctionControl::write_spoof_checks() const {
  std::uint32_t pools = 0;
  for (unsigned number = 0; number < count(); ++number) {
    if (config(number).spoof_check) pools |= 1U << number;
  }
  write_tx_switch(card_,
                  reg::DTXSWC::MAC_SPOOF(pools) | reg::DTXSWC::VLAN_SPOOF(pools) | reg::DTXSWC::VMDQ_LOOPBACK_EN);
}

// Linux, igb_main.c, igb_set_vmvir.
void FunctionControl::write_inserted_tag(unsigned number) const {
  const VirtualFunctionConfig& own = config(number);
  reg::VMVIR::Value value;
  if (own.vlan != 0) {
    const std::uint32_t tag = own.vlan | std::uint32_t{own.qos} << kPriorityShift;
    value = value.with(reg::VMVIR::TAG(tag) | reg::VMVIR::ALWAYS_DEFAULT);
  }
  card_.regs.write<reg::VMVIR>(number, value);
}

// Linux, igb_main.c, igb_watchdog_task.
void FunctionControl::follow(const Link& link) {
  if (!port_.running() || std::exchange(link_up_, link.up) == link.up) return;
  for (unsigned number = 0; number < count(); ++number) send_control(number);
}

void FunctionControl::service() {
  if (!port_.running() || !enabled()) return;
  const MailboxEvents events = take_mailbox_events(card_, count());
  for (unsigned number = 0; number < count(); ++number) {
    const std::uint32_t bit = 1U << number;
    if ((events.resets & bit) != 0) on_reset(number);
    const bool has_requested = (events.requests & bit) != 0;
    if ((events.acknowledgements & bit) != 0) on_acknowledgement(number, has_requested);
    if (has_requested) on_request(number);
    count(number);
    follow_second_queue(number);
  }
  count_forged();
}

void FunctionControl::follow_second_queue(unsigned number) {
  if (config(number).max_rate == 0) return;
  const auto second = card_.regs.read<reg::TXDCTL>(number + card_.traits->pools);
  if (!second.all_ones()) rates_.note_second_queue(number, second.has(reg::TXDCTL::ENABLE), port_.settings());
}

void FunctionControl::note_counters() {
  for (unsigned number = 0; number < count(); ++number) functions_[number].counted = read_counters(number);
}

// These wrap, and a read does not clear them: Linux igbvf, netdev.c, igbvf_update_stats.
std::array<std::uint32_t, FunctionControl::kCounted> FunctionControl::read_counters(unsigned number) const {
  return {card_.regs.read<reg::PVFGPRC>(number).raw(),  card_.regs.read<reg::PVFGORC>(number).raw(),
          card_.regs.read<reg::PVFGPTC>(number).raw(),  card_.regs.read<reg::PVFGOTC>(number).raw(),
          card_.regs.read<reg::PVFMPRC>(number).raw(),  card_.regs.read<reg::PVFGPRLBC>(number).raw(),
          card_.regs.read<reg::PVFGPTLBC>(number).raw()};
}

void FunctionControl::count(unsigned number) {
  const auto now = read_counters(number);
  if (card_.regs.removed()) return;
  VirtualFunctionCounters& counters = functions_[number].state.counters;
  const std::array<std::uint64_t*, kCounted> totals{
      &counters.rx_packets,   &counters.rx_bytes,         &counters.tx_packets,      &counters.tx_bytes,
      &counters.rx_multicast, &counters.rx_local_packets, &counters.tx_local_packets};
  for (std::size_t i = 0; i < kCounted; ++i) {
    *totals[i] += now[i] - std::exchange(functions_[number].counted[i], now[i]);
  }
}

// WVBR has a bit for each queue of a pool: Linux, igb_main.c, igb_check_wvbr and igb_spoof_check.
void FunctionControl::count_forged() {
  const auto queues = card_.regs.read_and_clear<reg::WVBR>();
  if (queues.all_ones()) return;
  for (unsigned number = 0; number < count(); ++number) {
    const std::uint32_t own = 1U << number | 1U << (number + card_.traits->pools);
    if ((queues.raw() & own) != 0) ++functions_[number].state.spoof_events;
  }
}

}  // namespace pollux::drivers::igb
