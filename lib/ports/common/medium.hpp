// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "net/validated_config.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/stats.hpp"
#include "ports/common/drops.hpp"
#include "ports/common/limits.hpp"
#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"

namespace pollux::ports {

/// What does not change about a medium.
struct MediumTraits {
  std::string_view driver;  ///< "ring"
  std::string_view what;    ///< "a ring of mbufs", as PortInfo::card
  PortLimits limits;
  OffloadLimits offloads{};
  std::span<const RxDrop> rx_drops;  ///< every reason it may drop a received frame for
  std::span<const TxDrop> tx_drops;  ///< the same for sending, besides kCommonTxDrops
};

/// Where the frames of one kind of software port go to and come from. Its functions are called in the order of a port's
/// states, on the thread that controls it; only the queues' burst functions run elsewhere.
class Medium {
 public:
  Medium() = default;
  Medium(const Medium&) = delete;
  Medium& operator=(const Medium&) = delete;
  virtual ~Medium() = default;

  [[nodiscard]] virtual const MediumTraits& traits() const = 0;
  /// Every queue that the limits allow, in use or not, for as long as the medium.
  [[nodiscard]] virtual RxQueue& rx(std::uint16_t index) = 0;
  [[nodiscard]] virtual TxQueue& tx(std::uint16_t index) = 0;
  [[nodiscard]] virtual RxRules& rules() = 0;

  /// Called with the queues closed, before they open. On failure nothing has changed.
  [[nodiscard]] virtual Result<void> start(const ValidatedConfig& config) = 0;
  /// Called with the queues closed: drops, counted, what waits to be received.
  virtual void stop() noexcept = 0;
  /// Called when stopped: hands back what the system or another port has to do with it.
  [[nodiscard]] virtual Result<void> close() = 0;

  [[nodiscard]] virtual Link link() = 0;
  /// Called in any state between configured and started, before the rules change.
  [[nodiscard]] virtual Result<void> set_mtu(std::uint32_t) { return {}; }
  /// An error means that the port has failed.
  [[nodiscard]] virtual Result<void> service() { return {}; }
  /// Counters besides those that all ports have. From any thread.
  virtual void append(std::vector<Counter>&) const {}
};

}  // namespace pollux::ports
