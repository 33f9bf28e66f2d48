// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/port.hpp"

#include <fmt/format.h>
#include <linux/if_xdp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/shell_words.hpp"
#include "mem/context_state.hpp"
#include "mem/dma_region.hpp"
#include "ports/xdp/privileges.hpp"

namespace pollux::xdp {
namespace {

constexpr std::array kRxDrops{&RxDrops::filtered, &RxDrops::too_long, &RxDrops::stopped, &RxDrops::pool_empty,
                              &RxDrops::too_many_segments};
constexpr std::array kTxDrops{&TxDrops::write_failed, &TxDrops::shared_checksum, &TxDrops::stopped};

/// With one buffer a frame, drivers accept no larger MTU: a page less what the kernel puts around a frame.
constexpr std::uint32_t kMaxMtuOfAPage = 3498;
constexpr std::uint32_t kMaxMtu = 9216;

/// Without copies a driver puts all frames of a queue into buffers of its fill ring, also those for the kernel. Some
/// send nothing without an XDP program, either.
constexpr const char* kSendsOnly = "a queue that only sends would keep the kernel from receiving there";

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
    : ports::SoftwarePort(identity, traits_of(*parts.interface, parts.kernel->has_chains(), parts.hints, what)),
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
      keeper_(std::move(parts.keeper)),
      deletion_([this] { return interface_.exists(); }, std::move(parts.queue_events)) {
  for (std::uint16_t queue = 0; queue < interface_.queues(); ++queue) {
    QueuedPort::add(rx_.emplace_back(filter(), deletion_));
    QueuedPort::add(tx_.emplace_back());
    deletion_.add(rx_.back().sleeper());
  }
}

// All receive queues have mbufs of one layout, in one area.
Result<std::shared_ptr<Umem>> XdpPort::choose_area() {
  std::vector<const MempoolCore*> pools;
  for (const PlacedRxQueue& queue : config().rx) {
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
  if (mode_ == Mode::zero_copy && config().tx_queues() > config().rx_queues()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: no zero copy: {}", info().name, kSendsOnly),
                "configure as many receive queues as transmit queues, with ?rule=none if nothing is to be received");
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
  if (config().rx_queues() == 0) why_not_zero_copy_ = kSendsOnly;
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

Result<void> XdpPort::load_program(const Umem& area) {
  if (!rule_counters_) {
    auto map = kernel_->make_counters();
    if (!map) return pass_on(std::move(map));
    auto counters = RuleCounters::open(info().name, map->get(), interface_.queues());
    if (!counters) return pass_on(std::move(counters));
    rule_counters_.emplace(*std::move(counters));
  }
  const std::vector<PlacedRule> rules = placed_rules(settings());
  rule_counters_->assign(rules);
  auto map = kernel_->load(rules, hints_, needs_chains(area));
  if (!map) return pass_on(std::move(map));
  socket_map_ = *std::move(map);
  return {};
}

Result<void> XdpPort::attach_program() {
  int error = 0;
  why_not_native_.clear();
  if (mode_ != Mode::generic && interface_.driver() == "bonding") {
    // The kernel would run the program in the bond's ports, and loses what it takes there for a socket of the bond.
    // Linux, net/xdp/xsk.c, xsk_rcv_check.
    error = EOPNOTSUPP;
    why_not_native_ = "the frames of a bond are those of its ports";
  } else if (mode_ != Mode::generic) {
    error = kernel_->attach(Attach::native);
    if (error != 0) why_not_native_ = std::strerror(error);
  }
  const bool taken = error == EBUSY || error == EEXIST;
  if (mode_ == Mode::generic || (mode_ == Mode::best && hints_ == 0 && error != 0 && !taken && error != EPERM)) {
    error = kernel_->attach(Attach::generic);
  }
  if (error == 0) return {};
  const std::string what = fmt::format("{}: cannot attach the XDP program", info().name);
  const std::string& name = interface_.name();
  switch (error) {
    case EBUSY:
    case EEXIST:
      return fail_errno(ErrorCode::busy, what, error,
                        fmt::format("another XDP program is attached: {1}; stop its owner, or a child that a killed "
                                    "owner has left, or, if there is none, as root: ip link set dev {0} xdp off",
                                    shell_quoted(name), kernel_->other_program()));
    case EPERM: return fail_errno(ErrorCode::permission_denied, what, error, kPrivilegesHint);
    case ENODEV: return fail_errno(ErrorCode::device_removed, what, error, "the interface was deleted");
    default:
      return fail_errno(ErrorCode::not_supported, what, error,
                        fmt::format("leave out ?mode= so that the best is taken, or use a smaller mtu: ip link set dev "
                                    "{} mtu 1500",
                                    name));
  }
}

tl::unexpected<Error> XdpPort::not_bound(int error, std::uint16_t queue) const {
  const std::string what = fmt::format("{}: cannot bind to queue {}", info().name, queue);
  switch (error) {
    case EBUSY:
      return fail_errno(ErrorCode::busy, what, error, "another program has this queue of the interface: stop it");
    case ENODEV: return fail_errno(ErrorCode::device_removed, what, error, "the interface was deleted");
    default:
      return fail_errno(ErrorCode::not_supported, what, error,
                        mode_ == Mode::zero_copy
                            ? "the driver has no zero copy, or none for frames over several buffers: leave out ?mode="
                            : "leave out ?mode= so that the best is taken");
  }
}

// Shares the area with a socket that has it already, if that has the same mode: the kernel gives both one mode.
Result<Socket> XdpPort::open_socket(const std::shared_ptr<Umem>& area, std::uint16_t queue) {
  const SocketRequest request{.interface = interface_.index(),
                              .queue = queue,
                              .slots = {.rx = queue < config().rx_queues() ? slots_for(config().rx[queue].ring) : 0,
                                        .tx = queue < config().tx_queues() ? slots_for(config().tx[queue].ring) : 0}};
  const auto make = [&](std::optional<Umem::Bound> shared) -> Result<Socket> {
    auto descriptor = kernel_->make_socket(busy_poll_, request.slots);
    if (!descriptor) return pass_on(std::move(descriptor));
    auto socket = Socket::create(info().name, *std::move(descriptor), area, request, shared);
    // Some drivers without copies never receive if there is no buffer when the socket is bound.
    if (socket && kept_memory_ != nullptr) {
      attach_kept(*socket, queue);
    } else if (socket && request.slots.rx != 0)
      rx_[queue].attach(socket->rings(), socket->descriptor(), *area, filled_[queue],
                        {.busy = busy_poll_.has_value(), .hints = hints_ != 0});
    return socket;
  };
  const std::uint16_t chains = chains_ ? kUseChains : 0;
  const auto share = [&](bool zero_copy) -> std::optional<Socket> {
    const auto shared = area->bound_socket(zero_copy);
    if (!shared || (needs_chains(*area) && !shared->chains)) return std::nullopt;
    auto socket = make(shared);
    return socket && socket->bind(0) == 0 ? std::optional(*std::move(socket)) : std::nullopt;
  };
  std::optional<Socket> own;
  const bool copies = request.slots.rx == 0 || mode_ == Mode::copy || mode_ == Mode::generic ||
                      !why_not_native_.empty() || !why_not_zero_copy_.empty();
  if (!copies) {
    if (auto socket = share(true)) return *std::move(socket);
    auto socket = make(std::nullopt);
    int error = 0;
    // Few drivers have both zero copy and frames over several buffers, so the latter is left out where it is not
    // needed.
    for (const bool with_chains : {true, false}) {
      if (!socket || (!with_chains && (!chains_ || needs_chains(*area)))) break;
      error = socket->bind(static_cast<std::uint16_t>(XDP_ZEROCOPY | (with_chains ? chains : 0)));
      if (error == 0) return socket;
      if (error == EBUSY || error == ENODEV) return not_bound(error, queue);
    }
    if (mode_ == Mode::zero_copy) return socket ? Result<Socket>(not_bound(error, queue)) : std::move(socket);
    why_not_zero_copy_ = socket ? std::strerror(error) : socket.error().what;
    if (socket) own.emplace(*std::move(socket));
  }
  if (area->bound_socket(false)) own.reset();
  if (auto socket = share(false)) return *std::move(socket);
  // The same socket may be bound again. Another one would register the area a second time, before the kernel has
  // returned the pages of this one.
  auto socket = own ? Result<Socket>(*std::move(own)) : make(std::nullopt);
  if (!socket) return socket;
  const int error = socket->bind(static_cast<std::uint16_t>(XDP_COPY | chains));
  return error == 0 ? std::move(socket) : Result<Socket>(not_bound(error, queue));
}

Result<void> XdpPort::open_sockets(const std::shared_ptr<Umem>& area) {
  const std::uint16_t queues = std::max(config().rx_queues(), config().tx_queues());
  sockets_.reserve(queues);
  std::optional<Mempool> copies;
  if (config().rx_queues() != 0) copies = config().rx.front().mempool();
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    const bool receives = queue < config().rx_queues();
    auto socket = open_socket(area, queue);
    if (receives && rx_[queue].posted() != 0) filled_[queue].clear();
    if (!socket) return pass_on(std::move(socket));
    sockets_.push_back(*std::move(socket));
    const Socket& bound = sockets_.back();
    if (kept_memory_ != nullptr) {
      if (!send_kept(bound, queue)) return handover::malformed("a buffer is not in the memory for frames");
    } else if (queue < config().tx_queues()) {
      tx_[queue].attach(bound.rings(), bound.descriptor(), bound.is_zero_copy(), area, copies,
                        bound.has_chains() ? kMaxPieces : 1);
      tx_[queue].wake_driver(bound.is_zero_copy() && busy_poll_.has_value());
    }
    if (!receives) continue;
    if (const int error = set_socket(socket_map_.get(), queue, sockets_.back().descriptor()); error != 0) {
      return fail_errno(ErrorCode::io_error, fmt::format("{}: cannot redirect queue {}", info().name, queue), error);
    }
  }
  return {};
}

Result<void> XdpPort::begin() {
  choose_kept_sizes();
  if (auto from = find_taken(); from != nullptr) return take_over(*(taken_ = std::move(from)), false);
  if (keeper_) {
    const auto continued = continue_after_crash();
    if (!continued) return tl::unexpected<Error>(continued.error());
    if (*continued) return {};
  }
  auto area = keeper_ ? make_kept_area() : choose_area();
  if (!area) return pass_on(std::move(area));
  auto begun = config().rx_queues() == 0 ? Result<void>() : load_program(**area);
  if (begun && socket_map_) begun = attach_program();
  if (begun) begun = open_sockets(*area);
  if (begun && keeper_ && !sockets_.front().can_be_taken()) {
    begun = fail(ErrorCode::not_supported, fmt::format("{}: cannot be kept", info().name),
                 "leave out keep=, or use a kernel of 6.4 or newer, which maps the rings of a bound socket");
  }
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
  if (keeper_) keep();
  return {};
}

void XdpPort::return_filled() noexcept {
  for (std::vector<Mbuf*>& mbufs : filled_) {
    for (Mbuf* const mbuf : mbufs) MbufAccess::pool(*mbuf).put({&mbuf, 1});
    mbufs.clear();
  }
}

void XdpPort::report() const {
  context()->log(LogLevel::info, fmt::format("{}: {}", info().name, mode_text_));
  if (socket_map_ && settings().rules.empty() && !is_quiet_) {
    context()->log(LogLevel::warning,
                   fmt::format("{0}: takes no frames, since no rule says which: xdp:{1}?rule=all takes all, "
                               "xdp:{1}?rule=udp:53 some",
                               info().name, interface_.name()));
  }
  if (!interface_.link().up) {
    context()->log(
        LogLevel::warning,
        fmt::format("{}: the interface has no link: {}", info().name,
                    interface_.is_up() ? "look at its other end: a cable, or a peer that is down"
                                       : "as root: ip link set dev " + shell_quoted(interface_.name()) + " up"));
  }
}

// First the program, so that no frame comes after those that wait.
void XdpPort::end() noexcept {
  if (has_left_ || (taken_ != nullptr && !taken_->committed)) return forget();
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].finish();
  kernel_->detach();
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) rx_[queue].drop_waiting();
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) tx_[queue].count_unsent_frames();
  close_sockets();
}

void XdpPort::close_sockets() noexcept {
  past_ = counts();
  kernel_->detach();
  end_keeping();
  socket_map_ = FileDescriptor();
  for (XdpTxQueue& queue : tx_) queue.forget_rings();
  sockets_.clear();
  taken_ = nullptr;
  taken_memory_ = nullptr;
  kept_memory_ = nullptr;
  static_cast<void>(kernel_->join(interface_.mac(), false, false));
}

KernelCounts XdpPort::counts() const {
  KernelCounts sum = past_;
  for (const Socket& socket : sockets_) sum += socket.counts();
  return sum;
}

}  // namespace pollux::xdp
