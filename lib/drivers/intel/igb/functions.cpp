// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/functions.hpp"

#include <algorithm>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_identity.hpp"
#include "pollux/net/frame_filters.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kDefaultFrame = wire_bytes(1500);
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

Result<void> FunctionControl::check(const Settings& from, const Settings& to) const {
  if (to.functions.size() > max_functions()) {
    return refuse(card_.name,
                  fmt::format("{} virtual functions are more than {}", to.functions.size(), max_functions()),
                  "the card keeps the queues of one for the port itself");
  }
  if (to.functions.empty() || vlans_.has_room(from, to)) return {};
  return fail(ErrorCode::busy,
              fmt::format("{}: there is no room for the VLANs of all functions and the port", card_.name),
              fmt::format("remove some: with virtual functions the card knows {} VLANs", card_.traits->pool_vlans - 1));
}

Result<void> FunctionControl::apply(const Settings& from, const Settings& to) {
  if (from.functions.size() != to.functions.size()) {
    functions_ = {};
    vlans_.clear();
    return card_.device->set_functions(count());
  }
  for (unsigned number = 0; number < count(); ++number) {
    const VirtualFunctionConfig& before = from.functions[number];
    const VirtualFunctionConfig& now = to.functions[number];
    if (now == before) continue;
    if (now.mac) functions_[number].state.mac = now.mac;
    if (!port_.running()) continue;
    if (now.vlan != before.vlan) join_own_vlan(number);
    write(number);
  }
  if (port_.running()) write_untagged();
  return {};
}

void FunctionControl::write(unsigned number) {
  addresses_.write_own(number, functions_[number].state.mac);
  write_inserted_tag(number);
  write_limits(number);
  write_spoof_checks();
  write_traffic();
}

Result<VirtualFunctionState> FunctionControl::function(unsigned number) {
  if (auto is_open = expect_open(card_); !is_open) return pass_on(std::move(is_open));
  if (port_.running()) {
    count(number);
    count_forged();
  }
  return functions_[number].state;
}

// QEMU, igb_core.c, igb_set_vtctrl. The function's driver learns of it from a message without kClearToSend.
Result<void> FunctionControl::reset_function(unsigned number) {
  if (auto is_open = expect_open(card_); !is_open) return is_open;
  if (!port_.running()) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: virtual function {} cannot be reset while the port is stopped", card_.name, number),
                "start the port; a start resets all functions");
  }
  card_.regs.write<reg::PVTCTRL>(number, reg::PVTCTRL::RST);
  forget_requests(number);
  write(number);
  send_control(number);
  card_.regs.flush();
  return card_.regs.removed() ? fail_removed(card_.name) : Result<void>();
}

// [I-SRIOV] The order follows Linux, igb_main.c, igb_configure (igb_vmm_control, igb_setup_mrqc, igb_set_vmolr), and
// e1000_82575.c, igb_vmdq_set_loopback_pf, igb_vmdq_set_replication_pf and igb_vmdq_set_anti_spoofing_pf.
void FunctionControl::start() {
  if (!enabled()) return;
  const Settings& settings = port_.settings();
  link_up_ = false;
  addresses_.forget();
  all_groups_ = false;
  for (Function& function : functions_) function.all_multicast = function.many_groups = false;
  // First the functions', so that what they requested before leaves room for the port's.
  vlans_.clear();
  for (unsigned number = 0; number < count(); ++number) forget_requests(number);
  note_port_vlans(settings.vlans);
  write_untagged();
  vlans_.write_all(count(), !settings.vlans);
  write_port_pool();
  for (unsigned number = 0; number < count(); ++number) write(number);
  card_.regs.write<reg::VT_CTL>(reg::VT_CTL::DEFAULT_POOL(count()) | reg::VT_CTL::REPLICATION_EN);
  card_.regs.write<reg::RPLOLR>(settings.queues.keep_fcs
                                    ? reg::RPLOLR::Value(reg::RPLOLR::STRVLAN)
                                    : reg::RPLOLR::Value(reg::RPLOLR::STRVLAN | reg::RPLOLR::STRCRC));
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

void FunctionControl::set_port_hashes(const std::vector<std::uint16_t>& unicast, std::vector<std::uint16_t> groups) {
  addresses_.set_hashes(count(), std::move(groups));
  addresses_.set_unicast_hashes(unicast);
  write_port_pool();
}

// `check` has found room, here and below.
void FunctionControl::note_port_vlans(const std::optional<VlanSet>& vlans) {
  for (std::size_t vlan = 1; vlan < VlanSet().size(); ++vlan) {
    static_cast<void>(vlans_.set(static_cast<std::uint16_t>(vlan), count(), vlans && vlans->test(vlan), false));
  }
}

void FunctionControl::set_port_vlans(const std::optional<VlanSet>& vlans) {
  note_port_vlans(vlans);
  vlans_.write_all(count(), !vlans);
}

// And it leaves those that it has requested.
void FunctionControl::join_own_vlan(unsigned number) {
  vlans_.remove(number, port_.running());
  const std::uint16_t vlan = config(number).vlan;
  if (vlan != 0) static_cast<void>(vlans_.set(vlan, number, true, port_.running()));
}

void FunctionControl::forget_requests(unsigned number) {
  Function& function = functions_[number];
  function.state.driver_up = false;
  function.all_multicast = false;
  function.many_groups = false;
  function.max_frame = kDefaultFrame;
  if (!config(number).mac) function.state.mac.reset();
  join_own_vlan(number);
  addresses_.remove_others(number);
  addresses_.set_hashes(number, {});
  follow_groups();
}

// A frame passes the port's filter first (I-M-POOLS). Linux, igb_main.c, igb_set_rx_mode, opens both for its own pool.
void FunctionControl::follow_groups() {
  const bool all = std::any_of(functions_.begin(), functions_.begin() + count(),
                               [](const Function& function) { return function.wants_all_groups(); });
  if (std::exchange(all_groups_, all) != all && port_.running()) write_receive_control(card_, port_.settings(), all);
  if (!card_.traits->features.pool_all_multicast && port_.running())
    addresses_.let_all_groups_pass(all || port_has_all_groups());
}

// Where pools have only tables, that of groups comes with the unicast table, which is open if promiscuous.
bool FunctionControl::port_has_all_groups() const {
  const Settings& settings = port_.settings();
  return card_.traits->features.pool_all_multicast ? settings.promiscuous || settings.all_multicast
                                                   : settings.all_multicast && !settings.promiscuous;
}

reg::VMOLR::Value FunctionControl::groups(bool all, bool has_hashes) const {
  reg::VMOLR::Value value;
  if (all) value = value.with(reg::VMOLR::MPME);
  return has_hashes || (all && !card_.traits->features.pool_all_multicast) ? value.with(reg::VMOLR::ROMPE) : value;
}

// Linux, igb_main.c, igb_vf_reset, adds a function without a VLAN of its own to VLAN 0.
void FunctionControl::write_untagged() const {
  std::uint32_t pools = own_pools();
  for (unsigned number = 0; number < count(); ++number) {
    if (config(number).vlan == 0) pools |= 1U << number;
  }
  vlans_.write_untagged(pools);
}

// Linux, igb_main.c, igb_set_vmolr and igb_set_vf_vlan_strip: a function's tags are in its descriptors.
void FunctionControl::write_limits(unsigned number) const {
  const Function& function = functions_[number];
  reg::VMOLR::Value value =
      groups(function.wants_all_groups(), addresses_.has_hashes(number))
          .with(reg::VMOLR::RLPML(function.max_frame) | reg::VMOLR::LPE | reg::VMOLR::BAM | reg::VMOLR::STRVLAN);
  if (!port_.settings().queues.keep_fcs) value = value.with(reg::VMOLR::STRCRC);
  if (config(number).vlan == 0) value = value.with(reg::VMOLR::AUPE);
  card_.regs.write<reg::VMOLR>(number, value);
}

// The unicast table serves the port's pool alone. In promiscuous mode all of its bits are set: Linux, igb_main.c,
// igb_set_rx_mode and igb_set_uta.
void FunctionControl::write_port_pool() {
  if (!enabled()) return;
  const Settings& settings = port_.settings();
  follow_groups();
  reg::VMOLR::Value value = groups(port_has_all_groups(), addresses_.has_hashes(count()))
                                .with(reg::VMOLR::RLPML(limit_bytes(card_, receive_limit(settings))) | reg::VMOLR::LPE |
                                      reg::VMOLR::BAM | reg::VMOLR::AUPE);
  if (settings.vlan_stripping) value = value.with(reg::VMOLR::STRVLAN);
  if (!settings.queues.keep_fcs) value = value.with(reg::VMOLR::STRCRC);
  addresses_.let_all_unicast_pass(settings.promiscuous);
  if (addresses_.passes_unicast()) value = value.with(reg::VMOLR::ROPE);
  card_.regs.write<reg::VMOLR>(count(), value);
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
  card_.regs.write<reg::DTXSWC>(reg::DTXSWC::MAC_SPOOF(pools) | reg::DTXSWC::VLAN_SPOOF(pools) |
                                reg::DTXSWC::VMDQ_LOOPBACK_EN);
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
