// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux {

/// A network port: a card's, or one of software. `open()` makes it.
/// Ownership: move-only; owns its queues and its device. Going away closes it.
/// Thread rule: control calls come from one thread at a time; queues are polled by whoever they belong to; `stats` from
/// any.
class Port {
 public:
  Port(std::shared_ptr<ContextState> context, std::unique_ptr<PortDriver> driver) noexcept
      : context_(std::move(context)), driver_(std::move(driver)) {}

  [[nodiscard]] const PortInfo& info() const { return driver_->info(); }
  [[nodiscard]] PortState state() const { return driver_->state(); }

  /// Validates `config` and sets the queues up. In any state but started, closed and failed; a second call replaces the
  /// first. Errors: invalid_argument (names the value and its range), bad_state, no_memory.
  [[nodiscard]] Result<void> configure(const PortConfig& config) { return driver_->configure(config); }
  /// Arms the rings and lets frames flow. The link may still take seconds: see `wait_for_link`.
  [[nodiscard]] Result<void> start() { return driver_->start(); }
  /// Frames stop flowing, DMA ends, what lies in the rings goes back to its pools under a named counter. Pollers on
  /// other threads are waited for (bounded) and see empty bursts afterwards.
  [[nodiscard]] Result<void> stop() { return driver_->stop(); }
  /// Stops if need be and hands the device back. The destructor does the same, but cannot tell of an error.
  [[nodiscard]] Result<void> close() { return driver_->close(); }

  /// The queue with that index. The index must be below the configured number: check with `rx_queue` where it comes
  /// from outside.
  [[nodiscard]] RxQueue& rx(std::uint16_t index) { return *driver_->rx_queue(index); }
  [[nodiscard]] TxQueue& tx(std::uint16_t index) { return *driver_->tx_queue(index); }
  [[nodiscard]] RxQueue* rx_queue(std::uint16_t index) { return driver_->rx_queue(index); }
  [[nodiscard]] TxQueue* tx_queue(std::uint16_t index) { return driver_->tx_queue(index); }

  /// Capability: forwards from one of this port's receive queues to a transmit queue of `out` (which may be this port)
  /// by exchanging buffers. Both ports configured and not started; frames flow when both are. Starting `out` then takes
  /// a transmit ring's worth of mbufs from the receive queue's pool. Errors: bad_state, invalid_argument (no such
  /// queue, a queue that has a path, ports of two Contexts), not_supported (ports of two drivers, or of one that
  /// cannot).
  [[nodiscard]] Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, Port& out,
                                                                  std::uint16_t tx_queue) {
    return driver_->forward_path(rx_queue, *out.driver_, tx_queue);
  }

  [[nodiscard]] MacAddress mac() const { return driver_->mac(); }
  /// Error invalid_argument for a multicast or all-zero address.
  [[nodiscard]] Result<void> set_mac(const MacAddress& mac) { return driver_->set_mac(mac); }
  [[nodiscard]] std::uint32_t mtu() const { return driver_->mtu(); }
  /// Bytes of payload; takes effect at once on a started port where the buffers allow it.
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes) { return driver_->set_mtu(bytes); }
  [[nodiscard]] Result<void> set_promiscuous(bool on) { return driver_->set_promiscuous(on); }
  [[nodiscard]] Result<void> set_all_multicast(bool on) { return driver_->set_all_multicast(on); }

  [[nodiscard]] Link link() { return driver_->link(); }
  /// Returns as soon as the link is up; error timeout after `limit`.
  [[nodiscard]] Result<Link> wait_for_link(Duration limit);

  [[nodiscard]] Stats stats() { return driver_->stats(); }
  [[nodiscard]] std::vector<Counter> extended_stats() { return driver_->extended_stats(); }
  /// Folds the card's 32-bit counters into 64 and looks after removal and faults. Call at least as often as the time it
  /// returns. Errors: device_removed, device_fault; the port is then in state `failed`.
  [[nodiscard]] Result<Duration> service() { return driver_->service(); }

  /// Capability; nullptr where the port has no registers.
  [[nodiscard]] RegisterDump* register_dump() { return driver_->register_dump(); }

 private:
  std::shared_ptr<ContextState> context_;  // outlives the driver
  std::unique_ptr<PortDriver> driver_;
};

}  // namespace pollux
