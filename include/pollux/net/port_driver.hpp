// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/drops.hpp"
#include "pollux/net/forward_path.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/placed_settings.hpp"
#include "pollux/net/port_info.hpp"
#include "pollux/net/port_queues.hpp"
#include "pollux/net/stats.hpp"

namespace pollux {

/// Implemented by a driver that can restart one queue while the others run. Port::change calls it in
/// this order:
///
///     configured port:  prepare, exchange
///     started port:     prepare, close_queue, halt_queue, exchange, start_queue, open_queue
///
/// If close_queue or halt_queue fails, `discard` returns what was prepared. Thread rule: as PortDriver.
class POLLUX_API QueueRestart {
 public:
  virtual ~QueueRestart() = default;

  /// Allocates the memory and mbufs that the queue needs to run with `next`. That configuration differs from the
  /// current one only in this queue. `running`: the port is started. On failure nothing has changed. Errors: no_memory,
  /// busy (something else moves the queue's frames).
  [[nodiscard]] virtual Result<void> prepare(QueueId queue, const PlacedSettings& next, bool running) = 0;
  /// Returns the memory and mbufs that were prepared and not exchanged.
  virtual void discard() noexcept = 0;
  /// Makes later bursts of that queue empty, and waits for a running one. Error timeout: it has not ended.
  [[nodiscard]] virtual Result<void> close_queue(QueueId queue, Duration limit) = 0;
  /// Called with the queue closed. Afterwards the card does not use its ring and buffers. An error means that the port
  /// has failed.
  [[nodiscard]] virtual Result<void> halt_queue(QueueId queue) = 0;
  /// Called with the queue halted, or on a port that is not started; `next` are its queues already. Drains the queue,
  /// counts its frames under the name `stopped`, and gives it what was prepared.
  virtual void exchange(QueueId queue) noexcept = 0;
  /// Makes the card use the queue again. An error means that the port has failed.
  [[nodiscard]] virtual Result<void> start_queue(QueueId queue) = 0;
  /// Bursts do their work again.
  virtual void open_queue(QueueId queue) noexcept = 0;
};

/// Takes an unused port index of the Context, for PortInfo::index and Mbuf::port(). Closing the port returns the index;
/// a driver whose probe fails after this call, also by an exception, returns it by `return_port_index`. Error
/// no_memory: no index is left. `port` is the name in that error.
[[nodiscard]] POLLUX_API Result<std::uint16_t> take_port_index(Context& context, std::string_view port);
/// For a driver whose probe fails after `take_port_index`.
POLLUX_API void return_port_index(Context& context, std::uint16_t index);

/// The operations that a driver or a software port implements. Before a call, the Port has checked the port's state and
/// all arguments (PortMachine); each function says in which states it is called.
/// Thread rule: the Port calls one function at a time; other threads may use `info`, queues that they have already got,
/// and their bursts meanwhile.
class POLLUX_API PortDriver {
 public:
  PortDriver() = default;
  PortDriver(const PortDriver&) = delete;
  PortDriver& operator=(const PortDriver&) = delete;
  virtual ~PortDriver() = default;

  /// Constant from the end of the constructor on.
  [[nodiscard]] virtual const PortInfo& info() const = 0;
  /// The address of the port unless a program asked for another one.
  [[nodiscard]] virtual MacAddress permanent_mac() const = 0;
  /// The address of a port with these settings.
  [[nodiscard]] MacAddress mac_of(const Settings& settings) const { return settings.mac.value_or(permanent_mac()); }

  /// Called in states opened and configured, with the queues of settings(). Sets up the queues, and
  /// says in `queues_` how many there are. On failure nothing has changed.
  [[nodiscard]] virtual Result<void> configure(const PlacedSettings& settings) = 0;
  /// Called in state configured. `out` is configured, too, and belongs to the same Context. See Port::forward_path.
  [[nodiscard]] virtual Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                          std::uint16_t tx_queue);

  /// Adds to `settings`, with which a port is about to be opened, what the device has been set to already and what its
  /// URI says.
  virtual void add_initial(Settings& /*settings*/) const {}

  /// Called in state configured. Fills the receive rings with buffers, if they hold any. Error no_memory, with nothing
  /// allocated.
  [[nodiscard]] virtual Result<void> fill() { return {}; }
  /// Called in state configured, after fill(). Starts the card from a reset, with the port's settings; its queues stay
  /// closed. After a failure, halt() follows.
  [[nodiscard]] virtual Result<void> start() = 0;
  /// Bursts do their work from now on. Called in state configured, after a start that worked.
  virtual void open_queues() noexcept = 0;
  /// Makes later bursts empty and waits for pollers. Error timeout: a poller did not finish its burst; the call may be
  /// repeated.
  [[nodiscard]] virtual Result<void> close_queues(Duration limit) = 0;
  /// Called after start(), even a failed one, with the queues closed. Afterwards the card accesses no memory. An error
  /// means that the card does not stop; the port is then failed.
  [[nodiscard]] virtual Result<void> halt() = 0;
  /// Called when the card accesses no memory. Frees every buffer that is in a ring; returns their number.
  virtual std::uint32_t drain(DrainReason reason) noexcept;

  /// Reconfigures one queue while the others run; nullptr if the driver cannot do that.
  [[nodiscard]] virtual QueueRestart* queue_restart() noexcept { return nullptr; }

  /// Called in states opened, configured and started. The rules that this driver adds to those of all ports
  /// (check_settings): a setting that it cannot have. `from` are the settings in force. Changes nothing else.
  /// It may fill in what of `to` is the card's choice (FilterSlots).
  [[nodiscard]] virtual Result<void> check(const PlacedSettings& /*from*/, PlacedSettings& /*to*/) { return {}; }
  /// Called in state started. Brings the card from settings to others, at once: what does not differ is not written.
  /// `to` are settings() already. If that fails, it is called again with both exchanged, except after device_removed,
  /// and after permission_denied: the card's owner has refused, and nothing has changed. A change that also concerns
  /// the card of a stopped port, such as that of the LED, calls it in states opened and configured, too. A driver's
  /// start() calls it without `from`: then everything that a setting governs is written, whatever a reset has left.
  /// What is written depends on `to`, and on what is observed, such as the speed of the link, alone.
  [[nodiscard]] virtual Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) = 0;
  /// Called in state started, around an `apply` of settings that decide what queued frames look like, such as how VLAN
  /// tags are stripped and inserted. Bursts do nothing until `unpause`, and no frame waits in the card whose tag it
  /// would insert. Error timeout: with nothing changed.
  [[nodiscard]] virtual Result<void> pause(Duration /*limit*/) { return {}; }
  /// Ends `pause`. Called also after an `apply` that failed.
  virtual void unpause() noexcept {}

  /// Called in states opened, configured and started.
  [[nodiscard]] virtual Link link() = 0;
  /// Called in any state. The Port sums up rx_dropped and tx_dropped.
  [[nodiscard]] virtual Stats stats() = 0;
  /// Appends the counters that are not part of `stats`.
  virtual void append_counters(std::vector<Counter>& counters) = 0;
  /// Called in states opened, configured and started. See Port::service. An error means that the port has failed.
  [[nodiscard]] virtual Result<Duration> service() = 0;
  /// Eventfds that make `service` due at once, such as a device's error and removal events, and a card's interrupt for
  /// changes of its link; -1 for none. The driver owns them, and changes them in `start` and `release` only.
  [[nodiscard]] virtual std::vector<int> events() const { return {}; }
  /// The capabilities of the port; the driver owns the table. Changes in `attach` only. Their functions are called with
  /// the port's mutex held, in any state; the interface says what each state allows.
  [[nodiscard]] virtual std::span<const CapabilityEntry> capabilities() const noexcept { return {}; }
  /// That of the table; nullptr if there is none.
  template <class C>
  [[nodiscard]] C* capability() const noexcept {
    for (const CapabilityEntry& entry : capabilities()) {
      if (entry.id == C::kId) return static_cast<C*>(entry.interface);
    }
    return nullptr;
  }

  /// Called in states opened and configured, with no buffer in a ring. Prepares the card for a sleep of the machine: it
  /// accesses no memory, and waits for its wake-up events if it has any. Its registers may be out of reach until
  /// `resume` or `release`. After an error the port has failed.
  [[nodiscard]] virtual Result<void> suspend() { return {}; }
  /// Called in state suspended. The card may have lost its settings. After an error the port has failed; otherwise
  /// `start` may follow.
  [[nodiscard]] virtual Result<void> resume() { return {}; }
  /// Whether `attach` may follow `release`.
  [[nodiscard]] virtual bool can_attach() const noexcept { return false; }
  /// Called in state detached, after `release`. Takes the device over; `permanent_mac` is then that of the new card.
  /// The queues keep their configuration. On an error the device is released.
  [[nodiscard]] virtual Result<void> attach(std::unique_ptr<Device> device);

  /// Called in state failed. Returns whether the card can no longer access memory, and if necessary prevents it.
  [[nodiscard]] virtual bool make_harmless() { return true; }
  /// Releases the device; shuts it down properly unless the port has `failed`. Called before the last `drain`, and once
  /// for each device.
  [[nodiscard]] virtual Result<void> release(bool failed) = 0;
  /// Called after release(), with no buffer in a ring. Removes the queues and frees their memory.
  /// If the card does not stop, or a thread may still use the queues, it is not called, nor is the destructor: queues
  /// and memory are then never freed.
  virtual void retire() noexcept = 0;

  /// Edits the settings as the URI that opened the port asks: they hold over those with which the program first sets
  /// it up.
  void set_uri_settings(std::function<Result<void>(Settings&)> edit) { uri_settings_ = std::move(edit); }

  /// The settings in force, or, if the port is not started, those of its next start.
  [[nodiscard]] const PlacedSettings& settings() const noexcept { return settings_; }
  /// From before start() until before halt().
  [[nodiscard]] bool running() const noexcept { return running_; }
  /// The queues: none in use before `configure` and after `retire`.
  [[nodiscard]] const PortQueues& queues() const noexcept { return queues_; }

 protected:
  PortQueues queues_;  ///< of the driver, which fills it; see `queues`

 private:
  friend class PortMachine;
  PlacedSettings settings_;
  std::function<Result<void>(Settings&)> uri_settings_;
  bool running_ = false;
};

}  // namespace pollux
