// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "mem/mempool_core.hpp"
#include "net/config_check.hpp"
#include "net/port_identity.hpp"
#include "net/queue_observation.hpp"
#include "net/settings_check.hpp"
#include "net/stats.hpp"

namespace pollux {
namespace {

constexpr auto kServed = {PortState::opened, PortState::configured, PortState::started, PortState::suspended};
constexpr auto kObserved = {PortState::configured, PortState::started, PortState::failed, PortState::suspended,
                            PortState::detached};

}  // namespace

PortMachine::PortMachine(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver>&& driver)
    : context_(std::move(context)) {
  driver->settings_.rx.clear();
  driver->settings_.tx.clear();
  driver->add_initial(driver->settings_);
  driver_ = std::move(driver);
}

PortMachine::~PortMachine() {
  try {
    close_at_end();
  } catch (const std::bad_alloc&) {
    if (state_ != PortState::closed) {
      context_->return_port_index(info().index);
      is_abandoned_ = true;  // the card might still use what was not released
    }
  }
  if (is_abandoned_) static_cast<void>(driver_.release());
}

void PortMachine::close_at_end() {
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

Result<void> PortMachine::set_up(PlacedSettings to) {
  auto placed = place_queues(to, info(), *context_);
  if (!placed) return pass_on(std::move(placed));
  to.queues = *std::move(placed);
  if (auto mtu = check_mtu(to, info()); !mtu) return mtu;
  if (auto valid = check(to); !valid) return valid;
  if (auto made = make_own_pool(to.queues); !made) return made;
  const PlacedSettings before = settings();
  const bool applies = reaches_stopped(before, to);
  if (applies) {
    PlacedSettings others = to;
    keep_queues(others, before);
    if (auto applied = apply(std::move(others)); !applied) return applied;
  }
  const Queues dropped = queues_from(to.queues.rx_queues(), to.queues.tx_queues());
  std::swap(driver_->settings_, to);
  if (auto configured = driver_->configure(settings()); !configured) {
    std::swap(driver_->settings_, to);
    if (!applies) return configured;
    auto back = apply(before);
    return back || state_ == PortState::failed ? configured : enter_failed(back.error());
  }
  for (RxQueue* const queue : dropped.rx) QueueObservation::end(*queue);
  for (TxQueue* const queue : dropped.tx) QueueObservation::end(*queue);
  const Queues all = queues_from(0, 0);
  for (RxQueue* const queue : all.rx) QueueObservation::count_bytes(*queue, settings().count_bytes);
  for (TxQueue* const queue : all.tx) QueueObservation::count_bytes(*queue, settings().count_bytes);
  state_ = PortState::configured;
  return {};
}

// A port that is configured again keeps its pool if the size is unchanged.
Result<void> PortMachine::make_own_pool(PlacedQueues& config) const {
  if (!config.own_pool) return {};
  if (queues().own_pool && queues().own_pool->count == config.own_pool->count) {
    config.made_pool = queues().made_pool;
  } else {
    auto pool = MempoolCore::create(context_, *config.own_pool, MempoolCore::Owner::port);
    if (!pool) {
      return fail(
          pool.error().code,
          fmt::format("{}: the port's own pool of {} mbufs could not be created: {}", info().name,
                      config.own_pool->count, pool.error().what),
          pool.error().hint.empty()
              ? "use smaller rings, or give the queues an existing pool"
              : fmt::format("{}; or use smaller rings, or give the queues an existing pool", pool.error().hint));
    }
    config.made_pool = *std::move(pool);
  }
  for (PlacedRxQueue& queue : config.rx) {
    if (queue.pool == nullptr) queue.pool = config.made_pool;
  }
  return {};
}

std::optional<Mempool> PortMachine::rx_pool(std::uint16_t queue) const {
  if (queue >= queues().rx_queues()) return std::nullopt;
  return queues().rx[queue].mempool();
}

EffectiveConfig PortMachine::config() const {
  EffectiveConfig config{.burst_mode = best_of(settings().burst_mode)};
  for (const PlacedRxQueue& queue : queues().rx) {
    config.rx.push_back({.ring = queue.ring,
                         .buffer_bytes = queue.buffer_bytes,
                         .pool = queue.pool->options().name,
                         .given_cache = queue.cache != nullptr,
                         .copy_break = queue.copy_break,
                         .header_bytes = queue.header_bytes,
                         .drops = queue.drops});
  }
  for (const PlacedTxQueue& queue : queues().tx) {
    config.tx.push_back({.ring = queue.ring, .given_cache = queue.cache != nullptr});
  }
  for (const std::uint16_t queue : stopped_rx_) config.rx[queue].stopped = true;
  for (const std::uint16_t queue : stopped_tx_) config.tx[queue].stopped = true;
  return config;
}

Result<void> PortMachine::start() {
  if (auto fits = expect({PortState::configured}, "start"); !fits) return fits;
  if (auto filled = driver_->fill(); !filled) return filled;
  filled_ = true;
  driver_->running_ = true;
  auto started = driver_->start();
  if (!started) {
    if (started.error().code == ErrorCode::device_removed) return enter_failed(started.error());
    if (auto halted = halt(); !halted) return enter_failed(halted.error());
    drain_rings(DrainReason::stopped);
    return started;
  }
  driver_->open_queues();
  state_ = PortState::started;
  return {};
}

Result<void> PortMachine::halt() {
  driver_->running_ = false;
  return driver_->halt();
}

Result<void> PortMachine::stop() {
  if (auto fits = expect({PortState::started}, "stop"); !fits) return fits;
  if (auto closed = driver_->close_queues(kPollerLimit); !closed) return closed;
  if (auto halted = halt(); !halted) return enter_failed(halted.error());
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
    if (!poller_stuck_) static_cast<void>(halt());
  }
  driver_->running_ = false;
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
    // The card or a thread might still use the driver's queues and their memory, so they are never freed.
    is_abandoned_ = true;
    result = fail(harmless ? ErrorCode::busy : failure_.code,
                  fmt::format("{}: {}; its rings and buffers cannot be used again", info().name,
                              harmless ? "a thread is still polling" : "the card did not stop"),
                  "stop polling before the port is closed, or reset the slot");
  }
  driver_->settings_.rx.clear();
  driver_->settings_.tx.clear();
  driver_->settings_.queues = {};
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
  if (settings().count_bytes || out.settings().count_bytes) {
    return refuse((settings().count_bytes ? *this : out).info().name, "forward_path: count_bytes is on",
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
  for (std::size_t i = rx; i < this->queues().rx_queues(); ++i) {
    if (RxQueue* const queue = rx_queue(static_cast<std::uint16_t>(i))) queues.rx.push_back(queue);
  }
  for (std::size_t i = tx; i < this->queues().tx_queues(); ++i) {
    if (TxQueue* const queue = tx_queue(static_cast<std::uint16_t>(i))) queues.tx.push_back(queue);
  }
  return queues;
}

// Allocates nothing: closing must not fail.
void PortMachine::detach_observers() noexcept {
  for (std::uint16_t i = 0; i < queues().rx_queues(); ++i) {
    if (RxQueue* const queue = rx_queue(i)) QueueObservation::end(*queue);
  }
  for (std::uint16_t i = 0; i < queues().tx_queues(); ++i) {
    if (TxQueue* const queue = tx_queue(i)) QueueObservation::end(*queue);
  }
}

void* PortMachine::capability(CapabilityId id) const noexcept {
  const auto table = driver_->capabilities();
  const auto found = std::find_if(table.begin(), table.end(), [&](const auto& entry) { return entry.id == id; });
  return found == table.end() ? nullptr : found->interface;
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
  std::vector<Counter> counters = named_counters(stats(), {.misses = is_card, .bytes = settings().count_bytes});
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
  if (settings().rx_timeout != Duration(0)) watch_receive();
  return settings().tx_timeout == Duration(0) ? within : watch_transmit(*within);
}

}  // namespace pollux
