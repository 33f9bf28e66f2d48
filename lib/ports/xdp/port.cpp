// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "base/shell_words.hpp"
#include "mem/context_state.hpp"

namespace pollux::xdp {
namespace {

constexpr std::array kRxDrops{&RxDrops::filtered, &RxDrops::too_long, &RxDrops::stopped, &RxDrops::pool_empty,
                              &RxDrops::too_many_segments};
constexpr std::array kTxDrops{&TxDrops::write_failed, &TxDrops::shared_checksum, &TxDrops::stopped};

/// With one buffer a frame, drivers accept no larger MTU: a page less what the kernel puts around a frame.
constexpr std::uint32_t kMaxMtuOfAPage = 3498;
constexpr std::uint32_t kMaxMtu = 9216;
ports::PortTraits traits_of(const Interface& interface, bool chains, std::uint16_t hints, std::string_view what) {
  PortLimits limits = software_limits(interface.queues(), interface.queues(), chains ? kMaxMtu : kMaxMtuOfAPage);
  limits.max_ring = kMaxSlots;
  limits.rings_hold_buffers = true;
  limits.max_buffer = ChunkLayout::kMaxRoom;
  limits.max_rx_segments = chains ? kMaxPieces : 1;
  RxOffload rx_flags{};
  if ((hints & Hint::hash) != 0) rx_flags |= RxOffload::rss_hash;
  if ((hints & Hint::vlan) != 0) rx_flags |= RxOffload::vlan;
  SettingSet supports = kCommonSettings;
  supports.insert(Setting::rules);
  return {.driver = "xdp",
          .what = what,
          .supports = supports,
          .limits = limits,
          .offloads = software_offloads(TxOffload::kChecksums, rx_flags),
          .rx_drops = kRxDrops,
          .tx_drops = kTxDrops};
}

}  // namespace

XdpPort::XdpPort(const ports::PortIdentity& identity, Parts parts, const std::string& what)
    : ports::Port(identity, traits_of(*parts.interface, parts.kernel->has_chains(), parts.hints, what)),
      held_interface_(std::move(parts.interface)),
      interface_(*held_interface_),
      kernel_(std::move(parts.kernel)),
      control_events_(std::move(parts.control_events)),
      memory_(parts.memory),
      mode_(parts.mode),
      chains_(kernel_->has_chains()),
      first_rules_(std::move(parts.rules)),
      is_quiet_(parts.is_quiet),
      force_(parts.force),
      hints_(parts.hints),
      busy_poll_(parts.busy_poll),
      watch_([this] { return interface_.exists(); }, std::move(parts.queue_events)) {
  for (std::uint16_t queue = 0; queue < interface_.queues(); ++queue) {
    QueuedPort::add(rx_.emplace_back(filter(), watch_));
    QueuedPort::add(tx_.emplace_back());
    watch_.add(rx_.back().sleeper());
  }
}

void XdpPort::add_initial(Settings& settings) const {
  for (const FlowRule& rule : first_rules_) add_rule(settings, rule);
}

Result<void> XdpPort::check(const PlacedSettings& from, PlacedSettings& to) {
  const bool is_first = from.queues.rx_queues() == 0;  // those of the URI
  if (from.rules == to.rules && !is_first) return {};
  std::vector<PlacedRule> rules = placed_rules(to);
  for (const PlacedRule& placed : rules) {
    if (auto fits = check_rule_code(placed.rule, interface_.queues(), info().name); !fits) return fits;
  }
  if (rules.size() > kMaxRules) {
    return fail(ErrorCode::busy, fmt::format("{}: an interface has at most {} flow rules", info().name, kMaxRules),
                "remove a rule, or use SoftwareClassifier");
  }
  for (PlacedRule& placed : rules) {
    for (std::uint32_t slot = 0; !placed.slot; ++slot) {
      if (std::ranges::find(rules, std::optional(slot), &PlacedRule::slot) == rules.end()) placed.slot = slot;
    }
  }
  keep_slots(to, rules);
  const std::string route = force_ ? std::string() : kernel_->route_at_risk(rules);
  if (route.empty()) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: the default route goes over {}, and the rules take more than frames which this host can "
                          "do without: it would lose its connections",
                          info().name, route),
              fmt::format("take less, such as xdp:{}?rule=udp:53, or say that it is meant: '{}{}force'",
                          interface_.name(), info().name, info().name.find('?') == std::string::npos ? '?' : ','));
}

Result<void> XdpPort::fill() {
  for (const PlacedRxQueue& queue : config().rx) {
    std::vector<Mbuf*> mbufs(queue.ring);
    if (auto taken = queue.pool->take_all(mbufs, "a receive ring of " + info().name); !taken) {
      static_cast<void>(drain(DrainReason::stopped));
      return taken;
    }
    filled_.push_back(std::move(mbufs));
  }
  return {};
}

std::uint32_t XdpPort::drain(DrainReason) noexcept {
  std::uint32_t freed = 0;
  for (const std::vector<Mbuf*>& mbufs : filled_) {
    for (Mbuf* const mbuf : mbufs) MbufAccess::pool(*mbuf).put({&mbuf, 1});
    freed += static_cast<std::uint32_t>(mbufs.size());
  }
  filled_.clear();
  for (RxQueue& queue : rx_) freed += queue.detach();
  for (TxQueue& queue : tx_) freed += queue.detach();
  return freed;
}

Result<void> XdpPort::change_mtu(std::uint32_t bytes) {
  const auto mtu = interface_.mtu();
  if (!mtu) return tl::unexpected<Error>(mtu.error());
  if (*mtu >= bytes) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("{}: mtu = {}, but that of the interface is {}", info().name, bytes, *mtu),
      fmt::format("as root: ip link set {} mtu {}; or use a smaller mtu", shell_quoted(interface_.name()), bytes));
}

Result<void> XdpPort::change_filter(const PlacedSettings* from, const PlacedSettings& to) {
  if (from != nullptr && socket_map_ && from->rules != to.rules) {
    const std::vector<PlacedRule> rules = placed_rules(to);
    rule_counters_->assign(rules);
    if (auto replaced = kernel_->replace(rules); !replaced) return replaced;
  }
  const auto what = [this](const Settings& all) { return std::tuple(mac_of(all), all.promiscuous, all.all_multicast); };
  if (from != nullptr && what(*from) == what(to)) return {};
  return kernel_->join(mac_of(to), to.promiscuous, to.all_multicast);
}

std::vector<PortFact> XdpPort::facts() {
  const std::size_t rules = settings().rules.size();
  std::vector<PortFact> facts{
      {"takes", rules == 0 ? "no frames: no rule says which" : fmt::format("frames by {} flow rules", rules)}};
  if (busy_poll_) facts.push_back({"busy polling", fmt::format("{} us a call", *busy_poll_)});
  if (hints_ != 0) {
    const std::string hash = (hints_ & Hint::hash) != 0 ? "hash" : "";
    const std::string vlan = (hints_ & Hint::vlan) != 0 ? "VLAN tag" : "";
    facts.push_back({"hints", hash + (hash.empty() || vlan.empty() ? "" : ", ") + vlan});
  }
  if (!interface_.state().is_known) facts.push_back({"link", "unknown: the helper has ended"});
  if (!mode_text_.empty()) facts.insert(facts.begin(), {"mode", mode_text_});
  return facts;
}

// First the program, so that no frame comes after those that wait.
void XdpPort::end() noexcept {
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].finish();
  kernel_->detach();
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) rx_[queue].drop_waiting();
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].count_unsent_frames();
  close_sockets();
}

void XdpPort::close_sockets() noexcept {
  past_ = counts();
  kernel_->detach();
  socket_map_ = FileDescriptor();
  for (TxQueue& queue : tx_) queue.forget_rings();
  sockets_.clear();
  static_cast<void>(kernel_->join(interface_.mac(), false, false));
}

KernelCounts XdpPort::counts() const {
  KernelCounts sum = past_;
  for (const Socket& socket : sockets_) sum += socket.counts();
  return sum;
}

// What the kernel dropped has not reached a queue.
Stats XdpPort::stats() {
  Stats stats = ports::Port::stats();
  const KernelCounts kernel = counts();
  stats.rx_missed_errors = kernel.rx_dropped + kernel.rx_ring_full;
  stats.rx_packets += stats.rx_missed_errors;
  return stats;
}

void XdpPort::append_counters(std::vector<Counter>& counters) {
  const KernelCounts kernel = counts();
  std::uint64_t copied = 0;
  std::uint64_t refused = 0;
  for (const TxQueue& queue : tx_) {
    copied += queue.copied();
    refused += queue.refused();
  }
  counters.insert(counters.end(), {{"xdp_rx_dropped", kernel.rx_dropped},
                                   {"xdp_rx_invalid_descs", kernel.rx_invalid_descs},
                                   {"xdp_tx_invalid_descs", kernel.tx_invalid_descs},
                                   {"xdp_rx_ring_full", kernel.rx_ring_full},
                                   {"xdp_rx_fill_ring_empty_descs", kernel.rx_fill_empty},
                                   {"xdp_tx_ring_empty_descs", kernel.tx_ring_empty},
                                   {"xdp_tx_copied", copied},
                                   {"xdp_tx_refused", refused}});
  if (!rule_counters_) return;
  for (const PlacedRule& rule : placed_rules(settings())) {
    counters.push_back({fmt::format("xdp_rule_{}", static_cast<std::uint64_t>(rule.id)),
                        rule_counters_->value(rule.slot.value_or(0))});
  }
  counters.push_back({"xdp_passed", rule_counters_->value(kPassedSlot)});
}

Result<Duration> XdpPort::service() {
  control_events_.clear();
  if (interface_.exists()) return ports::Port::service();
  return fail(ErrorCode::device_removed,
              fmt::format("{}: the interface was deleted, or moved to another network namespace", info().name),
              "close the port and open it again");
}

void XdpPort::set_up(QueueId queue) noexcept {
  ports::Port::set_up(queue);
  if (!queue.receives()) tx_[queue.index].set_ring(config().tx[queue.index].ring);
}

// The two directions share a socket, so a queue keeps its socket, and the kernel keeps the mbufs that it has.
Result<void> XdpPort::prepare(QueueId queue, const PlacedSettings& next, bool running) {
  if (running) {
    const PlacedRxQueue* const rx = queue.receives() ? &next.queues.rx[queue.index] : nullptr;
    const std::uint32_t ring = rx != nullptr ? rx->ring : next.queues.tx[queue.index].ring;
    const std::uint32_t most = slots_for(rx != nullptr ? config().rx[queue.index].ring : config().tx[queue.index].ring);
    if (ring > most || (rx != nullptr && rx->pool != config().rx[queue.index].pool)) {
      return fail(
          ErrorCode::not_supported,
          fmt::format("{}: a queue of a started port keeps its pool, and has a ring of at most {}", info().name, most),
          "stop the port, then configure it");
    }
    const std::uint32_t posted = rx != nullptr ? rx_[queue.index].posted() : 0;
    if (rx != nullptr && ring > posted) {
      std::vector<Mbuf*> more(ring - posted);
      if (auto taken = rx->pool->take_all(more, "a new ring of " + info().name); !taken) return taken;
      more_ = std::move(more);
    }
  }
  return ports::Port::prepare(queue, next, running);
}

void XdpPort::discard() noexcept {
  for (Mbuf* const mbuf : std::exchange(more_, {})) MbufAccess::pool(*mbuf).put({&mbuf, 1});
  ports::Port::discard();
}

void XdpPort::exchange(QueueId queue) noexcept {
  if (!more_.empty()) rx_[queue.index].add(std::exchange(more_, {}));
  ports::Port::exchange(queue);
}

}  // namespace pollux::xdp
