// SPDX-License-Identifier: BSD-3-Clause
#include "ports/common/port.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/never_destroy.hpp"
#include "net/port_identity.hpp"

namespace pollux::ports {
namespace {

/// The interval at which a removed medium is detected. There are no counters to accumulate.
constexpr Duration kServiceInterval = std::chrono::seconds(10);

// The configured cache of a receive queue, or a new one. A new cache has 256 mbufs, or fewer if the pool is small.
std::shared_ptr<MempoolCacheCore> receive_cache(const ValidatedConfig& config, std::uint16_t queue) {
  constexpr std::uint32_t kCacheSize = 256;
  const ValidatedRxQueue& rx = config.rx[queue];
  if (rx.cache != nullptr) return rx.cache;
  const std::uint32_t share = rx.pool->options().count / (4U * config.queues_of(rx.pool.get()));
  return std::make_shared<MempoolCacheCore>(rx.pool, std::clamp(share, 1U, kCacheSize));
}

}  // namespace

MacAddress mac_for(std::string_view name) noexcept {
  // FNV-1a (RFC 9923) gives different addresses for short names, and the same address on every machine.
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3;
  MacAddress mac{0x02};
  for (std::size_t i = 1; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  return mac;
}

Port::Port(std::shared_ptr<ContextState> context, PortInfo info, MacAddress mac, std::unique_ptr<Medium> medium)
    : context_(std::move(context)), medium_(std::move(medium)), info_(std::move(info)), mac_(mac) {}

Result<std::unique_ptr<PortDriver>> Port::create(Context& context, std::string name, MacAddress mac,
                                                 std::unique_ptr<Medium> medium) {
  const std::shared_ptr<ContextState>& state = context.state();
  const auto index = next_port_index(*state, name);
  if (!index) {
    static_cast<void>(medium->close());
    return tl::unexpected<Error>(index.error());
  }
  const MediumTraits& traits = medium->traits();
  PortInfo info{.name = std::move(name),
                .driver = std::string(traits.driver),
                .card = std::string(traits.what),
                .backend = "software",
                .index = *index,
                .numa_node = -1,
                .limits = traits.limits,
                .offloads = traits.offloads};
  return std::unique_ptr<PortDriver>(new Port(state, std::move(info), mac, std::move(medium)));
}

Result<void> Port::configure(const ValidatedConfig& config) {
  retire_queues();
  config_ = config;
  rx_queues_ = config_.rx_queues();
  tx_queues_ = config_.tx_queues();
  setup_queues();
  return {};
}

// Releases the caches of the queues, even if the application still refers to a queue.
void Port::retire_queues() noexcept {
  for (std::uint16_t queue = 0; queue < config_.rx_queues(); ++queue) medium_->rx(queue).retire();
  for (std::uint16_t queue = 0; queue < config_.tx_queues(); ++queue) medium_->tx(queue).retire();
}

void Port::setup_queues() {
  for (std::uint16_t queue = 0; queue < config_.rx_queues(); ++queue) {
    medium_->rx(queue).setup(
        {.pool = config_.rx[queue].pool, .cache = receive_cache(config_, queue), .port = info_.index});
  }
  for (std::uint16_t queue = 0; queue < config_.tx_queues(); ++queue) {
    medium_->tx(queue).setup({.cache = config_.tx[queue].cache, .context = context_});
  }
}

Result<void> Port::prepare(QueueId queue, const ValidatedConfig& next, bool) {
  next_ = next;
  next_cache_ = queue.receives() ? receive_cache(next, queue.index) : next.tx[queue.index].cache;
  return {};
}

void Port::discard() noexcept {
  next_ = {};
  next_cache_ = nullptr;
}

Result<void> Port::close_queue(QueueId queue, Duration limit) {
  Clock& clock = context_->clock();
  return close_result(queue.receives() ? medium_->rx(queue.index).close(clock, limit)
                                       : medium_->tx(queue.index).close(clock, limit));
}

// Frames that wait for the receive queue are not dropped.
void Port::exchange(QueueId queue) noexcept {
  config_ = std::move(next_);
  if (queue.receives()) {
    medium_->rx(queue.index)
        .setup({.pool = config_.rx[queue.index].pool, .cache = std::move(next_cache_), .port = info_.index});
    if (running()) medium_->resize(queue.index, config_.rx[queue.index].ring);
  } else {
    medium_->tx(queue.index).setup({.cache = std::move(next_cache_), .context = context_});
  }
  discard();
}

void Port::open_queue(QueueId queue) noexcept {
  if (queue.receives()) {
    medium_->rx(queue.index).open();
  } else {
    medium_->tx(queue.index).open();
  }
}

pollux::RxQueue* Port::rx_queue(std::uint16_t index) {
  return index < config_.rx_queues() ? &medium_->rx(index) : nullptr;
}

pollux::TxQueue* Port::tx_queue(std::uint16_t index) {
  return index < config_.tx_queues() ? &medium_->tx(index) : nullptr;
}

Result<void> Port::start() {
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  auto started = medium_->start(config_);
  medium_started_ = started.has_value();
  return started;
}

void Port::open_queues() noexcept {
  for (std::uint16_t queue = 0; queue < config_.rx_queues(); ++queue) medium_->rx(queue).open();
  for (std::uint16_t queue = 0; queue < config_.tx_queues(); ++queue) medium_->tx(queue).open();
}

Result<void> Port::close_queues(Duration limit) {
  Result<void> result;
  const auto close_one = [&](auto& queue) {
    if (auto closed = close_result(queue.close(context_->clock(), limit)); !closed) result = std::move(closed);
  };
  for (std::uint16_t queue = 0; queue < config_.rx_queues(); ++queue) close_one(medium_->rx(queue));
  for (std::uint16_t queue = 0; queue < config_.tx_queues(); ++queue) close_one(medium_->tx(queue));
  return result;
}

// `closed` is an error if a thread did not leave its burst in time. Adds the port's name and a hint to that error.
Result<void> Port::close_result(Result<void> closed) const {
  if (closed) return closed;
  return fail(closed.error().code, fmt::format("{}: {}", info_.name, closed.error().what),
              "stop polling, then try again");
}

Result<void> Port::halt() {
  if (std::exchange(medium_started_, false)) medium_->stop();
  return {};
}

Result<void> Port::apply(const Settings* from, const Settings& to) {
  if (from == nullptr || from->mtu != to.mtu) {
    if (auto changed = medium_->set_mtu(to.mtu); !changed) return changed;
  }
  RxFilter& filter = medium_->filter();
  filter.set_mac(mac_of(to));
  filter.set_mtu(to.mtu);
  filter.set_promiscuous(to.promiscuous);
  filter.set_all_multicast(to.all_multicast);
  return {};
}

Link Port::link() { return medium_started_ ? medium_->link() : Link{}; }

Result<Duration> Port::service() {
  if (auto well = medium_->service(); !well) return pass_on(std::move(well));
  return kServiceInterval;
}

// If the port still runs, a thread may be using its file descriptors. They then stay open, since the kernel could give
// their numbers to other files.
Result<void> Port::release(bool) { return medium_started_ ? Result<void>() : medium_->close(); }

void Port::retire() noexcept {
  retire_queues();
  config_ = {};
  rx_queues_ = 0;
  tx_queues_ = 0;
}

void Port::abandon() noexcept {
  config_ = {};
  never_destroy(medium_);
}

}  // namespace pollux::ports
