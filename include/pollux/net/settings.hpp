// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/loopback.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux {

/// A set of VLANs, by number.
using VlanSet = std::bitset<4096>;

/// What a program has asked of a port. The port has one such value, which Port::change edits. A value that is absent is
/// the card's choice.
/// Not part of it: actions, such as a reset of the PHY, and what is observed, such as the link.
struct Settings {
  std::vector<RxQueueConfig> rx{1};  ///< each receive queue, by index; at most PortLimits::max_rx_queues
  std::vector<TxQueueConfig> tx{1};  ///< each transmit queue, by index; at most PortLimits::max_tx_queues
  std::uint32_t mtu = 1500;          ///< bytes of an Ethernet payload, within PortLimits
  bool promiscuous = false;          ///< receive frames for any destination
  bool all_multicast = false;        ///< receive every multicast frame
  /// Keep the frame check sequence at the end of received frames: each has four bytes more. Do not forward such frames,
  /// since a sender would add another one.
  bool keep_fcs = false;
  /// Receive bad frames, too: with a wrong FCS, too short or too long. RxMetadata::is_bad_frame marks them. They count
  /// in rx_errors and in rx_burst_packets or drops.
  bool keep_bad_frames = false;
  /// Count the bytes of each queue (QueueStats::bytes). Each burst then reads the lengths of its frames. Excludes
  /// forward paths.
  bool count_bytes = false;
  /// Smaller packet buffers: with a small one for receiving, a port that does not poll loses frames, or sends pause
  /// frames (FlowControl), sooner, and no frame waits in it for long. FlowControl's water marks follow from its size.
  /// The sizes apply from the next start on, and are within PortLimits::packet_buffers.
  PacketBuffers packet_buffers = {};
  /// After this time, in which a transmit queue had frames and sent none although the link was up and no pause was
  /// requested, the port's service resets the port and restores all settings (PortEventKind::tx_timeout, counter
  /// `tx_timeouts`). The time that the longest request needs at the queue's rate limit (Settings::tx_rates) is added; a
  /// virtual function does not know the limit that its host has set. 0: never. At least 100 ms. Linux's igb has the
  /// same five seconds (igb_main.c, watchdog_timeo).
  Duration tx_timeout = std::chrono::seconds(5);
  /// After this time, in which a receive queue had free descriptors and took none of the frames that the card counted,
  /// the port's service reports it (PortEventKind::rx_timeout, counter `rx_timeouts`). 0: never. At least 100 ms. Needs
  /// a card that counts its frames (capability "receive_watch").
  Duration rx_timeout = std::chrono::seconds(5);
  /// The instructions that bursts use. A mode that the processor does not support is rejected. Use other modes than
  /// `best` only for tests and measurements.
  BurstMode burst_mode = BurstMode::best;
  /// The port's own address. Absent: the card's permanent one. Error invalid_argument: multicast, or all zero.
  std::optional<MacAddress> mac = {};
  /// Received besides the port's own address, at most PortLimits::max_unicast; with virtual functions, as many as the
  /// card's table of hashes has bits (Linux, igb_main.c, igb_set_uta), and others may pass, too. One that stays is
  /// received without a gap; the port keeps them in order. Errors: invalid_argument (no unicast address, given twice,
  /// too many), bad_state (there are pools, whose addresses are settings of theirs).
  std::vector<MacAddress> unicast = {};
  /// Received groups besides broadcasts, each once; the port keeps them in order. Others may pass, too. Errors:
  /// invalid_argument (no multicast address, more than PortLimits::max_multicast), bad_state (there are pools),
  /// timeout, permission_denied (the owner of the card refuses). A port that is not started requests at its start, and
  /// then `start` has the last two.
  std::vector<MacAddress> multicast = {};
  /// Received VLANs, 1 to 4,094, also in promiscuous mode. Absent: all, or for a virtual function none. Frames without
  /// a tag, or with tag 0 (a priority only), always pass. With virtual functions, broadcasts and multicasts pass only
  /// in VLANs that the port or a function has requested. Errors: invalid_argument, bad_state (there are pools), busy
  /// (virtual functions leave no room for another VLAN), timeout and permission_denied as for `multicast`.
  std::optional<VlanSet> vlans = {};
  /// The card strips the VLAN tag of received frames, and RxMetadata::vlan returns it; put_back_vlan_tag knows where it
  /// was. Of two tags it strips the outer one, unless `outer_vlan_type` is set. With virtual functions, broadcasts and
  /// multicasts lose their tags in any case. The card then also inserts the tags that frames request
  /// (TxOffload::insert_vlan), unless `outer_vlan_type` is set; otherwise software does. On a started port bursts do
  /// nothing during the change. Error timeout: a thread does not end its burst, or frames wait to be sent whose tags
  /// the card would insert. Source: 82575 manual, CTRL.VME; Linux, igb_main.c, igb_vlan_mode.
  bool vlan_stripping = false;
  /// The EtherType of outer tags, 0x88A8 in IEEE 802.1ad: the port's frames have one (QinQ), which the card skips.
  /// `vlans` and `vlan_stripping` then concern the inner tag, and packet types, checksums and RSS what follows both. A
  /// frame without the outer tag passes the VLAN filter, keeps what tags it has, and has no packet type and no checksum
  /// status. Frames up to the MTU may have both tags, but never be longer than the card's longest frame. Frames to send
  /// need the outer tag, too, if they request checksums or segmentation. A stripped tag of a frame that still waits in
  /// a queue counts as one of the new mode. Excludes virtual functions and flow rules (bad_state). Errors:
  /// invalid_argument (below 0x0600, or the type of IPv4 or IPv6), timeout as for `vlan_stripping`. Source: I210
  /// datasheet, 7.4.5; DPDK e1000, igb_ethdev.c, igb_vlan_hw_extend_enable. Not tried on silicon.
  std::optional<std::uint16_t> outer_vlan_type = {};
  /// Flow rules that the card executes, by ids of the program's choice; of rules of equal priority the one with the
  /// lowest id takes precedence (add_rule). A rule that stays is executed without a gap. Errors: invalid_argument (see
  /// check_rule, or the port does not have the queue), not_supported (the card cannot execute the rule: says which
  /// item, field or action is the reason), busy (the card has no free filter of that kind, or another rule contradicts
  /// this one), bad_state (there are pools or virtual functions, or an outer VLAN type).
  std::map<FlowRuleId, FlowRule> rules = {};
  /// The virtual functions that are enabled (VirtualFunctions). Their number changes while the port is stopped; what is
  /// set for one, at any time. Closing the port disables them where the backend says so (sim). Errors: bad_state (the
  /// number: the port is started, or there are pools, flow rules, an outer VLAN type, stamps of sent frames or more
  /// than one queue), those of Device::set_functions, invalid_argument (a value outside its range), busy (the card
  /// knows no more VLANs).
  std::vector<VirtualFunctionConfig> functions = {};
  std::optional<RssConfig> rss = {};  ///< absent: over all queues (effective_rss)
  QueuePoolsConfig pools = {};        ///< from the next start on
  /// Limits of what transmit queues send, in Mb/s of the wire with preambles and gaps; absent or 0: none. Frames wait
  /// in the queue's ring. At most PortLimits::max_tx_rate; one above the speed of the link has no effect. A limit takes
  /// effect at the next service, or Port::wait_for_link, after the link is up, and at once from then on. With virtual
  /// functions the port has queue 0 alone. Error invalid_argument: no such queue or pool, or too much. Source: Linux,
  /// igb_main.c, igb_set_vf_rate_limit (queue n belongs to virtual function n); no silicon has been measured.
  std::map<std::uint16_t, std::uint32_t> tx_rates = {};
  /// The same of pools. The card limits queues alone, so of a pool that has two transmit queues each is limited to
  /// half, also while the other one sends nothing. If such a queue has a limit of its own, the lower one holds.
  std::map<std::uint16_t, std::uint32_t> pool_tx_rates = {};
  LoopbackMode loopback = LoopbackMode::none;  ///< from the next start on; error bad_state: the port is started
  /// Pause frames. Off until they are turned on, since a polled port then cannot stop its link partner. A card sends
  /// them when its packet buffer fills up. That happens only if a receive queue lets frames wait
  /// (RxQueueConfig::drop_enable), as the only queue of a port does by default. On a started port, a change of what is
  /// advertised restarts autonegotiation: the link is down for some seconds. The modes in force follow at the next
  /// service, or Port::wait_for_link, after the link is up (FlowControl). Errors: invalid_argument (a water mark or a
  /// time outside its range), timeout, device_fault (the PHY).
  FlowControlConfig flow_control = {};
  /// The modes of the link. On a started port a change takes the link down, and returns before it is up again, which
  /// takes up to some seconds (see Port::wait_for_link and PortEvents). Errors: invalid_argument (no mode, or 1000 Mb/s
  /// or more forced), not_supported (a mode that the card lacks; a forced mode, if it has none), busy (a management
  /// session or a loopback holds the link), timeout, device_fault (the PHY).
  LinkConfig link = {};
  /// Whether the PHY runs. A stopped one uses little power and sends nothing, so the link partner has no link, either.
  /// Stopping takes effect at once on any open port; a port that is opened again starts its PHY. Errors: not_supported
  /// (the PHY cannot be stopped), and those of `link`.
  bool phy_enabled = true;
  /// By receive queue; absent: none. Takes effect at once, and also after the port's next starts. Queues that share a
  /// vector (Interrupts::rx_vectors) share the moderation of the lowest of them that has one. Errors: not_supported (no
  /// MSI-X vectors, or no moderation), invalid_argument (no such queue, or an interval that is negative, too long, or
  /// no whole number of microseconds).
  std::map<std::uint16_t, InterruptModeration> moderation = {};
  /// What wakes the machine once the port is closed or suspended; see WakeOnLan. Errors: those of
  /// WakeOnLan::wake_support, not_supported (an event that is not among them).
  WakeEvents wake = {};
  /// What the light shows that tells which port this is. When the port is closed it is automatic again. Error timeout:
  /// the NVM, which names the light.
  LedMode led = LedMode::automatic;
  /// The frames that the card stamps (FrameStamps). A change forgets stamps that were not read; any stamps let the
  /// clock run. Messages over Ethernet need one of the card's EtherType filters, those in UDP one of its five-tuple
  /// filters. Errors: busy (flow rules use all of them, or one selects EtherType 0x88F7), bad_state (`transmit` while
  /// there are virtual functions, which could falsify the stamp).
  FrameStampsConfig stamps = {};
  /// Lets the clock run (PortClock), and makes it faster than its oscillator by so many parts per billion, or slower:
  /// the port keeps the nearest multiple of PortClockLimits::frequency_step, which is in force. Absent: the clock does
  /// not run; once it does, absent means what was set last. Error invalid_argument: beyond
  /// PortClockLimits::max_frequency.
  std::optional<double> clock_frequency = {};

  [[nodiscard]] bool operator==(const Settings&) const = default;
};

/// The members of Settings, in their order.
enum class Setting : std::uint8_t {
  rx,
  tx,
  mtu,
  promiscuous,
  all_multicast,
  keep_fcs,
  keep_bad_frames,
  count_bytes,
  packet_buffers,
  tx_timeout,
  rx_timeout,
  burst_mode,
  mac,
  unicast,
  multicast,
  vlans,
  vlan_stripping,
  outer_vlan_type,
  rules,
  functions,
  rss,
  pools,
  tx_rates,
  pool_tx_rates,
  loopback,
  flow_control,
  link,
  phy_enabled,
  moderation,
  wake,
  led,
  stamps,
  clock_frequency,
};
inline constexpr std::size_t kSettings = 33;  ///< number of values of Setting

/// The name of the member in JSON (settings_text).
[[nodiscard]] POLLUX_API std::string_view to_string(Setting setting) noexcept;

/// A set of settings, such as those that a port has (PortInfo::supports).
class SettingSet {
 public:
  /// These.
  constexpr SettingSet(std::initializer_list<Setting> settings = {}) noexcept {
    for (const Setting setting : settings) insert(setting);
  }
  /// Whether it is in the set.
  [[nodiscard]] constexpr bool test(Setting setting) const noexcept { return (bits_ & bit(setting)) != 0; }
  /// Adds or removes one.
  ///@{
  constexpr void insert(Setting setting) noexcept { bits_ |= bit(setting); }
  constexpr void erase(Setting setting) noexcept { bits_ &= ~bit(setting); }
  ///@}
  [[nodiscard]] constexpr bool operator==(const SettingSet&) const noexcept = default;

 private:
  static constexpr std::uint64_t bit(Setting setting) noexcept { return 1ULL << static_cast<unsigned>(setting); }
  std::uint64_t bits_ = 0;
};

/// What every port has.
inline constexpr SettingSet kCommonSettings{
    Setting::rx,          Setting::tx,         Setting::mtu,        Setting::promiscuous, Setting::all_multicast,
    Setting::count_bytes, Setting::tx_timeout, Setting::rx_timeout, Setting::burst_mode,  Setting::mac};

/// RSS as it is in force with these settings: an empty table is filled once there are queues, and a port with one
/// receive queue has no types by default.
[[nodiscard]] POLLUX_API RssConfig effective_rss(const Settings& settings, const PortLimits& limits);

/// Adds a rule under an id above those of all others, and returns the id.
POLLUX_API FlowRuleId add_rule(Settings& settings, FlowRule rule);

/// The modes that are advertised with these settings: of all, those that the port has.
[[nodiscard]] POLLUX_API LinkModes advertised_modes(const Settings& settings, const PortLimits& limits);

/// The limit of a queue or pool in tx_rates or pool_tx_rates, in Mb/s; 0: none.
[[nodiscard]] POLLUX_API std::uint32_t rate_of(const std::map<std::uint16_t, std::uint32_t>& rates,
                                               std::uint16_t index) noexcept;

}  // namespace pollux
