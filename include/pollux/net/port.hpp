// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/misuse.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

class PortCore;

/// A network port: a card's, or one of software. `open()` makes it.
/// Ownership: move-only; owns its queues and its device. Going away closes it. A port that was moved from can only be
/// assigned to or destroyed.
/// Thread rule: control calls, which are all but `info` and those that find a queue, may come from any thread: they
/// wait for each other, and for `service` on the thread that runs the Context's Control. So a log or misuse callback
/// must not call a port. Queues are polled by whoever they belong to. Moving and destroying the Port itself is for one
/// thread, while no other calls it.
class POLLUX_API Port {
 public:
  Port(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver);
  Port(Port&& other) noexcept;
  Port& operator=(Port&& other) noexcept;
  ~Port();

  [[nodiscard]] const PortInfo& info() const { return driver_->info(); }
  /// What frames may ask of this port, and what it tells of those it received.
  [[nodiscard]] const OffloadLimits& offloads() const { return info().offloads; }
  [[nodiscard]] PortState state() const;
  /// What `configure` and the setters below came to. Without queues in states `opened` and `closed`.
  [[nodiscard]] EffectiveConfig config() const;

  /// Validates `config` and sets the queues up. In any state but started, closed and failed; a second call replaces the
  /// first. Errors: invalid_argument (names the value and its range), bad_state, no_memory.
  /// no_memory also where the pool that the port makes for itself (RxQueueConfig::pool) finds no room.
  [[nodiscard]] Result<void> configure(const PortConfig& config = {});
  /// Arms the rings and lets frames flow. The link may still take seconds: see `wait_for_link`.
  [[nodiscard]] Result<void> start();
  /// Frames stop flowing, DMA ends, what lies in the rings goes back to its pools under a named counter. Pollers on
  /// other threads are waited for (bounded) and see empty bursts afterwards.
  [[nodiscard]] Result<void> stop();
  /// Stops if need be and hands the device back. The destructor does the same, but cannot tell of an error.
  [[nodiscard]] Result<void> close();

  /// The queue with that index. The index must be below the configured number: check with `rx_queue` where it comes
  /// from outside. Builds with POLLUX_CHECKED report one that is not, and return a queue that carries nothing.
  [[nodiscard]] RxQueue& rx(std::uint16_t index, [[maybe_unused]] Site site = Site::here()) {
    RxQueue* const queue = driver_->rx_queue(index);
#if POLLUX_CHECKED
    if (queue == nullptr) return missing_rx(index, site);
#endif
    return *queue;
  }
  [[nodiscard]] TxQueue& tx(std::uint16_t index, [[maybe_unused]] Site site = Site::here()) {
    TxQueue* const queue = driver_->tx_queue(index);
#if POLLUX_CHECKED
    if (queue == nullptr) return missing_tx(index, site);
#endif
    return *queue;
  }
  /// The pool of a receive queue: the one that was configured, or the port's own. Empty where there is no such queue.
  /// The handle keeps the pool alive, also when the port is closed.
  [[nodiscard]] std::optional<Mempool> rx_pool(std::uint16_t queue = 0) const;
  [[nodiscard]] RxQueue* rx_queue(std::uint16_t index) { return driver_->rx_queue(index); }
  [[nodiscard]] TxQueue* tx_queue(std::uint16_t index) { return driver_->tx_queue(index); }

  /// Capability: forwards from one of this port's receive queues to a transmit queue of `out` (which may be this port)
  /// by exchanging buffers. Both ports configured and not started; frames flow when both are. Starting `out` then takes
  /// a transmit ring's worth of mbufs from the receive queue's pool. Errors: bad_state, invalid_argument (no such
  /// queue, a queue that has a path, ports of two Contexts), not_supported (ports of two drivers, or of one that
  /// cannot).
  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, Port& out,
                                                                  std::uint16_t tx_queue);

  [[nodiscard]] MacAddress mac() const;
  /// Error invalid_argument for a multicast or all-zero address.
  [[nodiscard]] Result<void> set_mac(const MacAddress& mac);
  [[nodiscard]] std::uint32_t mtu() const;
  /// Bytes of payload; takes effect at once on a started port where the buffers allow it.
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes);
  [[nodiscard]] Result<void> set_promiscuous(bool on);
  [[nodiscard]] Result<void> set_all_multicast(bool on);

  [[nodiscard]] Link link();
  /// Returns as soon as the link is up; error timeout after `limit`.
  [[nodiscard]] Result<Link> wait_for_link(Duration limit);

  [[nodiscard]] Stats stats();
  [[nodiscard]] std::vector<Counter> extended_stats();
  /// Folds the card's 32-bit counters into 64 and looks after removal and faults. The Context's Control does it when it
  /// is due (see there); a program that calls it by itself does so at least as often as the time it returns. Errors:
  /// device_removed, device_fault; the port is then in state `failed`, and its error was told here once and for all:
  /// the Control does not tell it again.
  [[nodiscard]] Result<Duration> service();

  /// What not every port can do: `port.capability<RegisterDump>()`, which may be absent.
  template <class C>
  [[nodiscard]] Capability<C> capability() {
    return Capability<C>(core_, driver_->template capability<C>());
  }

 private:
  [[nodiscard]] RxQueue& missing_rx(std::uint16_t index, Site site);
  [[nodiscard]] TxQueue& missing_tx(std::uint16_t index, Site site);

  std::shared_ptr<PortCore> core_;
  PortDriver* driver_;  // the core's, at hand for who asks for a queue
};

}  // namespace pollux
