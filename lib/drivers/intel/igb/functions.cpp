// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/functions.hpp"

#include <algorithm>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_identity.hpp"
#include "pollux/net/frame_filters.hpp"

namespace pollux::drivers::igb {
namespace {

/// A pool for the port must be left.
constexpr unsigned kMaxFunctions = hw::igb::kPools - 1;
constexpr std::uint32_t kDefaultFrame = wire_bytes(1500);
constexpr unsigned kMaxPriority = 7;
constexpr unsigned kPriorityShift = 13;

}  // namespace

FunctionControl::FunctionControl(const Card& card, const Settings& settings, TxRates& rates, Hooks hooks)
    : card_(card),
      settings_(settings),
      rates_(rates),
      hooks_(std::move(hooks)),
      max_(std::min(card.device->max_functions(), kMaxFunctions)) {}

// A backend may keep the functions while no process has the card open.
Result<void> FunctionControl::adopt() {
  const unsigned enabled = card_.device->functions();
  if (enabled > max_) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: {} virtual functions are enabled, and leave no queue for the port", card_.name, enabled),
        fmt::format("disable them, and enable at most {}", kMaxFunctions));
  }
  count_ = enabled;
  rates_.set_functions(enabled);
  hooks_.changed(enabled);
  return {};
}

Result<void> FunctionControl::attach() {
  const unsigned enabled = card_.device->functions();
  if (enabled != count_ && enabled != 0) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the card has {} virtual functions enabled, and the port had {}", card_.name, enabled, count_),
        "disable the card's functions first");
  }
  if (enabled != count_) {
    if (auto set = card_.device->set_functions(count_); !set) return set;
  }
  max_ = std::min(card_.device->max_functions(), kMaxFunctions);
  for (Function& function : functions_) function.counted = {};
  return {};
}

Result<void> FunctionControl::set_functions(unsigned count) {
  if (auto possible = hooks_.check(count); !possible) return possible;
  if (count == 0 && count_ == 0) return {};  // there may be pools, whose settings stay
  if (count > max_functions()) {
    return refuse(card_.name, fmt::format("{} virtual functions are more than {}", count, max_functions()),
                  "the card keeps the queues of one for the port itself");
  }
  if (auto set = card_.device->set_functions(count); !set) return set;
  count_ = count;
  functions_ = {};
  vlans_.clear();
  rates_.set_functions(count);
  hooks_.changed(count);
  return {};
}

Result<void> FunctionControl::expect(unsigned number) const {
  if (auto is_open = hooks_.expect_open(); !is_open) return is_open;
  if (number < count_) return {};
  return refuse(card_.name, fmt::format("there is no virtual function {}", number),
                fmt::format("{} are enabled; they are counted from 0", count_));
}

Result<void> FunctionControl::check(unsigned number, const VirtualFunctionConfig& config) const {
  const auto refused = [&](const std::string& what, const char* hint) {
    return refuse(card_.name, fmt::format("virtual function {}: {}", number, what), hint);
  };
  if (config.mac && !is_station_address(*config.mac)) {
    return refused(fmt::format("{} cannot be its address", to_string(*config.mac)),
                   "use an address that is not all zero and whose first byte is even");
  }
  if (config.vlan != 0) {
    if (auto valid = check_vlan(card_.name, config.vlan); !valid) return valid;
  }
  if (config.qos > kMaxPriority) return refused(fmt::format("qos = {} is more than 7", config.qos), "use 0 to 7");
  if (config.qos != 0 && config.vlan == 0) return refused("qos without a vlan", "set the vlan, too");
  if (config.max_rate > hw::igb::kFastestLink) {
    return refused(fmt::format("max_rate = {} Mb/s is more than {} Mb/s", config.max_rate, hw::igb::kFastestLink),
                   "use 0 for no limit");
  }
  if (card_.regs.removed()) return fail_removed(card_.name);
  const auto vlan = config.vlan;
  if (vlan == 0 || vlan == functions_[number].state.config.vlan || vlans_.has_room(settings_.vlans, count_, vlan))
    return {};
  return fail(ErrorCode::busy,
              fmt::format("{}: virtual function {}: there is no room for VLAN {}", card_.name, number, vlan),
              fmt::format("remove a VLAN of another function: the card knows {}", FunctionVlans::kMost));
}

Result<void> FunctionControl::set_function(unsigned number, const VirtualFunctionConfig& config) {
  if (auto exists = expect(number); !exists) return exists;
  if (auto valid = check(number, config); !valid) return valid;
  VirtualFunctionState& state = functions_[number].state;
  if (state.config.vlan != config.vlan) {
    vlans_.remove(number, running_);
    // `check` has found room.
    if (config.vlan != 0) static_cast<void>(vlans_.set(config.vlan, number, true, running_));
  }
  state.config = config;
  if (config.mac) state.mac = config.mac;
  rates_.set_function_rate(number, config.max_rate, settings_);
  if (!running_) return {};
  write_untagged();
  apply(number);
  card_.regs.flush();
  return card_.regs.removed() ? fail_removed(card_.name) : Result<void>();
}

void FunctionControl::apply(unsigned number) {
  addresses_.write_own(number, functions_[number].state.mac);
  write_inserted_tag(number);
  write_limits(number);
  write_spoof_checks();
  write_traffic();
}

Result<VirtualFunctionState> FunctionControl::function(unsigned number) {
  if (auto exists = expect(number); !exists) return pass_on(std::move(exists));
  if (running_) {
    count(number);
    count_forged();
  }
  return functions_[number].state;
}

// QEMU, igb_core.c, igb_set_vtctrl. The function's driver learns of it from a message without kClearToSend.
Result<void> FunctionControl::reset_function(unsigned number) {
  if (auto exists = expect(number); !exists) return exists;
  if (!running_) {
    return fail(ErrorCode::bad_state,
                fmt::format("{}: virtual function {} cannot be reset while the port is stopped", card_.name, number),
                "start the port; a start resets all functions");
  }
  card_.regs.write<reg::PVTCTRL>(number, reg::PVTCTRL::RST);
  forget_requests(number);
  apply(number);
  send_control(number);
  card_.regs.flush();
  return card_.regs.removed() ? fail_removed(card_.name) : Result<void>();
}

// [I-SRIOV] The order follows Linux, igb_main.c, igb_configure (igb_vmm_control, igb_setup_mrqc, igb_set_vmolr), and
// e1000_82575.c, igb_vmdq_set_loopback_pf, igb_vmdq_set_replication_pf and igb_vmdq_set_anti_spoofing_pf.
void FunctionControl::start(const PoolCommon& common) {
  if (!enabled()) return;
  common_ = common;
  running_ = true;
  link_up_ = false;
  addresses_.forget();
  all_groups_ = false;
  for (Function& function : functions_) function.all_multicast = function.many_groups = false;
  // First the functions', so that what they requested before leaves room for the port's.
  vlans_.clear();
  for (unsigned number = 0; number < count_; ++number) forget_requests(number);
  note_port_vlans(settings_.vlans);
  write_untagged();
  vlans_.write_all(count_, !settings_.vlans);
  write_port_pool();
  for (unsigned number = 0; number < count_; ++number) {
    apply(number);
    functions_[number].counted = read_counters(number);  // the reset has cleared them
  }
  card_.regs.write<reg::VT_CTL>(reg::VT_CTL::DEFAULT_POOL(count_) | reg::VT_CTL::REPLICATION_EN);
  card_.regs.write<reg::RPLOLR>(common.keep_fcs ? reg::RPLOLR::Value(reg::RPLOLR::STRVLAN)
                                                : reg::RPLOLR::Value(reg::RPLOLR::STRVLAN | reg::RPLOLR::STRCRC));
  card_.regs.write<reg::MRQC>(reg::MRQC::VMDQ);
}

// Linux, igb_main.c, igb_irq_enable (MBVFIMR, VMMB) and __igb_open (PFRSTD).
void FunctionControl::announce() const {
  if (!enabled()) return;
  card_.regs.write<reg::MBVFIMR>(reg::MBVFIMR::POOLS((1U << count_) - 1));
  card_.regs.write<reg::IMS>(reg::IMS::VMMB | reg::IMS::DOUTSYNC);
  modify<reg::CTRL_EXT>(card_, reg::CTRL_EXT::PFRSTD);
}

// Linux, igb_main.c, igb_reset and igb_ping_all_vfs.
void FunctionControl::stop() {
  if (!std::exchange(running_, false) || card_.regs.removed()) return;
  count_forged();
  for (unsigned number = 0; number < count_; ++number) {
    count(number);
    forget_requests(number);  // its VLANs must not take the room of those that are set while the port is stopped
    send_control(number);
  }
  write_traffic();
}

void FunctionControl::write_common(const PoolCommon& common) {
  if (!running_) return;
  common_ = common;
  write_port_pool();
}

void FunctionControl::set_port_hashes(const std::vector<std::uint16_t>& unicast, std::vector<std::uint16_t> groups) {
  addresses_.set_hashes(count_, std::move(groups));
  addresses_.set_unicast_hashes(unicast);
  write_port_pool();
}

Result<void> FunctionControl::check_port_vlans(const std::optional<VlanSet>& vlans) const {
  if (vlans_.has_room(vlans, count_)) return {};
  return fail(ErrorCode::not_supported, fmt::format("{}: there is no room for the port's VLANs", card_.name),
              fmt::format("with virtual functions the card knows {} VLANs of all of them", FunctionVlans::kMost));
}

// check_port_vlans has found room.
void FunctionControl::note_port_vlans(const std::optional<VlanSet>& vlans) {
  for (std::size_t vlan = 1; vlan < VlanSet().size(); ++vlan) {
    static_cast<void>(vlans_.set(static_cast<std::uint16_t>(vlan), count_, vlans && vlans->test(vlan), false));
  }
}

void FunctionControl::set_port_vlans(const std::optional<VlanSet>& vlans) {
  note_port_vlans(vlans);
  vlans_.write_all(count_, !vlans);
}

void FunctionControl::forget_requests(unsigned number) {
  Function& function = functions_[number];
  function.state.driver_up = false;
  function.all_multicast = false;
  function.many_groups = false;
  function.max_frame = kDefaultFrame;
  if (!function.state.config.mac) function.state.mac.reset();
  vlans_.remove(number, running_);
  if (const auto vlan = function.state.config.vlan; vlan != 0) {
    // The removal has left room.
    static_cast<void>(vlans_.set(vlan, number, true, running_));
  }
  addresses_.remove_others(number);
  addresses_.set_hashes(number, {});
  follow_groups();
}

// A frame passes the port's filter first (I-M-POOLS). Linux, igb_main.c, igb_set_rx_mode, opens both for its own pool.
void FunctionControl::follow_groups() {
  const bool all = std::any_of(functions_.begin(), functions_.begin() + count_,
                               [](const Function& function) { return function.wants_all_groups(); });
  if (std::exchange(all_groups_, all) != all && running_) hooks_.groups_changed();
  if (!card_.features->pool_all_multicast && running_) addresses_.let_all_groups_pass(all || port_has_all_groups());
}

// Where pools have only tables, that of groups comes with the unicast table, which is open if promiscuous.
bool FunctionControl::port_has_all_groups() const {
  return common_.all_multicast && (card_.features->pool_all_multicast || !common_.promiscuous);
}

reg::VMOLR::Value FunctionControl::groups(bool all, bool has_hashes) const {
  reg::VMOLR::Value value;
  if (all) value = value.with(reg::VMOLR::MPME);
  return has_hashes || (all && !card_.features->pool_all_multicast) ? value.with(reg::VMOLR::ROMPE) : value;
}

// Linux, igb_main.c, igb_vf_reset, adds a function without a VLAN of its own to VLAN 0.
void FunctionControl::write_untagged() const {
  std::uint32_t pools = own_pools();
  for (unsigned number = 0; number < count_; ++number) {
    if (functions_[number].state.config.vlan == 0) pools |= 1U << number;
  }
  vlans_.write_untagged(pools);
}

// Linux, igb_main.c, igb_set_vmolr and igb_set_vf_vlan_strip: a function's tags are in its descriptors.
void FunctionControl::write_limits(unsigned number) const {
  const Function& function = functions_[number];
  reg::VMOLR::Value value =
      groups(function.wants_all_groups(), addresses_.has_hashes(number))
          .with(reg::VMOLR::RLPML(function.max_frame) | reg::VMOLR::LPE | reg::VMOLR::BAM | reg::VMOLR::STRVLAN);
  if (!common_.keep_fcs) value = value.with(reg::VMOLR::STRCRC);
  if (function.state.config.vlan == 0) value = value.with(reg::VMOLR::AUPE);
  card_.regs.write<reg::VMOLR>(number, value);
}

// The unicast table serves the port's pool alone. In promiscuous mode all of its bits are set: Linux, igb_main.c,
// igb_set_rx_mode and igb_set_uta.
void FunctionControl::write_port_pool() {
  follow_groups();
  reg::VMOLR::Value value = groups(port_has_all_groups(), addresses_.has_hashes(count_))
                                .with(reg::VMOLR::RLPML(limit_bytes(card_, common_.limit)) | reg::VMOLR::LPE |
                                      reg::VMOLR::BAM | reg::VMOLR::AUPE);
  if (common_.strip_vlans) value = value.with(reg::VMOLR::STRVLAN);
  if (!common_.keep_fcs) value = value.with(reg::VMOLR::STRCRC);
  addresses_.let_all_unicast_pass(common_.promiscuous);
  if (addresses_.passes_unicast()) value = value.with(reg::VMOLR::ROPE);
  card_.regs.write<reg::VMOLR>(count_, value);
}

// Linux, igb_main.c, igb_vf_reset_msg, enables a function's queues when its driver has announced itself.
void FunctionControl::write_traffic() const {
  std::uint32_t pools = own_pools();
  for (unsigned number = 0; number < count_; ++number) {
    const VirtualFunctionState& state = functions_[number].state;
    if (state.driver_up && state.config.enabled) pools |= 1U << number;
  }
  card_.regs.write<reg::VFTE>(reg::VFTE::POOLS(pools));
  card_.regs.write<reg::VFRE>(reg::VFRE::POOLS(pools));
}

void FunctionControl::write_spoof_checks() const {
  std::uint32_t pools = 0;
  for (unsigned number = 0; number < count_; ++number) {
    if (functions_[number].state.config.spoof_check) pools |= 1U << number;
  }
  card_.regs.write<reg::DTXSWC>(reg::DTXSWC::MAC_SPOOF(pools) | reg::DTXSWC::VLAN_SPOOF(pools) |
                                reg::DTXSWC::VMDQ_LOOPBACK_EN);
}

// Linux, igb_main.c, igb_set_vmvir.
void FunctionControl::write_inserted_tag(unsigned number) const {
  const VirtualFunctionConfig& config = functions_[number].state.config;
  reg::VMVIR::Value value;
  if (config.vlan != 0) {
    const std::uint32_t tag = config.vlan | std::uint32_t{config.qos} << kPriorityShift;
    value = value.with(reg::VMVIR::TAG(tag) | reg::VMVIR::ALWAYS_DEFAULT);
  }
  card_.regs.write<reg::VMVIR>(number, value);
}

// Linux, igb_main.c, igb_watchdog_task.
void FunctionControl::follow(const Link& link) {
  if (!running_ || std::exchange(link_up_, link.up) == link.up) return;
  for (unsigned number = 0; number < count_; ++number) send_control(number);
}

void FunctionControl::service() {
  if (!running_) return;
  const MailboxEvents events = take_mailbox_events(card_, count_);
  for (unsigned number = 0; number < count_; ++number) {
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
  if (!rates_.limits_function(number)) return;
  const auto second = card_.regs.read<reg::TXDCTL>(number + hw::igb::kPools);
  if (!second.all_ones()) rates_.note_second_queue(number, second.has(reg::TXDCTL::ENABLE), settings_);
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
  for (unsigned number = 0; number < count_; ++number) {
    const std::uint32_t own = 1U << number | 1U << (number + hw::igb::kPools);
    if ((queues.raw() & own) != 0) ++functions_[number].state.spoof_events;
  }
}

}  // namespace pollux::drivers::igb
