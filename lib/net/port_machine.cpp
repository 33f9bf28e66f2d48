// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "net/config_check.hpp"
#include "net/port_identity.hpp"
#include "net/port_state.hpp"
#include "net/queue_observation.hpp"
#include "net/stats.hpp"

namespace pollux {
namespace {

constexpr auto kAlive = {PortState::opened, PortState::configured, PortState::started};
constexpr auto kServed = {PortState::opened, PortState::configured, PortState::started, PortState::suspended};
constexpr auto kConfigured = {PortState::configured, PortState::started};
constexpr auto kObserved = {PortState::configured, PortState::started, PortState::failed, PortState::suspended,
                            PortState::detached};

}  // namespace

PortMachine::PortMachine(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver) noexcept
    : context_(std::move(context)), driver_(std::move(driver)), mac_(driver_->permanent_mac()) {}

PortMachine::~PortMachine() {
  if (state_ == PortState::closed) return;
  auto closed = close();
  if (!closed && state_ == PortState::started) {
    // A thread is still inside a burst, so the memory that it uses must not be freed.
    poller_stuck_ = true;
    static_cast<void>(enter_failed(closed.error()));
    closed = close();
  }
  if (!closed) context_->log(LogLevel::error, closed.error().message());
}

Result<void> PortMachine::expect(std::initializer_list<PortState> states, std::string_view call) const {
  return expect_state(state_, states, info().name, call, failure_);
}

bool PortMachine::is_alive() const noexcept {
  return std::find(kServed.begin(), kServed.end(), state_) != kServed.end();
}

Result<void> PortMachine::configure(const PortConfig& config) {
  if (auto fits = expect({PortState::opened, PortState::configured}, "configure"); !fits) return fits;
  auto valid = check_config(config, info(), *context_);
  if (!valid) return pass_on(std::move(valid));
  if (auto made = make_own_pool(*valid); !made) return made;
  const Queues dropped = queues_from(valid->rx_queues(), valid->tx_queues());
  if (auto configured = driver_->configure(*valid); !configured) return configured;
  for (RxQueue* const queue : dropped.rx) QueueObservation::end(*queue);
  for (TxQueue* const queue : dropped.tx) QueueObservation::end(*queue);
  config_ = *std::move(valid);
  const Queues all = queues_from(0, 0);
  for (RxQueue* const queue : all.rx) QueueObservation::count_bytes(*queue, config_.count_bytes);
  for (TxQueue* const queue : all.tx) QueueObservation::count_bytes(*queue, config_.count_bytes);
  state_ = PortState::configured;
  return {};
}

// A port that is configured again keeps its pool if the size is unchanged.
Result<void> PortMachine::make_own_pool(ValidatedConfig& config) const {
  if (!config.own_pool) return {};
  if (config_.own_pool && config_.own_pool->count == config.own_pool->count) {
    config.made_pool = config_.made_pool;
  } else {
    auto pool = MempoolCore::create(context_, *config.own_pool, MempoolCore::Owner::port);
    if (!pool) {
      return fail(pool.error().code,
                  fmt::format("{}: the port's own pool of {} mbufs could not be created: {}", info().name,
                              config.own_pool->count, pool.error().what),
                  fmt::format("{}; or use smaller rings, or set rx.pool to an existing pool", pool.error().hint));
    }
    config.made_pool = *std::move(pool);
  }
  for (ValidatedRxQueue& queue : config.rx) {
    if (queue.pool == nullptr) queue.pool = config.made_pool;
  }
  return {};
}

std::optional<Mempool> PortMachine::rx_pool(std::uint16_t queue) const {
  if (queue >= config_.rx_queues()) return std::nullopt;
  return config_.rx[queue].mempool();
}

EffectiveConfig PortMachine::config() const {
  EffectiveConfig config{.mtu = config_.mtu,
                         .promiscuous = config_.promiscuous,
                         .all_multicast = config_.all_multicast,
                         .keep_fcs = config_.keep_fcs,
                         .keep_bad_frames = config_.keep_bad_frames,
                         .count_bytes = config_.count_bytes,
                         .packet_buffers = config_.packet_buffers,
                         .tx_timeout = config_.tx_timeout,
                         .rx_timeout = config_.rx_timeout,
                         .burst_mode = best_of(config_.burst_mode)};
  for (const ValidatedRxQueue& queue : config_.rx) {
    config.rx.push_back({.ring = queue.ring,
                         .buffer_bytes = queue.buffer_bytes,
                         .pool = queue.pool->options().name,
                         .given_cache = queue.cache != nullptr,
                         .copy_break = queue.copy_break,
                         .header_bytes = queue.header_bytes,
                         .replicate_headers = queue.replicate_headers,
                         .drops = queue.drops});
  }
  for (const ValidatedTxQueue& queue : config_.tx) {
    config.tx.push_back(
        {.ring = queue.ring, .given_cache = queue.cache != nullptr, .head_write_back = queue.head_write_back});
  }
  for (const std::uint16_t queue : stopped_rx_) config.rx[queue].stopped = true;
  for (const std::uint16_t queue : stopped_tx_) config.tx[queue].stopped = true;
  return config;
}

Result<void> PortMachine::start() {
  if (auto fits = expect({PortState::configured}, "start"); !fits) return fits;
  if (auto filled = driver_->fill(); !filled) return filled;
  filled_ = true;
  auto started = driver_->start(
      {.mac = mac_, .mtu = config_.mtu, .promiscuous = config_.promiscuous, .all_multicast = config_.all_multicast});
  if (!started) {
    if (started.error().code == ErrorCode::device_removed) return enter_failed(started.error());
    if (auto halted = driver_->halt(); !halted) return enter_failed(halted.error());
    drain_rings(DrainReason::stopped);
    return started;
  }
  driver_->open_queues();
  state_ = PortState::started;
  return {};
}

Result<void> PortMachine::stop() {
  if (auto fits = expect({PortState::started}, "stop"); !fits) return fits;
  if (auto closed = driver_->close_queues(kPollerLimit); !closed) return closed;
  if (auto halted = driver_->halt(); !halted) return enter_failed(halted.error());
  drain_rings(DrainReason::stopped);
  forget_stopped_queues();
  state_ = PortState::configured;
  return {};
}

tl::unexpected<Error> PortMachine::enter_failed(Error why) {
  if (state_ != PortState::suspended) remember();
  if (state_ == PortState::started && !poller_stuck_) {
    if (const auto closed = driver_->close_queues(kPollerLimit); !closed) poller_stuck_ = true;
    // The card may still be able to stop, for example if the host only requests the device back.
    if (!poller_stuck_) static_cast<void>(driver_->halt());
  }
  state_ = PortState::failed;
  failure_ = why;
  return tl::unexpected<Error>(std::move(why));
}

void PortMachine::drain_rings(DrainReason reason) {
  const std::uint32_t buffers = driver_->drain(reason);
  if (reason == DrainReason::removed) removed_buffers_ += buffers;
  filled_ = false;
}

Result<void> PortMachine::close() {
  if (state_ == PortState::closed) return expect({}, "close");
  if (state_ == PortState::started) {
    // If a poller is still inside a burst, nothing changes. A card that does not stop is handled below.
    if (auto stopped = stop(); !stopped && state_ == PortState::started) return stopped;
  }
  return release_device();
}

Result<void> PortMachine::release_device() {
  const bool failed = state_ == PortState::failed;
  const bool harmless = !failed || driver_->make_harmless();
  auto result = state_ == PortState::detached ? Result<void>() : driver_->release(failed);
  if (harmless && !poller_stuck_) {
    if (filled_) drain_rings(DrainReason::removed);
    detach_observers();
    driver_->retire();
  } else {
    // The card or a thread might still write to this memory, so it is never freed.
    driver_->abandon();
    result = fail(harmless ? ErrorCode::busy : failure_.code,
                  fmt::format("{}: {}; its rings and buffers cannot be used again", info().name,
                              harmless ? "a thread is still polling" : "the card did not stop"),
                  "stop polling before the port is closed, or reset the slot");
  }
  config_ = {};
  forget_stopped_queues();
  context_->return_port_index(info().index);
  state_ = PortState::closed;
  return result;
}

Result<std::unique_ptr<ForwardPath>> PortMachine::forward_path(std::uint16_t rx_queue, PortMachine& out,
                                                               std::uint16_t tx_queue) {
  if (auto fits = expect({PortState::configured}, "forward_path"); !fits) return pass_on(std::move(fits));
  if (auto fits = out.expect({PortState::configured}, "forward_path"); !fits) return pass_on(std::move(fits));
  if (out.context_ != context_) {
    return refuse(info().name, fmt::format("forward_path: {} belongs to another Context", out.info().name),
                  "open both ports in one Context: only then can both reach the buffers");
  }
  if (config_.count_bytes || out.config_.count_bytes) {
    return refuse((config_.count_bytes ? *this : out).info().name, "forward_path: count_bytes is on",
                  "configure the port without it: a forward path has no bursts whose bytes could be counted");
  }
  return driver_->forward_path(rx_queue, *out.driver_, tx_queue);
}

Result<void> PortMachine::expect_queue(std::initializer_list<PortState> states, std::string_view call, const char* kind,
                                       std::uint16_t index, bool exists) const {
  if (auto fits = expect(states, call); !fits || exists) return fits;
  return refuse(info().name, fmt::format("{}: there is no {} queue {}", call, kind, index),
                "configure the port with more queues, or name a lower one");
}

Result<void> PortMachine::attach_observer(std::uint16_t queue, RxObserver& observer) {
  RxQueue* const rx = rx_queue(queue);
  if (auto fits = expect_queue(kConfigured, "attach_observer", "receive", queue, rx != nullptr); !fits) return fits;
  return QueueObservation::attach(*rx, observer, info().name, context_->clock(), kPollerLimit);
}

Result<void> PortMachine::attach_observer(std::uint16_t queue, TxObserver& observer) {
  TxQueue* const tx = tx_queue(queue);
  if (auto fits = expect_queue(kConfigured, "attach_observer", "transmit", queue, tx != nullptr); !fits) return fits;
  return QueueObservation::attach(*tx, observer, info().name, context_->clock(), kPollerLimit);
}

Result<void> PortMachine::detach_observer(std::uint16_t queue, RxObserver& observer) {
  RxQueue* const rx = rx_queue(queue);
  if (auto fits = expect_queue(kObserved, "detach_observer", "receive", queue, rx != nullptr); !fits) return fits;
  return QueueObservation::detach(*rx, observer, info().name, context_->clock(), kPollerLimit);
}

Result<void> PortMachine::detach_observer(std::uint16_t queue, TxObserver& observer) {
  TxQueue* const tx = tx_queue(queue);
  if (auto fits = expect_queue(kObserved, "detach_observer", "transmit", queue, tx != nullptr); !fits) return fits;
  return QueueObservation::detach(*tx, observer, info().name, context_->clock(), kPollerLimit);
}

PortMachine::Queues PortMachine::queues_from(std::size_t rx, std::size_t tx) const {
  Queues queues;
  for (std::size_t i = rx; i < config_.rx_queues(); ++i) {
    if (RxQueue* const queue = rx_queue(static_cast<std::uint16_t>(i))) queues.rx.push_back(queue);
  }
  for (std::size_t i = tx; i < config_.tx_queues(); ++i) {
    if (TxQueue* const queue = tx_queue(static_cast<std::uint16_t>(i))) queues.tx.push_back(queue);
  }
  return queues;
}

// Allocates nothing: closing must not fail.
void PortMachine::detach_observers() noexcept {
  for (std::uint16_t i = 0; i < config_.rx_queues(); ++i) {
    if (RxQueue* const queue = rx_queue(i)) QueueObservation::end(*queue);
  }
  for (std::uint16_t i = 0; i < config_.tx_queues(); ++i) {
    if (TxQueue* const queue = tx_queue(i)) QueueObservation::end(*queue);
  }
}

Result<void> PortMachine::set_mac(const MacAddress& mac) {
  if (auto fits = expect(kAlive, "set_mac"); !fits) return fits;
  if (!is_station_address(mac)) {
    return refuse(info().name, fmt::format("{} cannot be a port's address", to_string(mac)),
                  "use an address that is not all zero and whose first byte is even");
  }
  if (state_ == PortState::started) {
    if (auto set = driver_->set_mac(mac); !set) return set;
  }
  driver_->note_mac(mac);
  mac_ = mac;
  return {};
}

Result<void> PortMachine::set_mtu(std::uint32_t bytes) {
  if (auto fits = expect(kConfigured, "set_mtu"); !fits) return fits;
  if (auto good = check_mtu(bytes, config_, info()); !good) return good;
  if (auto set = driver_->set_mtu(bytes); !set) return set;
  config_.mtu = bytes;
  return {};
}

Result<void> PortMachine::set_promiscuous(bool on) {
  if (auto fits = expect(kConfigured, "set_promiscuous"); !fits) return fits;
  if (auto can = check_promiscuous(on, info()); !can) return can;
  return set_promiscuity(on, config_.all_multicast);
}

Result<void> PortMachine::set_all_multicast(bool on) {
  if (auto fits = expect(kConfigured, "set_all_multicast"); !fits) return fits;
  return set_promiscuity(config_.promiscuous, on);
}

Result<void> PortMachine::set_promiscuity(bool promiscuous, bool all_multicast) {
  if (state_ == PortState::started) {
    if (auto set = driver_->set_promiscuity(promiscuous, all_multicast); !set) return set;
  }
  config_.promiscuous = promiscuous;
  config_.all_multicast = all_multicast;
  return {};
}

Link PortMachine::link() {
  if (std::find(kAlive.begin(), kAlive.end(), state_) == kAlive.end()) return {};
  return driver_->link();
}

Stats PortMachine::stats() {
  Stats stats = driver_->stats();
  sum_drops(stats);
  return stats;
}

std::vector<Counter> PortMachine::extended_stats() {
  const bool is_card = info().limits.rings_hold_buffers;
  std::vector<Counter> counters = named_counters(stats(), {.misses = is_card, .bytes = config_.count_bytes});
  if (is_card) counters.push_back({"removed_buffers", removed_buffers_});
  if (is_card) counters.push_back({"tx_timeouts", tx_timeouts_});
  if (is_card) counters.push_back({"rx_timeouts", rx_timeouts_});
  driver_->append_counters(counters);
  return counters;
}

Result<Duration> PortMachine::service() {
  if (state_ == PortState::failed) return tl::unexpected<Error>(failure_);
  if (auto fits = expect(kServed, "service"); !fits) return pass_on(std::move(fits));
  auto within = driver_->service();
  if (!within) return enter_failed(within.error());
  if (state_ != PortState::started) return within;
  if (config_.rx_timeout != Duration(0)) watch_receive();
  return config_.tx_timeout == Duration(0) ? within : watch_transmit(*within);
}

}  // namespace pollux
