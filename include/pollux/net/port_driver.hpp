// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/net/forward_path.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/port_config.hpp"
#include "pollux/net/rx_queue.hpp"
#include "pollux/net/stats.hpp"
#include "pollux/net/tx_queue.hpp"

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
class RegisterDump {
 public:
  virtual ~RegisterDump() = default;
  [[nodiscard]] virtual std::vector<RegisterValue> registers() = 0;
};

/// What a driver or a software port implements behind a Port. States and their checks are its own duty: a call that
/// does not fit the state is `bad_state` and changes nothing. Thread rule: one thread at a time, which the Port sees
/// to, except that the queues are polled by others.
class PortDriver {
 public:
  PortDriver() = default;
  PortDriver(const PortDriver&) = delete;
  PortDriver& operator=(const PortDriver&) = delete;
  /// Closes the port if that was not done.
  virtual ~PortDriver() = default;

  [[nodiscard]] virtual const PortInfo& info() const = 0;
  [[nodiscard]] virtual PortState state() const = 0;

  [[nodiscard]] virtual Result<void> configure(const PortConfig& config) = 0;
  [[nodiscard]] virtual Result<void> start() = 0;
  [[nodiscard]] virtual Result<void> stop() = 0;
  [[nodiscard]] virtual Result<void> close() = 0;

  /// `index` below the configured number of queues; nullptr otherwise.
  [[nodiscard]] virtual RxQueue* rx_queue(std::uint16_t index) = 0;
  [[nodiscard]] virtual TxQueue* tx_queue(std::uint16_t index) = 0;

  /// See Port::forward_path. Without an implementation of its own: not_supported.
  [[nodiscard]] virtual Result<std::unique_ptr<ForwardPath>> forward_path(std::uint16_t rx_queue, PortDriver& out,
                                                                          std::uint16_t tx_queue);

  [[nodiscard]] virtual MacAddress mac() const = 0;
  [[nodiscard]] virtual Result<void> set_mac(const MacAddress& mac) = 0;
  [[nodiscard]] virtual std::uint32_t mtu() const = 0;
  [[nodiscard]] virtual Result<void> set_mtu(std::uint32_t bytes) = 0;
  [[nodiscard]] virtual Result<void> set_promiscuous(bool on) = 0;
  [[nodiscard]] virtual Result<void> set_all_multicast(bool on) = 0;
  [[nodiscard]] virtual Link link() = 0;

  [[nodiscard]] virtual Stats stats() = 0;
  /// Every counter there is, the card's own included.
  [[nodiscard]] virtual std::vector<Counter> extended_stats() = 0;
  /// See Port::service.
  [[nodiscard]] virtual Result<Duration> service() = 0;

  /// Eventfds that mean that `service` is due at once, such as a device's error and removal events; -1 for none. They
  /// belong to the driver and stay as they are until the port is closed.
  [[nodiscard]] virtual std::vector<int> events() const { return {}; }

  [[nodiscard]] virtual RegisterDump* register_dump() { return nullptr; }
};

}  // namespace pollux
