// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/port.hpp"

#include <fmt/format.h>
#include <linux/if_xdp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <tuple>
#include <utility>

#include "mem/context_state.hpp"
#include "mem/dma_region.hpp"
#include "ports/xdp/links.hpp"
#include "ports/xdp/privileges.hpp"

namespace pollux::xdp {
namespace {

constexpr std::array kRxDrops{&RxDrops::filtered, &RxDrops::too_long, &RxDrops::stopped, &RxDrops::pool_empty,
                              &RxDrops::too_many_segments};
constexpr std::array kTxDrops{&TxDrops::write_failed, &TxDrops::shared_checksum, &TxDrops::stopped};

/// The buffers of a frame: Linux, include/linux/skbuff.h, MAX_SKB_FRAGS, which is 17 unless a kernel is built with
/// another value.
constexpr std::uint32_t kMaxPieces = 17;
/// With one buffer a frame, drivers accept no larger MTU: a page less what the kernel puts around a frame.
constexpr std::uint32_t kMaxMtuOfAPage = 3498;
constexpr std::uint32_t kMaxMtu = 9216;
/// Slots of a socket's rings, so that a queue can be restarted with a larger ring without the other direction.
constexpr std::uint32_t kMinSlots = 512;

std::uint32_t slots_for(std::uint32_t ring) noexcept { return std::max(ring, kMinSlots); }

ports::PortTraits traits_of(const Interface& interface, bool chains, std::string_view what) {
  PortLimits limits = software_limits(interface.queues(), interface.queues(), chains ? kMaxMtu : kMaxMtuOfAPage);
  limits.rings_hold_buffers = true;
  limits.max_buffer = ChunkLayout::kMaxRoom;
  limits.max_rx_segments = chains ? kMaxPieces : 1;
  return {.driver = "xdp",
          .what = what,
          .limits = limits,
          .offloads = software_offloads(TxOffload::kChecksums),
          .rx_drops = kRxDrops,
          .tx_drops = kTxDrops};
}

}  // namespace

XdpPort::XdpPort(const ports::PortIdentity& identity, Parts parts, const std::string& what)
    : ports::Port(identity, traits_of(parts.interface, parts.chains, what)),
      interface_(std::move(parts.interface)),
      control_events_(std::move(parts.control_events)),
      memory_(parts.memory),
      mode_(parts.mode),
      chains_(parts.chains),
      first_rules_(std::move(parts.rules)),
      is_quiet_(parts.is_quiet),
      force_(parts.force),
      busy_poll_(parts.busy_poll),
      watch_(interface_, std::move(parts.queue_events)) {
  for (std::uint16_t queue = 0; queue < interface_.queues(); ++queue) {
    QueuedPort::add(rx_.emplace_back(filter(), watch_));
    QueuedPort::add(tx_.emplace_back());
    watch_.add(rx_.back().sleeper());
  }
}

Settings XdpPort::initial_settings() const {
  Settings settings;
  for (const FlowRule& rule : first_rules_) {
    settings.rules.push_back({{FlowRuleId{++settings.last_rule}, rule}});
  }
  return settings;
}

Result<void> XdpPort::check(const Settings& from, Settings& to) {
  const bool is_first = from.queues.rx_queues() == 0;  // those of the URI
  if (from.rules == to.rules && !is_first) return {};
  for (const PlacedRule& placed : to.rules) {
    if (auto fits = check_rule_code(placed.rule, interface_.queues(), info().name); !fits) return fits;
  }
  if (to.rules.size() > kMaxRules) {
    return fail(ErrorCode::busy, fmt::format("{}: an interface has at most {} flow rules", info().name, kMaxRules),
                "remove a rule, or use SoftwareClassifier");
  }
  for (PlacedRule& placed : to.rules) {
    for (std::uint32_t slot = 0; !placed.slot; ++slot) {
      if (std::ranges::find(to.rules, std::optional(slot), &PlacedRule::slot) == to.rules.end()) placed.slot = slot;
    }
  }
  if (force_ || std::ranges::none_of(to.rules, [](const PlacedRule& placed) { return is_greedy(placed.rule); })) {
    return {};
  }
  const std::string route = default_route_over(interface_.index());
  if (route.empty()) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: the default route goes over {}, and the rule takes all frames, or all of IPv4, IPv6 or "
                          "TCP: this host would lose its connections",
                          info().name, route),
              fmt::format("take less, such as xdp:{0}?rule=udp:53, or say that it is meant: xdp:{0}?rule=all,force",
                          interface_.name()));
}

Result<std::vector<Mbuf*>> XdpPort::take(MempoolCore& pool, std::uint32_t count) const {
  std::vector<Mbuf*> mbufs(count);
  const std::uint32_t taken = pool.take(mbufs);
  if (taken == count) return mbufs;
  pool.put(std::span(mbufs).first(taken));
  return fail(ErrorCode::no_memory,
              fmt::format("{}: the pool '{}' has {} free mbufs and a receive ring needs {}", info().name,
                          pool.options().name, taken, count),
              "create the pool with more mbufs, or use smaller rings");
}

Result<void> XdpPort::fill() {
  for (const ValidatedRxQueue& queue : config().rx) {
    auto mbufs = take(*queue.pool, queue.ring);
    if (!mbufs) {
      static_cast<void>(drain(DrainReason::stopped));
      return pass_on(std::move(mbufs));
    }
    filled_.push_back(*std::move(mbufs));
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
  return fail(ErrorCode::invalid_argument,
              fmt::format("{}: mtu = {}, but that of the interface is {}", info().name, bytes, *mtu),
              fmt::format("as root: ip link set {} mtu {}; or use a smaller mtu", interface_.name(), bytes));
}

Result<void> XdpPort::change_filter(const Settings* from, const Settings& to) {
  if (from != nullptr && program_ && from->rules != to.rules) {
    if (auto replaced = program_->replace(info().name, to.rules, *rule_counters_); !replaced) return replaced;
  }
  const auto what = [this](const Settings& all) { return std::tuple(mac_of(all), all.promiscuous, all.all_multicast); };
  if (from != nullptr && what(*from) == what(to)) return {};
  auto joined = Membership::join(interface_, mac_of(to), to.promiscuous, to.all_multicast);
  if (!joined) return pass_on(std::move(joined));
  membership_ = *std::move(joined);
  return {};
}

// All receive queues have mbufs of one layout, in one area.
Result<std::shared_ptr<Umem>> XdpPort::choose_area() {
  std::vector<const MempoolCore*> pools;
  for (const ValidatedRxQueue& queue : config().rx) {
    if (std::find(pools.begin(), pools.end(), queue.pool.get()) == pools.end()) pools.push_back(queue.pool.get());
  }
  auto layout = ChunkLayout::of(pools.empty() ? MempoolOptions{} : pools.front()->options(), info().name);
  for (const MempoolCore* const pool : pools) {
    const auto own = ChunkLayout::of(pool->options(), info().name);
    if (!own) return tl::unexpected<Error>(own.error());
    if (*own == *layout) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the pools '{}' and '{}' of its receive queues differ in data_room or headroom",
                            info().name, pools.front()->options().name, pool->options().name),
                "use pools with the same values, or one pool");
  }
  // A driver without copies loses frames that cross a page, without a word, unless the next page follows in memory.
  const auto is_small = [](const MempoolCore* pool) { return pool->page_size() <= ordinary_page_size(); };
  const auto small = std::find_if(pools.begin(), pools.end(), is_small);
  why_not_zero_copy_.clear();
  if (small != pools.end()) {
    why_not_zero_copy_ = fmt::format("pool '{}' is not in huge pages", (*small)->options().name);
    if (mode_ == Mode::zero_copy) {
      return fail(ErrorCode::not_supported, fmt::format("{}: {}", info().name, why_not_zero_copy_),
                  "as root: sysctl -w vm.nr_hugepages=64, and set ContextOptions::huge_pages to HugePages::require");
    }
  }
  auto area = memory_.area(pools, *layout);
  if (area != nullptr) return area;
  if (pools.empty()) {
    return fail(ErrorCode::bad_state, fmt::format("{}: there is no memory to send from", info().name),
                "create a pool before the port is started");
  }
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the pools of its receive queues do not lie side by side in memory", info().name),
              "use one pool for all receive queues");
}

Result<void> XdpPort::load_program() {
  if (!rule_counters_) {
    auto counters = RuleCounters::create(info().name, interface_.queues());
    if (!counters) return pass_on(std::move(counters));
    rule_counters_.emplace(*std::move(counters));
  }
  auto program = Program::load(info().name, interface_.queues(), settings().rules, *rule_counters_);
  if (!program) return pass_on(std::move(program));
  program_.emplace(*std::move(program));
  return {};
}

Result<void> XdpPort::attach_program() {
  int error = 0;
  why_not_native_.clear();
  if (mode_ != Mode::generic) {
    error = program_->attach(interface_.index(), Attach::native);
    if (error != 0) why_not_native_ = std::strerror(error);
  }
  const bool taken = error == EBUSY || error == EEXIST;
  if (mode_ == Mode::generic || (mode_ == Mode::best && error != 0 && !taken && error != EPERM)) {
    error = program_->attach(interface_.index(), Attach::generic);
  }
  if (error == 0) return {};
  const std::string what = fmt::format("{}: cannot attach the XDP program", info().name);
  const std::string& name = interface_.name();
  switch (error) {
    case EBUSY:
    case EEXIST:
      return fail_errno(ErrorCode::busy, what, error,
                        fmt::format("another XDP program is attached: {1}; stop its owner, or, if it has none, as "
                                    "root: ip link set dev {0} xdp off",
                                    name, attached_program(interface_.index())));
    case EPERM: return fail_errno(ErrorCode::permission_denied, what, error, kPrivilegesHint);
    case ENODEV: return fail_errno(ErrorCode::device_removed, what, error, "the interface was deleted");
    default:
      return fail_errno(ErrorCode::not_supported, what, error,
                        fmt::format("leave out ?mode= so that the best is taken, or use a smaller mtu: ip link set dev "
                                    "{} mtu 1500",
                                    name));
  }
}

Result<Socket> XdpPort::bind_socket(Socket socket, std::span<const std::uint16_t> modes, std::uint16_t queue) {
  int error = 0;
  for (const std::uint16_t mode : modes) {
    error = socket.bind(mode);
    if (error == 0) return socket;
    if (mode == XDP_ZEROCOPY) why_not_zero_copy_ = std::strerror(error);
    if (error == EBUSY || error == ENODEV) break;
  }
  const std::string what = fmt::format("{}: cannot bind to queue {}", info().name, queue);
  switch (error) {
    case EBUSY:
      return fail_errno(ErrorCode::busy, what, error, "another program has this queue of the interface: stop it");
    case ENODEV: return fail_errno(ErrorCode::device_removed, what, error, "the interface was deleted");
    default:
      return fail_errno(ErrorCode::not_supported, what, error,
                        mode_ == Mode::zero_copy ? "the driver has no zero copy: leave out ?mode="
                                                 : "leave out ?mode= so that the best is taken");
  }
}

// Shares the area with a socket that has it already, if the kernel allows it: not with one of another mode.
Result<Socket> XdpPort::open_socket(const std::shared_ptr<Umem>& area, std::uint16_t queue) {
  const SocketRequest request{.interface = interface_.index(),
                              .queue = queue,
                              .rx_slots = queue < config().rx_queues() ? slots_for(config().rx[queue].ring) : 0,
                              .tx_slots = queue < config().tx_queues() ? slots_for(config().tx[queue].ring) : 0,
                              .chains = chains_};
  const int shared = area->bound_socket();
  if (shared >= 0) {
    auto socket = Socket::create(info().name, area, request, shared);
    if (socket && socket->bind(0) == 0) return socket;
  }
  auto socket = Socket::create(info().name, area, request, -1);
  if (!socket) return socket;
  constexpr std::array<std::uint16_t, 2> kBoth{XDP_ZEROCOPY, XDP_COPY};
  std::span<const std::uint16_t> modes = kBoth;
  if (mode_ == Mode::zero_copy) modes = modes.first(1);
  if (mode_ == Mode::copy || mode_ == Mode::generic || !why_not_native_.empty() || !why_not_zero_copy_.empty()) {
    modes = std::span(kBoth).last(1);
  }
  return bind_socket(*std::move(socket), modes, queue);
}

Result<void> XdpPort::poll_busily(const Socket& socket) const {
  const int error = busy_poll_ ? socket.set_busy_poll(*busy_poll_) : 0;
  if (error == 0) return {};
  const std::string what = fmt::format("{}: cannot poll busily in the kernel", info().name);
  if (error == EPERM) return fail_errno(ErrorCode::permission_denied, what, error, kPrivilegesHint);
  return fail_errno(ErrorCode::not_supported, what, error,
                    "leave out busy-poll=, or use a kernel of 5.11 or newer with CONFIG_NET_RX_BUSY_POLL=y");
}

Result<void> XdpPort::open_sockets(const std::shared_ptr<Umem>& area) {
  const std::uint16_t queues = std::max(config().rx_queues(), config().tx_queues());
  sockets_.reserve(queues);
  std::optional<Mempool> copies;
  if (config().rx_queues() != 0) copies = config().rx.front().mempool();
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    auto socket = open_socket(area, queue);
    if (!socket) return pass_on(std::move(socket));
    if (auto busy = poll_busily(*socket); !busy) return busy;
    sockets_.push_back(*std::move(socket));
    if (queue < config().tx_queues()) {
      tx_[queue].attach(sockets_.back(), area, copies, chains_ ? kMaxPieces : 1);
    }
    if (queue >= config().rx_queues()) continue;
    rx_[queue].attach(sockets_.back(), *area, filled_[queue], busy_poll_.has_value());
    filled_[queue].clear();
    if (const int error = program_->redirect(queue, sockets_.back().descriptor()); error != 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot redirect queue {}", info().name, queue), error);
    }
  }
  return {};
}

Result<void> XdpPort::begin() {
  auto area = choose_area();
  if (!area) return pass_on(std::move(area));
  auto begun = config().rx_queues() == 0 ? Result<void>() : load_program();
  if (begun && program_) begun = attach_program();
  if (begun) begun = open_sockets(*area);
  if (!begun) {
    close_sockets();
    return begun;
  }
  const bool native = mode_ != Mode::generic && why_not_native_.empty();
  mode_text_ = fmt::format("{}{}, {}{}", native ? "native" : "generic",
                           why_not_native_.empty() ? "" : " (native: " + why_not_native_ + ")",
                           sockets_.front().is_zero_copy() ? "zero copy" : "copies frames",
                           why_not_zero_copy_.empty() ? "" : " (zero copy: " + why_not_zero_copy_ + ")");
  report();
  return {};
}

void XdpPort::report() const {
  context()->log(LogLevel::info, fmt::format("{}: {}", info().name, mode_text_));
  if (program_ && settings().rules.empty() && !is_quiet_) {
    context()->log(LogLevel::warning,
                   fmt::format("{0}: takes no frames, since no rule says which: xdp:{1}?rule=all takes all, "
                               "xdp:{1}?rule=udp:53 some",
                               info().name, interface_.name()));
  }
  if (!interface_.link().up) {
    context()->log(LogLevel::warning, fmt::format("{}: the interface has no link: as root: ip link set dev {} up",
                                                  info().name, interface_.name()));
  }
}

std::vector<PortFact> XdpPort::facts() {
  const std::size_t rules = settings().rules.size();
  std::vector<PortFact> facts{
      {"takes", rules == 0 ? "no frames: no rule says which" : fmt::format("frames by {} flow rules", rules)}};
  if (busy_poll_) facts.push_back({"busy polling", fmt::format("{} us a call", *busy_poll_)});
  if (!mode_text_.empty()) facts.insert(facts.begin(), {"mode", mode_text_});
  return facts;
}

// First the program, so that no frame comes after those that wait.
void XdpPort::end() noexcept {
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].finish();
  program_.reset();
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) rx_[queue].drop_waiting();
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].count_unsent_frames();
  close_sockets();
}

void XdpPort::close_sockets() noexcept {
  past_ = counts();
  program_.reset();
  sockets_.clear();
  membership_ = {};
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
  for (const TxQueue& queue : tx_) copied += queue.copied();
  counters.insert(counters.end(), {{"xdp_rx_dropped", kernel.rx_dropped},
                                   {"xdp_rx_invalid_descs", kernel.rx_invalid_descs},
                                   {"xdp_tx_invalid_descs", kernel.tx_invalid_descs},
                                   {"xdp_rx_ring_full", kernel.rx_ring_full},
                                   {"xdp_rx_fill_ring_empty_descs", kernel.rx_fill_empty},
                                   {"xdp_tx_ring_empty_descs", kernel.tx_ring_empty},
                                   {"xdp_tx_copied", copied}});
  if (!rule_counters_) return;
  for (const PlacedRule& rule : settings().rules) {
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
Result<void> XdpPort::prepare(QueueId queue, const ValidatedConfig& next, bool running) {
  if (running) {
    const ValidatedRxQueue* const rx = queue.receives() ? &next.rx[queue.index] : nullptr;
    const std::uint32_t ring = rx != nullptr ? rx->ring : next.tx[queue.index].ring;
    const std::uint32_t most = slots_for(rx != nullptr ? config().rx[queue.index].ring : config().tx[queue.index].ring);
    if (ring > most || (rx != nullptr && rx->pool != config().rx[queue.index].pool)) {
      return fail(
          ErrorCode::not_supported,
          fmt::format("{}: a queue of a started port keeps its pool, and has a ring of at most {}", info().name, most),
          "stop the port, then configure it");
    }
    const std::uint32_t posted = rx != nullptr ? rx_[queue.index].posted() : 0;
    if (rx != nullptr && ring > posted) {
      auto more = take(*rx->pool, ring - posted);
      if (!more) return pass_on(std::move(more));
      more_ = *std::move(more);
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
