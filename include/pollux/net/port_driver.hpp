// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/drain_reason.hpp"
#include "pollux/net/forward_path.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/stats.hpp"
#include "pollux/net/tx_queue.hpp"
#include "pollux/net/validated_config.hpp"

namespace pollux {

/// What does not change while a port is open.
struct PortInfo {
  std::string name;         ///< the URI that opened it
  std::string driver;       ///< "igb"
  std::string card;         ///< "Intel 82576"
  std::string backend;      ///< "vfio", "sim"
  std::uint16_t index = 0;  ///< within the Context: Mbuf::port() of what it receives
  int numa_node = -1;
  PortLimits limits;
  OffloadLimits offloads{};
  MissedCount missed_count = MissedCount::exact;  ///< what Stats::rx_missed_errors is worth here
};

/// A register's value for a dump.
struct RegisterValue {
  std::string name;  ///< the datasheet's, with an index where there are several, such as "RDT[3]"
  std::uint32_t offset = 0;
  std::uint32_t value = 0;
};

/// Capability: the card's registers can be read out. Reading changes nothing on the card (clear-on-read ones are left
/// out).
class POLLUX_API RegisterDump {
 public:
  static constexpr CapabilityId kId = capability_id("pollux.RegisterDump.1");

  virtual ~RegisterDump() = default;
  [[nodiscard]] virtual std::vector<RegisterValue> registers() = 0;
};

/// What a port is to do once it runs.
struct PortSettings {
  MacAddress mac{};
  std::uint32_t mtu = 1500;
  bool promiscuous = false;
  bool all_multicast = false;
};

/// The number of a new port within its Context: PortInfo::index, and Mbuf::port() of what it receives. Who opens a port
/// gives it back by closing it; a probe that fails afterwards, by `return_port_index`. Error no_memory: none is left;
/// `port` names the port in it.
[[nodiscard]] POLLUX_API Result<std::uint16_t> take_port_index(Context& context, std::string_view port);
POLLUX_API void return_port_index(Context& context, std::uint16_t index);

/// What a driver or a software port does behind a Port. The order of states and every argument are checked before one
/// of these is called (PortMachine); each says in which states that is. Thread rule: one thread at a time, which the
/// Port sees to, except that `info`, the queues once they are found, and their bursts are used by others.
class POLLUX_API PortDriver {
 public:
  PortDriver() = default;
  PortDriver(const PortDriver&) = delete;
  PortDriver& operator=(const PortDriver&) = delete;
  virtual ~PortDriver() = default;

  [[nodiscard]] virtual const PortInfo& info() const = 0;
  /// The address that the port has before anybody sets another.
  [[nodiscard]] virtual MacAddress permanent_mac() const = 0;

  /// Opened or configured: sets the queues up. On failure nothing has changed.
  [[nodiscard]] virtual Result<void> configure(const ValidatedConfig& config) = 0;
  /// `index` below the configured number of queues; nullptr otherwise.
  [[nodiscard]] virtual RxQueue* rx_queue(std::uint16_t index) = 0;
  [[nodiscard]] virtual TxQueue* tx_queue(std::uint16_t index) = 0;
  /// Configured, as is `out`, which is of the same Context: see Port::forward_path.
  [[nodiscard]] virtual Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                          std::uint16_t tx_queue);

  /// Configured: puts buffers into receive rings that hold them. Error no_memory, with nothing taken.
  [[nodiscard]] virtual Result<void> fill() { return {}; }
  /// Configured and filled: the card works from now on, its queues still closed. `halt` follows a failure.
  [[nodiscard]] virtual Result<void> start(const PortSettings& settings) = 0;
  virtual void open_queues() noexcept = 0;
  /// Bursts yield nothing from now on; waits for pollers. Error timeout: one does not come out; it may be called again.
  [[nodiscard]] virtual Result<void> close_queues(Duration limit) = 0;
  /// Started, or failed to, with the queues closed: afterwards nothing reaches memory. An error means that the card
  /// does not stop, and the port has failed.
  [[nodiscard]] virtual Result<void> halt() = 0;
  /// With nothing reaching memory: takes back every buffer that is in a ring; returns how many.
  virtual std::uint32_t drain(DrainReason reason) noexcept;

  /// Started: takes effect at once. On failure the port keeps what it had, as with the next two.
  [[nodiscard]] virtual Result<void> set_mac(const MacAddress& mac) = 0;
  /// Configured (as part of `configure`, too) or started.
  [[nodiscard]] virtual Result<void> set_mtu(std::uint32_t bytes) = 0;
  /// Started.
  [[nodiscard]] virtual Result<void> set_promiscuity(bool promiscuous, bool all_multicast) = 0;

  /// Opened, configured or started.
  [[nodiscard]] virtual Link link() = 0;
  /// In any state. Without rx_dropped and tx_dropped, which the Port sums up.
  [[nodiscard]] virtual Stats stats() = 0;
  /// Appends what there is to count besides `stats`.
  virtual void append_counters(std::vector<Counter>& counters) = 0;
  /// Opened, configured or started: see Port::service. An error means that the port has failed.
  [[nodiscard]] virtual Result<Duration> service() = 0;
  /// Eventfds that mean that `service` is due at once, such as a device's error and removal events; -1 for none. They
  /// belong to the driver and stay as they are until `release`.
  [[nodiscard]] virtual std::vector<int> events() const { return {}; }
  /// The sub-object of this driver that is the interface with that id, to be cast to it; nullptr: it has none. Each
  /// call of it comes under the port's mutex, in any state: the interface says what follows.
  [[nodiscard]] virtual void* capability(CapabilityId /*id*/) noexcept { return nullptr; }
  template <class C>
  [[nodiscard]] C* capability() noexcept {
    return static_cast<C*>(capability(C::kId));
  }

  /// Failed: whether nothing can reach memory any more, or can be kept from it.
  [[nodiscard]] virtual bool make_harmless() { return true; }
  /// Hands the device back, in order unless it has `failed`. Called once, before the last `drain`.
  [[nodiscard]] virtual Result<void> release(bool failed) = 0;
  /// After `release`, with no buffer in a ring: queues are not to be found any more, and their memory goes.
  virtual void retire() noexcept = 0;
  /// In place of drain and retire where somebody may still use the queues: they and their memory stay for good.
  virtual void abandon() noexcept = 0;
};

}  // namespace pollux
