// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port_queues.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/tx_queue.hpp"

namespace pollux {

// What the functions below take and return is in the header of that name, or in port_config.hpp, port_info.hpp (also
// OffloadLimits), settings.hpp (also Setting) and stats.hpp (also Counter).
class ContextState;
class Device;
class ForwardPath;
class PortCore;
class PortDriver;
struct Counter;
struct EffectiveConfig;
struct OffloadLimits;
struct PortInfo;
struct Settings;
struct Stats;
enum class Setting : std::uint8_t;

/// What may be called: each call names the states in which it is allowed.
enum class PortState {
  opened,      ///< the card is reset and its addresses are read; no queues yet
  configured,  ///< queues exist, DMA is off
  started,     ///< frames flow
  closed,      ///< the device is released; the port can only be destroyed
  failed,      ///< the card was removed or did not stop; only close and detach are allowed
  suspended,   ///< DMA is off, and the card waits for wake-up events or sleeps: see Port::suspend
  detached,    ///< the device is released, and another one may take its place: see Port::detach
};

/// What a PortEvent tells of.
enum class PortEventKind : std::uint8_t {
  link_up,    ///< the link of a started port is up, or is up with another speed or duplex mode
  link_down,  ///< the link went down, or the port was stopped
  removed,    ///< the device was removed, or the host asks for it back; the port is `failed`
  error,      ///< the device does not work any more; the port is `failed`
  /// A transmit queue had frames and sent none for Settings::tx_timeout. The port was reset, works again with all
  /// settings, and has no link until it has negotiated one. Frames that were in its rings are lost and counted.
  tx_timeout,
  /// For Settings::rx_timeout a receive queue had free descriptors and took none of the frames that arrived. If all
  /// queues stand, the first one is named: any of them may hold up the others. The port was not reset, since a restart
  /// of the queue (Port::stop_queue, start_queue) may help; stop and start reset the card. Reported again while it
  /// lasts.
  rx_timeout,
};

/// What happened to a port.
struct PortEvent {
  PortEventKind kind = PortEventKind::link_down;  ///< what happened
  Link link;                                      ///< of link_up; down for all others
  Error error;                                    ///< of removed and error: why the port has failed, and how to recover
  std::uint16_t queue = 0;  ///< of tx_timeout: the transmit queue; of rx_timeout: the receive queue
};

/// "link up, 1000 Mb/s, full duplex", "link down", "removed: ...", "error: ...", "transmit queue 0 sent nothing; the
/// port was reset" or "receive queue 0 takes none of the frames that arrive"
[[nodiscard]] POLLUX_API std::string to_string(const PortEvent& event);

/// See Port::on_event. An exception that leaves it leaves the call in which the handler runs, when that has done its
/// work; a control thread logs it.
using PortEventHandler = std::function<void(const PortEvent&)>;

/// A network port, of a card or in software. `open()` creates it.
/// Ownership: move-only; owns its queues and its device. The destructor closes it. A moved-from port can only be
/// assigned to or destroyed.
/// Thread rule: control calls (all members but `info` and those that return a queue) may come from any thread. They
/// wait for each other, and for `service` on the thread that runs the Context's Control. A log or misuse callback must
/// not call a port. A queue belongs to the thread that polls it. Only one thread may move or destroy the Port, while no
/// other thread calls it.
class POLLUX_API Port {
 public:
  /// For drivers that a program opens without `open()`: the port of `driver`, in state `opened`.
  Port(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver);
  /// Assigning closes the port that this one was.
  ///@{
  Port(Port&& other) noexcept;
  Port& operator=(Port&& other) noexcept;
  ///@}
  ~Port();

  /// What does not change as long as the port is open. Its texts live as long as the Port.
  [[nodiscard]] const PortInfo& info() const;
  /// The offloads that frames may request, and what the port reports about received frames.
  [[nodiscard]] const OffloadLimits& offloads() const;
  /// The state now. Another thread, or a removed card, may change it at any time.
  [[nodiscard]] PortState state() const;
  /// What results from the settings. In states `opened` and `closed` there are no queues.
  [[nodiscard]] EffectiveConfig config() const;

  /// What the program has asked of the port. settings_text writes it as text.
  /// In states opened and closed there are no queues (Settings::rx and tx).
  [[nodiscard]] Settings settings() const;
  /// Lets `edit` change a copy of the settings, checks what then differs, and applies it as one step: all of it or
  /// nothing. What is set stays in force, through stops, starts and resets, until it is changed or the port is closed.
  ///
  ///     port.change([](Settings& settings) { settings.mtu = 9000; settings.vlan_stripping = true; });
  ///     port.change([&](Settings& settings) { settings = other.settings(); });   // as another port is, or was
  ///
  /// On a started port it takes effect at once; a setting for which the port has to stop is refused there. If queues
  /// differ, all are set up anew, and a port in state opened is then configured. On a started port only the queues that
  /// differ restart, one after the other, while the others run: the buffers in the ring return to their pool, frames
  /// among them under a named counter (`rx_stopped`; `tx_stopped`, but they are sent first if the link is up, for a
  /// bounded time), and frames that the card receives for the queue meanwhile are missed frames. The polling thread may
  /// go on polling, but must not call `use_cache` or `in_flight`. The ring and the mbufs that a queue needs in addition
  /// are allocated before it stops. A queue that was stopped (`stop_queue`) runs again. If the card does not stop a
  /// queue, or does not start it again, the port is `failed`. `edit` runs with the port's mutex held: it must not call
  /// a port. What it throws leaves the call, with nothing changed. States: opened, configured, started. Errors, which
  /// name the rule and change nothing: bad_state (also a setting that cannot be changed in this state), not_supported
  /// (PortInfo::supports, or the driver cannot restart one queue), invalid_argument, no_memory, busy and timeout as the
  /// members of Settings say, and of a queue busy (a forward path uses it) and timeout (a poller does not leave its
  /// burst; the queue runs on unchanged), permission_denied (of a virtual function: its host refuses), device_removed.
  /// If the card takes neither the new settings nor the old ones, the port has failed.
  [[nodiscard]] Result<void> change(const std::function<void(Settings&)>& edit);
  /// Gives buffers to the card and starts traffic. The link may come up seconds later: see `wait_for_link`.
  [[nodiscard]] Result<void> start();
  /// Stops one queue of a started port while the others run: `port.stop_queue(QueueId::rx(3))`. Its bursts are empty,
  /// and the card does not use its ring. Frames that the card receives for it are missed frames; those in a transmit
  /// ring are sent first if the link is up, for a bounded time. It stays stopped until `start_queue`, a change of its
  /// settings, or the next start of the port. Stopping a stopped queue does nothing. Errors: bad_state,
  /// invalid_argument (no such queue), and those of a restart by `change`.
  [[nodiscard]] Result<void> stop_queue(QueueId queue);
  /// Starts a stopped queue with the configuration that it had. Frames that were in its ring are counted as
  /// `rx_stopped` or `tx_stopped`. Starting a running queue does nothing. Errors: as `stop_queue`.
  [[nodiscard]] Result<void> start_queue(QueueId queue);
  /// Stops traffic and DMA, and returns the buffers in the rings to their pools under a named counter. Waits (bounded)
  /// for pollers on other threads; afterwards their bursts are empty.
  [[nodiscard]] Result<void> stop();
  /// Prepares the port for a sleep of the machine: stops it as `stop` does, resets the card, arms the events of
  /// WakeOnLan, or powers the PHY down if there are none, and puts the card into power state D3hot, with PME enabled if
  /// there are events. All settings are kept. Afterwards only `resume`, `detach`, `close` and calls that read the
  /// configuration or counters are allowed; a capability refuses what needs the card (bad_state). A port with enabled
  /// virtual functions stays in D0, and so does one whose platform refuses D3hot (a warning says so); a virtual
  /// function has no power states. The kernel hides PME from VFIO's users, so over VFIO the card notices its events,
  /// but does not wake the machine. States: opened, configured, started. Source: Linux, igb_main.c, igb_suspend.
  /// Errors: bad_state, timeout (a poller does not leave its burst; nothing has changed). After any other error the
  /// port is `failed`.
  [[nodiscard]] Result<void> suspend();
  /// Returns the card to D0, resets it and brings the port back to the state that it had before `suspend`, with all
  /// settings. A port that was started has no link until it has negotiated one, and queues that were stopped alone stay
  /// stopped. The time of PortClock goes on by the Context's clock, which may not count the sleep (SteadyClock does
  /// not). Source: Linux, igb_main.c, igb_resume. Errors: bad_state; after any other error the port is `failed`, also
  /// after a timeout: the card stays in D3hot.
  [[nodiscard]] Result<void> resume();
  /// Stops the port and releases its device, so that the host can take it back, replace it or reset its slot. The
  /// queues, all settings and `info` stay; bursts are empty. This is also the way out of state `failed` after the card
  /// was removed or had an error. States: all but detached and closed. Errors: bad_state, not_supported (the driver
  /// cannot attach another device), timeout and busy (a poller does not leave its burst), and for a card whose DMA
  /// does not end the error with which it failed; nothing is released then. An error in state `detached` says that the
  /// device was released without a proper shutdown.
  [[nodiscard]] Result<void> detach();
  /// Gives a detached port a device: the one it had, opened again (open_device), or another card of the same device id.
  /// The port takes it over, goes back to the state that it had before `detach` or before it failed, and restores all
  /// settings as `resume` does. An address that was set is kept; otherwise the port has the new card's. Errors:
  /// bad_state, invalid_argument (no device), not_supported (another kind of card), and those of `open`: the port then
  /// stays detached, and `device` is released. If the port does not start, it is `failed`.
  [[nodiscard]] Result<void> attach(std::unique_ptr<Device> device);
  /// Stops the port if it is started and releases the device. The destructor does the same but cannot report an error.
  [[nodiscard]] Result<void> close();

  /// The queue with that index, which must be below the configured number: use `rx_queue` to check an index from
  /// outside. Builds with POLLUX_CHECKED report a bad index as a misuse and return a queue that carries no frames.
  [[nodiscard]] RxQueue& rx(std::uint16_t index, [[maybe_unused]] Site site = Site::here()) {
    RxQueue* const queue = queues_->rx_queue(index);
#if POLLUX_CHECKED
    if (queue == nullptr) return missing_rx(index, site);
#endif
    return *queue;
  }
  /// As `rx`.
  [[nodiscard]] TxQueue& tx(std::uint16_t index, [[maybe_unused]] Site site = Site::here()) {
    TxQueue* const queue = queues_->tx_queue(index);
#if POLLUX_CHECKED
    if (queue == nullptr) return missing_tx(index, site);
#endif
    return *queue;
  }
  /// The pool of a receive queue: the configured one, or the port's own. Empty if there is no such queue. The handle
  /// keeps the pool alive, even after the port is closed.
  [[nodiscard]] std::optional<Mempool> rx_pool(std::uint16_t queue = 0) const;
  /// nullptr if there is no such queue.
  ///@{
  [[nodiscard]] RxQueue* rx_queue(std::uint16_t index) { return queues_->rx_queue(index); }
  [[nodiscard]] TxQueue* tx_queue(std::uint16_t index) { return queues_->tx_queue(index); }
  ///@}

  /// Creates a ForwardPath from one of this port's receive queues to a transmit queue of `out`, which may be this port:
  /// it forwards by exchanging buffers. Both ports are configured and not started; frames are forwarded while both are
  /// started. Starting `out` then takes as many mbufs from the receive queue's pool as the transmit ring has slots.
  /// Errors: bad_state, invalid_argument (no such queue, a queue that already has a path, ports of two Contexts),
  /// not_supported (ports of two drivers, or of a driver without forward paths).
  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, Port& out,
                                                                  std::uint16_t tx_queue);

  /// Calls `observer` with all frames that queue `rx_queue` returns, or that the program gives to queue `tx_queue`. A
  /// queue may have several observers; they are called in the order in which they were attached. Another thread may
  /// poll the queue meanwhile: for some microseconds no observer sees its bursts, which are as always. Observers stay
  /// attached when the port is stopped, started or configured again. Closing the port detaches them, and so does a
  /// configuration without their queue. States: configured, started. Errors: bad_state, invalid_argument (no such
  /// queue), busy (it is attached already, or a forward path moves the queue's frames, which are then in no burst),
  /// timeout (the polling thread did not leave its burst). An error changes nothing.
  ///@{
  [[nodiscard]] Result<void> attach_observer(std::uint16_t rx_queue, RxObserver& observer);
  [[nodiscard]] Result<void> attach_observer(std::uint16_t tx_queue, TxObserver& observer);
  ///@}
  /// Detaches `observer`. When this returns, it is not called any more and may be destroyed. States: configured,
  /// started, failed. Errors: bad_state, invalid_argument (no such queue), not_found (it is not attached), timeout (the
  /// polling thread did not leave its burst; the observer is still attached, call again).
  ///@{
  [[nodiscard]] Result<void> detach_observer(std::uint16_t rx_queue, RxObserver& observer);
  [[nodiscard]] Result<void> detach_observer(std::uint16_t tx_queue, TxObserver& observer);
  ///@}

  /// The port's own address: Settings::mac, or the permanent one.
  [[nodiscard]] MacAddress mac() const;
  /// The address that the port had when it was opened.
  [[nodiscard]] MacAddress permanent_mac() const;

  /// Asks the card, without waiting and without changing anything.
  [[nodiscard]] Link link();
  /// Waits until the link is up, at most for `limit`.
  /// Errors: timeout (the hint says what to check), bad_state (the port is closed), and those of `service`, which is
  /// called at the end: what follows the link (rate limits, flow control) is then in force, and a removed card, which
  /// has no link, is noticed.
  [[nodiscard]] Result<Link> wait_for_link(Duration limit);

  /// Calls `handler` with each event of the port; an empty one ends that. The handler runs on the thread that notices
  /// the event: the one that runs the Context's Control, or one in `start`, `stop`, `change`, `service` or
  /// `wait_for_link`. It runs once at a time, in the order of the events, and without the port's lock: it may call this
  /// and other ports, but must not move or destroy this one. An event that arises while it runs, be it by a call of the
  /// handler or of another thread, waits until it returns; the call that causes the event does not wait. Otherwise a
  /// call returns when the handler has seen the events that the call has caused. Handlers that feed one another, that
  /// is, whose calls cause further events, meet a limit: a call, with those that handlers make in it, delivers at most
  /// 32 events, of any ports, more than its own port has waiting. The Control's next run delivers the rest, or the next
  /// of these calls of the port whose events they are. An event that waits gives way to a later one of its kind and
  /// queue, and a change of the link between the two does, too: at most one link_down and one link_up wait, the newest
  /// Link last. Each handler starts with the link down, so the first service on a started port with a link reports
  /// link_up. A change of the link of a card with MSI-X and a receive queue makes Control::event_fd readable at once.
  /// Other ports report it at their next service, at most a second later. Of several changes between two services only
  /// the result is reported. Events between the last service and the end of the port are not reported. Waits while
  /// another thread runs the old handler; so does the Port's destructor. Do not hold a lock then that the handler
  /// takes. In a handler of any port, on_event does not wait, and the old handler may not have returned yet.
  void on_event(PortEventHandler handler);

  /// Frames, bytes, errors and drops since the port was opened; the numbers only grow, but for the exception that Stats
  /// names.
  [[nodiscard]] Stats stats();
  /// The same as names and values, and what the driver counts beyond that.
  [[nodiscard]] std::vector<Counter> extended_stats();
  /// Extends the card's 32-bit counters to 64 bits and checks for removal and faults. The Context's Control calls it
  /// when it is due; a program that calls it itself must do so at least as often as the returned time says.
  /// Errors: device_removed, device_fault. The port is then in state `failed`; the error is returned once, here or by
  /// the Control.
  [[nodiscard]] Result<Duration> service();

  /// A capability of the port, such as `port.capability<RegisterDump>()`; empty if the port does not have it.
  template <class C>
  [[nodiscard]] Capability<C> capability() {
    return Capability<C>(core_, static_cast<C*>(find_capability(C::kId)));
  }
  /// The names of the port's capabilities, such as "registers".
  [[nodiscard]] std::vector<std::string_view> capabilities() const;
  /// The error of a program that needs a capability which the port does not have: not_supported. It names those that
  /// the port has.
  [[nodiscard]] Error lacks(const CapabilityId& capability) const;
  /// The same for a setting that it needs (PortInfo::supports).
  [[nodiscard]] Error lacks(Setting setting) const;

  /// A field for the application, such as a pointer to its data about the port; Linux's netdev_priv. 0 at first. The
  /// library never changes it, and it moves with the Port. Thread rule: as a member of the program's own.
  [[nodiscard]] std::uint64_t user() const noexcept { return user_; }
  /// See `user`.
  void set_user(std::uint64_t value) noexcept { user_ = value; }

 private:
  friend class OpenPort;
  /// Another reference to a port; see OpenPort.
  explicit Port(std::shared_ptr<PortCore> core);
  [[nodiscard]] void* find_capability(CapabilityId id);
  [[nodiscard]] RxQueue& missing_rx(std::uint16_t index, Site site);
  [[nodiscard]] TxQueue& missing_tx(std::uint16_t index, Site site);

  std::shared_ptr<PortCore> core_;
  const PortQueues* queues_;  // the driver's, so owned by core_
  std::uint64_t user_ = 0;

  friend struct PortAccess;
};

}  // namespace pollux
