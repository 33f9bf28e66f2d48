// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "net/validated_config.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/stats.hpp"
#include "ports/common/drops.hpp"
#include "ports/common/limits.hpp"
#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"

namespace pollux::ports {

/// The constant properties of a Medium.
struct MediumTraits {
  std::string_view driver;  ///< "ring"
  std::string_view what;    ///< description for PortInfo::card, such as "a ring of mbufs"
  PortLimits limits;
  OffloadLimits offloads{};
  std::span<const RxDrop> rx_drops;  ///< all reasons for which it drops received frames
  std::span<const TxDrop> tx_drops;  ///< reasons for which it drops frames to send, in addition to kCommonTxDrops
};

/// The part of a software port that differs between port types: its queues, and what they send to and receive from.
/// Functions are called in the order of the port's states, on its control thread. Only the burst functions of the
/// queues run on other threads.
class Medium {
 public:
  Medium() = default;
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;
  virtual ~Medium() = default;

  [[nodiscard]] virtual const MediumTraits& traits() const = 0;
  /// Queue `index`; all queues that the limits allow exist as long as the medium, also unused ones.
  [[nodiscard]] virtual RxQueue& rx(std::uint16_t index) = 0;
  [[nodiscard]] virtual TxQueue& tx(std::uint16_t index) = 0;
  [[nodiscard]] virtual RxFilter& filter() = 0;

  /// Called before the queues open. A failure must have no effect.
  [[nodiscard]] virtual Result<void> start(const ValidatedConfig& config) = 0;
  /// Called in state started, with that receive queue closed. Sets how many frames may wait for it.
  virtual void resize(std::uint16_t /*queue*/, std::uint32_t /*ring*/) noexcept {}
  /// Called after the queues are closed. Drops and counts all frames that wait to be received.
  virtual void stop() noexcept = 0;
  /// Called in the stopped state. Releases files, interfaces and connections to other ports.
  [[nodiscard]] virtual Result<void> close() = 0;

  [[nodiscard]] virtual Link link() = 0;
  /// As PortDriver::check.
  [[nodiscard]] virtual Result<void> check(const Settings& /*from*/, const Settings& /*to*/) { return {}; }
  /// Called before the filter changes, also before `start`.
  [[nodiscard]] virtual Result<void> set_mtu(std::uint32_t) { return {}; }
  /// If it returns an error, the port has failed.
  [[nodiscard]] virtual Result<void> service() { return {}; }
  /// As PortDriver::capabilities.
  [[nodiscard]] virtual std::span<const CapabilityEntry> capabilities() const noexcept { return {}; }
  /// Appends counters that only this type of port has. May be called from any thread.
  virtual void append(std::vector<Counter>&) const {}
};

}  // namespace pollux::ports
