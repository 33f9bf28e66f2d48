// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "mem/context_state.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

namespace handover {
struct DescribedPort;
struct QueueRecord;
}  // namespace handover

/// How long to wait for a poller to finish its burst: it may have been preempted.
inline constexpr Duration kPollerLimit = std::chrono::seconds(1);
/// The same for a short pause of a started port, and for a full ring to be sent.
inline constexpr Duration kPauseLimit = std::chrono::milliseconds(100);

inline constexpr auto kAlive = {PortState::opened, PortState::configured, PortState::started};
inline constexpr auto kConfigured = {PortState::configured, PortState::started};

/// The state machine of a port. It checks every call before the driver is called.
///
///     opened -- change (queues) --> configured -- start --> started -- stop --> configured
///     any -- close --> closed;   any -- the card was removed, faulty or does not stop --> failed -- close --> closed
///     opened, configured, started -- suspend --> suspended -- resume --> the state before
///     any, also failed -- detach --> detached -- attach --> the state before
///
/// Port documents the functions.
/// Thread rule: one thread at a time.
class PortMachine {
 public:
  PortMachine(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver>&& driver);
  PortMachine(const PortMachine&) = delete;
  PortMachine& operator=(const PortMachine&) = delete;
  /// Closes the port if necessary.
  ~PortMachine();

  [[nodiscard]] PortDriver& driver() const noexcept { return *driver_; }
  [[nodiscard]] const PortInfo& info() const { return driver_->info(); }
  [[nodiscard]] PortState state() const noexcept { return state_; }
  /// Why the port has failed. Only in state failed.
  [[nodiscard]] const Error& failure() const noexcept { return failure_; }
  [[nodiscard]] EffectiveConfig config() const;

  /// Stops or starts one queue of a started port.
  [[nodiscard]] Result<void> stop_queue(QueueId queue);
  [[nodiscard]] Result<void> start_queue(QueueId queue);
  [[nodiscard]] Result<void> start();
  [[nodiscard]] Result<void> stop();
  [[nodiscard]] Result<void> suspend();
  [[nodiscard]] Result<void> resume();
  [[nodiscard]] Result<void> detach();
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device);
  [[nodiscard]] Result<void> close();
  /// For another program that takes the port over (Handover): describes it, while it goes on. Errors: bad_state,
  /// not_supported.
  [[nodiscard]] Result<handover::DescribedPort> describe_handover();
  /// Returns whether the program has taken what was received: see PortHandover.
  [[nodiscard]] Result<bool> drain_handover();
  /// Makes the queues stand still. Errors: timeout (a poller), and the driver's.
  [[nodiscard]] Result<std::vector<handover::QueueRecord>> freeze_handover();
  /// Undoes both, if one was called. A port whose queues do not start again has failed.
  void thaw_handover();
  /// The other program has the queues: closes the port, and leaves all alone that it got.
  void leave_to_successor();
  /// Whether the port has a device that works: `service` may be called.
  [[nodiscard]] bool is_alive() const noexcept;

  [[nodiscard]] RxQueue* rx_queue(std::uint16_t index) const { return driver_->queues().rx_queue(index); }
  [[nodiscard]] TxQueue* tx_queue(std::uint16_t index) const { return driver_->queues().tx_queue(index); }
  [[nodiscard]] std::optional<Mempool> rx_pool(std::uint16_t queue) const;
  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortMachine& out,
                                                                  std::uint16_t tx_queue);

  [[nodiscard]] Result<void> attach_observer(std::uint16_t queue, RxObserver& observer);
  [[nodiscard]] Result<void> attach_observer(std::uint16_t queue, TxObserver& observer);
  [[nodiscard]] Result<void> detach_observer(std::uint16_t queue, RxObserver& observer);
  [[nodiscard]] Result<void> detach_observer(std::uint16_t queue, TxObserver& observer);

  [[nodiscard]] const PlacedSettings& settings() const noexcept { return driver_->settings_; }
  /// Checks the settings that `edit` makes of those in force, applies what differs if the port is started, and keeps
  /// them. An error changes nothing, unless the old settings cannot be applied again either: then the port has failed.
  /// States: opened, configured, started. Errors: bad_state, and those of check_settings and PortDriver's check, pause
  /// and apply.
  [[nodiscard]] Result<void> change(const std::function<void(Settings&)>& edit);
  /// The interface with that id; nullptr if the port does not have it.
  [[nodiscard]] void* capability(CapabilityId id) const noexcept;
  template <class C>
  [[nodiscard]] C* capability() const noexcept {
    return static_cast<C*>(capability(C::kId));
  }

  [[nodiscard]] MacAddress mac() const { return driver_->mac_of(settings()); }
  [[nodiscard]] Link link();

  [[nodiscard]] Stats stats();
  [[nodiscard]] std::vector<Counter> extended_stats();
  [[nodiscard]] Result<Duration> service();
  [[nodiscard]] std::vector<int> events() const { return driver_->events(); }
  /// The transmit queue for which `service` has reset the port since the last call.
  [[nodiscard]] std::optional<std::uint16_t> take_hung_queue() noexcept { return std::exchange(hung_queue_, {}); }
  /// The receive queue that the last service found hung.
  [[nodiscard]] std::optional<std::uint16_t> take_hung_rx_queue() noexcept { return std::exchange(hung_rx_queue_, {}); }

 private:
  [[nodiscard]] Result<void> expect(std::initializer_list<PortState> states, std::string_view call) const;
  [[nodiscard]] Result<void> restart(QueueId queue, PlacedSettings next);
  /// Whether the driver can restart the queue, which exists.
  [[nodiscard]] Result<QueueRestart*> restarter(QueueId queue) const;
  [[nodiscard]] std::set<std::uint16_t>& stopped(QueueId queue) noexcept {
    return queue.receives() ? stopped_rx_ : stopped_tx_;
  }
  void forget_stopped_queues() noexcept;
  [[nodiscard]] Result<void> make_own_pool(PlacedQueues& config) const;
  void settle(PlacedSettings& to) const;
  /// Checks `to`, of which single queues differ from a started port's, restarts these, and applies what else differs.
  [[nodiscard]] Result<void> change_queues(PlacedSettings to);
  /// Restarts the queues that differ from those of `to`, one after the other.
  [[nodiscard]] Result<void> restart_changed(const PlacedSettings& to);
  /// Checks `to`, whose queues differ from the port's, and sets them up.
  [[nodiscard]] Result<void> set_up(PlacedSettings to);
  [[nodiscard]] Result<void> check(PlacedSettings& to);
  /// Applies `to`. On an error the settings are as before, unless they cannot be applied again: then the port has
  /// failed.
  [[nodiscard]] Result<void> apply(PlacedSettings to);
  struct Applied {
    Result<void> done;
    Result<void> kept = {};  ///< after an error: whether what was in force is again
  };
  [[nodiscard]] Applied try_apply(PlacedSettings to);
  /// Stops the card's DMA; its queues are closed.
  [[nodiscard]] Result<void> halt();
  [[nodiscard]] const PlacedQueues& queues() const noexcept { return settings().queues; }
  [[nodiscard]] tl::unexpected<Error> enter_failed(Error why);
  /// Resets the port if a transmit queue hangs. Returns when the service must run again, at most `within`.
  [[nodiscard]] Result<Duration> watch_transmit(Duration within);
  [[nodiscard]] Result<void> reset_hung(std::uint16_t queue);
  void watch_receive();
  /// Notes the state, to which `restore` returns.
  void remember();
  /// Returns to the state that was noted, with a device that was just taken over, reset or halted. If the port does not
  /// start again, it has failed.
  [[nodiscard]] Result<void> restore();
  void drain_rings(DrainReason reason);
  /// Where `restore` returns to.
  struct Before {
    PortState state = PortState::opened;
    std::set<std::uint16_t> stopped_rx;
    std::set<std::uint16_t> stopped_tx;
  };
  /// Fails on the way from or to `before`.
  [[nodiscard]] tl::unexpected<Error> enter_failed(Error why, const Before& before);
  [[nodiscard]] Result<void> release_device();
  void close_at_end();
  /// Whether the port is in one of these states and has the queue.
  [[nodiscard]] Result<void> expect_queue(std::initializer_list<PortState> states, std::string_view call,
                                          const char* kind, std::uint16_t index, bool exists) const;
  /// The queues from these indices on.
  struct Queues {
    std::vector<RxQueue*> rx;
    std::vector<TxQueue*> tx;
  };
  [[nodiscard]] Queues queues_from(std::size_t rx, std::size_t tx) const;
  void detach_observers() noexcept;

  std::shared_ptr<ContextState> context_;
  std::unique_ptr<PortDriver> driver_;
  PortState state_ = PortState::opened;
  Error failure_;                       // why the port has failed
  std::set<std::uint16_t> stopped_rx_;  // queues that were stopped while the port runs
  std::set<std::uint16_t> stopped_tx_;
  Before before_;              // of a port that is suspended, detached or failed
  bool filled_ = false;        // the rings may hold buffers
  bool leaving_ = false;       // the queues are about to stand still for a successor, or do
  bool poller_stuck_ = false;  // a thread did not leave its burst
  bool is_abandoned_ = false;  // the driver is never destroyed
  std::optional<std::uint16_t> hung_queue_;
  std::uint64_t tx_timeouts_ = 0;
  std::optional<std::uint16_t> hung_rx_queue_;
  std::uint64_t rx_timeouts_ = 0;
  std::atomic<std::uint64_t> removed_buffers_ = 0;  // buffers drained after the card was removed or failed
};

}  // namespace pollux
