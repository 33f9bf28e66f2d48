// SPDX-License-Identifier: BSD-3-Clause
// What each setting of the port governs on the card.
#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/queues.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/igb/flow_filters.hpp"
#include "drivers/intel/igb/port.hpp"
#include "drivers/intel/igb/queue_setup.hpp"
#include "net/settings_check.hpp"

namespace pollux::drivers::igb {
namespace {

/// The features of an 82576 that exclude each other.
enum Feature : std::uint32_t {
  pools = 1,
  functions = 2,  ///< virtual functions
  vlan_filter = 4,
  further_addresses = 8,
  flow_rules = 16,
  outer_vlan_type = 32,
  transmit_stamps = 64,
  several_queues = 128,  ///< more than one a direction, or none
};

struct Name {
  Feature feature;
  const char* name;
  const char* hint;  ///< how to end it
};
constexpr std::array kNames{
    Name{pools, "pools", "set no pools first, on the stopped port (Settings::pools)"},
    Name{functions, "virtual functions", "disable the functions first, on the stopped port"},
    Name{vlan_filter, "the VLAN filter", "open the port again, and name VLANs in QueuePool::vlans"},
    Name{further_addresses, "further addresses", "clear them, and name them in QueuePool::addresses"},
    Name{flow_rules, "flow rules", "remove the rules first, or give them to SoftwareClassifier"},
    Name{outer_vlan_type, "an outer VLAN type", "set no outer_vlan_type first"},
    Name{transmit_stamps, "stamps of sent frames", "set FrameStampsConfig::transmit to false first"},
    Name{several_queues, "other queues than one in each direction", "configure the port with these first"},
};

struct Exclusion {
  Feature one, other;
  const char* why;
};
constexpr std::array kExclusions{
    Exclusion{pools, vlan_filter, "each pool has VLANs of its own (QueuePool::vlans)"},
    Exclusion{pools, further_addresses, "each pool has addresses of its own (QueuePool::addresses)"},
    // [I-FTQF] No source that was read says what a queue filter does to a frame that pools get.
    Exclusion{pools, flow_rules, "both choose queues"},
    Exclusion{functions, flow_rules, "both choose queues"},
    Exclusion{functions, pools, "both choose queues"},
    Exclusion{functions, several_queues, "with virtual functions the port has one queue in each direction"},
    // The mode is the whole card's, and a function's driver would not know of it.
    Exclusion{functions, outer_vlan_type, "the card has the type for all functions"},
    Exclusion{functions, transmit_stamps, "functions share the card's only stamp, and could falsify it"},
    // [I-EXTVLAN] The card's filters find no headers in frames without the outer tag.
    Exclusion{outer_vlan_type, flow_rules, "the filters would concern frames with the outer tag alone"},
};

const Name& name_of(Feature feature) {
  return *std::find_if(kNames.begin(), kNames.end(), [=](const Name& name) { return name.feature == feature; });
}

/// Whether a port with the features `from` may have those of `to`. Error bad_state: names both features and how to end
/// the one that it has.
Result<void> check_features(std::uint32_t from, std::uint32_t to, std::string_view port) {
  for (const Exclusion& exclusion : kExclusions) {
    if ((to & exclusion.one) == 0 || (to & exclusion.other) == 0) continue;
    const bool has_one = (from & exclusion.one) != 0;
    const Name& present = name_of(has_one ? exclusion.one : exclusion.other);
    const Name& added = name_of(has_one ? exclusion.other : exclusion.one);
    return fail(ErrorCode::bad_state,
                fmt::format("{}: {} cannot be used with {}: {}", port, added.name, present.name, exclusion.why),
                present.hint);
  }
  return {};
}

/// What VFTA has for a port without functions.
VlanSet vlans_of(const Settings& settings) {
  return !settings.pools.pools.empty() ? pool_vlans(settings.pools) : settings.vlans.value_or(VlanSet());
}

/// The features in use that exclude others.
std::uint32_t features(const Settings& settings) {
  const bool configured = !settings.rx.empty() || !settings.tx.empty();
  std::uint32_t all = 0;
  if (!settings.pools.pools.empty()) all |= Feature::pools;
  if (!settings.functions.empty()) all |= Feature::functions;
  if (settings.vlans) all |= Feature::vlan_filter;
  if (!settings.unicast.empty() || !settings.multicast.empty()) all |= Feature::further_addresses;
  if (!settings.rules.empty()) all |= Feature::flow_rules;
  if (settings.outer_vlan_type) all |= Feature::outer_vlan_type;
  if (settings.stamps.transmit) all |= Feature::transmit_stamps;
  if (configured && (settings.rx.size() != 1 || settings.tx.size() != 1)) all |= Feature::several_queues;
  return all;
}

}  // namespace

SettingSet supported_settings(Device& device, const hw::igb::CardTraits& card) {
  SettingSet settings = kCommonSettings;
  for (const Setting setting :
       {Setting::keep_fcs, Setting::keep_bad_frames, Setting::unicast, Setting::multicast, Setting::vlans,
        Setting::vlan_stripping, Setting::outer_vlan_type, Setting::rss, Setting::loopback, Setting::flow_control,
        Setting::link, Setting::phy_enabled, Setting::wake, Setting::led, Setting::stamps, Setting::clock_frequency}) {
    settings.insert(setting);
  }
  if (device.interrupt_vectors() != 0) settings.insert(Setting::moderation);
  if (card.buffers.adjustable) settings.insert(Setting::packet_buffers);
  if (card.rate_limits) settings.insert(Setting::tx_rates);
  if (card.pools > 1) settings.insert(Setting::pools);
  if (card.pools > 1 && card.rate_limits) settings.insert(Setting::pool_tx_rates);
  if (card.features.flow_filters) settings.insert(Setting::rules);
  if (device.max_functions() != 0) settings.insert(Setting::functions);
  return settings;
}

Result<void> IgbPort::check(const PlacedSettings& from, PlacedSettings& to) {
  if (features(from) != features(to)) {
    if (auto fit = check_features(features(from), features(to), card_.name); !fit) return fit;
  }
  const std::uint16_t queues = to.queues.rx_queues();
  if (to.pools != from.pools || queues != from.queues.rx_queues()) {
    if (auto fits = check_pools(card_, to.pools, queues == 0 ? card_.traits->queues : queues); !fits) return fits;
  }
  if (to.rules != from.rules || to.stamps != from.stamps) {
    if (auto fits = place_rules(card_, to); !fits) return fits;
  }
  if (to.unicast != from.unicast || to.multicast != from.multicast || to.functions != from.functions) {
    place_addresses(card_, to);
  }
  if (to.vlans != from.vlans || to.functions != from.functions) {
    if (auto fits = functions_.check(from, to); !fits) return fits;
  }
  if (to.link != from.link || to.phy_enabled != from.phy_enabled) {
    if (auto fits = check_link(from, to); !fits) return fits;
  }
  if (auto wakes = check_wake(from, to); !wakes) return wakes;
  const bool marks = to.flow_control != from.flow_control || to.packet_buffers != from.packet_buffers;
  if (!marks || card_.regs.removed()) return {};
  auto valid = with_marks(to);
  return valid ? Result<void>() : pass_on(std::move(valid));
}

void IgbPort::follow_settings(const Settings& settings) {
  queues()->set_longest_good(limit_bytes(card_, receive_limit(settings)));
  queues()->let_card_insert_tags(inserts_tags(settings));
  queues()->set_rx_format(rx_format(settings));
}

// A successor of a program that ends in between does not know which settings are in force.
Result<void> IgbPort::apply(const PlacedSettings* from, const PlacedSettings& to) {
  if (from == nullptr || !kept_.is_running) return write(from, to);
  kept_.card->memory.write_record({});
  auto done = write(from, to);
  record_kept(done ? to : *from);
  return done;
}

// What concerns the card of a stopped port, too, is first. RCTL is the last: it lets the card receive.
Result<void> IgbPort::write(const PlacedSettings* from, const PlacedSettings& to) {
  const auto changed = [&](auto... setting) { return from == nullptr || ((from->*setting != to.*setting) || ...); };
  if (!has_card_) return {};
  if (changed(&Settings::led)) {
    if (auto shown = leds_.write(to.led); !shown) return shown;
  }
  if (to.clock_frequency && changed(&Settings::clock_frequency)) {
    if (auto runs = clock_.run_at(*to.clock_frequency); !runs) return runs;
  }
  if (from != nullptr && changed(&Settings::functions)) {
    if (auto set = functions_.apply(*from, to); !set) return set;
  }
  if (!running()) {  // the other settings are written by the next start
    if (!to.phy_enabled && changed(&Settings::phy_enabled)) {
      if (auto stopped = stop_phy(card_); !stopped) return stopped;
    }
    return flush_registers(card_);
  }
  const bool receives = to.queues.rx_queues() != 0;
  if (from == nullptr) clear_filters();
  if (changed(&Settings::mac)) write_address(card_, 0, mac_of(to), own_pools(to.pools) | functions_.own_pools());
  if (!functions_.enabled() && changed(&Settings::vlans)) {
    const std::optional<VlanSet> before = from != nullptr ? std::optional(vlans_of(*from)) : std::nullopt;
    write_vlans(card_, before ? &*before : nullptr, vlans_of(to));
  }
  if (changed(&Settings::vlan_stripping)) write_vlan_stripping(card_, to.vlan_stripping);
  if (changed(&Settings::mtu, &Settings::outer_vlan_type)) {
    card_.regs.write<reg::RLPML>(reg::RLPML::LENGTH(limit_bytes(card_, card_limit(to))));
    queues()->set_longest_good(limit_bytes(card_, receive_limit(to)));
  }
  if (changed(&Settings::outer_vlan_type)) write_outer_vlan_type(card_, to.outer_vlan_type);
  if (changed(&Settings::vlan_stripping, &Settings::outer_vlan_type)) {
    queues()->let_card_insert_tags(inserts_tags(to));
    queues()->set_rx_format(rx_format(to));
  }
  if (auto linked = apply_link_settings(from, to); !linked) return linked;
  if (changed(&Settings::moderation)) moderate(to);
  if (changed(&Settings::rules, &Settings::stamps)) write_filters(card_, from, to);
  if (to.stamps != (from == nullptr ? FrameStampsConfig{} : from->stamps)) stamps_.write(to.stamps);
  if (from == nullptr) {
    if (receives) enable_hash(card_);
    start_pools(card_, to);
    functions_.start();
  } else if (changed(&Settings::mtu, &Settings::vlan_stripping, &Settings::outer_vlan_type, &Settings::promiscuous,
                     &Settings::all_multicast, &Settings::unicast, &Settings::multicast, &Settings::vlans)) {
    if (!to.pools.pools.empty()) write_pool_settings(card_, to);
    if (functions_.enabled()) functions_.write_port(*from, to);
  }
  if (!functions_.enabled() && changed(&Settings::unicast, &Settings::multicast)) write_addresses(card_, from, to);
  // Pools of one queue, and those of functions, leave nothing to choose.
  if (receives && changed(&Settings::rss) && !functions_.enabled() && queues_of_a_pool(to.pools) != 1) {
    write_rss(card_, effective_rss(to, info().limits), queues_of_a_pool(to.pools) > 1);
  }
  if (from != nullptr && changed(&Settings::tx_rates, &Settings::pool_tx_rates, &Settings::functions)) {
    tx_rates_.apply(*from, to);
  }
  if (receives && changed(&Settings::promiscuous, &Settings::all_multicast, &Settings::vlans)) {
    write_receive_control(card_, to, functions_.wants_all_groups());
  }
  return flush_registers(card_);
}

// Linux, igb_main.c, igb_rlpml_set: each pool has a limit of its own (VMOLR), which may be above the port's.
ReceiveLimit IgbPort::card_limit(const Settings& settings) const noexcept {
  return functions_.enabled() ? ReceiveLimit{.mtu = card_.traits->max_frame} : receive_limit(settings);
}

Result<void> IgbPort::pause(Duration limit) {
  return gigabit::pause_queues(card_, *queues(), inserts_tags(settings()), limit);
}

void IgbPort::unpause() noexcept { gigabit::resume_queues(*queues()); }

}  // namespace pollux::drivers::igb
