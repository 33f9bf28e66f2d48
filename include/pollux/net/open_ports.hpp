// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"

namespace pollux {

class OpenPort;

/// The ports of the Context, in the order of opening; without those that are being destroyed. Ports that were closed
/// and not yet destroyed are among them.
[[nodiscard]] POLLUX_API std::vector<OpenPort> open_ports(Context& context);

/// Another's port, for code that observes the ports of a Context and did not open them, such as Telemetry. The Port's
/// destructor waits until the OpenPort is gone, so use it for one task and destroy it.
/// Ownership: the port stays its owner's. Thread rule: the thread that got it uses and destroys it, and does not
/// destroy the Port meanwhile. Control calls may be made through it at any time, as Port says. Do not move the Port out
/// of it.
class POLLUX_API OpenPort {
 public:
  /// The other one may then only be destroyed.
  OpenPort(OpenPort&&) noexcept = default;
  OpenPort& operator=(OpenPort&&) = delete;
  ~OpenPort();

  /// Identifies the port among all that its Context ever had; at least 1, rising in the order of opening.
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// The port, as long as this object exists.
  ///@{
  [[nodiscard]] Port& operator*() noexcept { return port_; }
  [[nodiscard]] Port* operator->() noexcept { return &port_; }
  ///@}

 private:
  friend std::vector<OpenPort> open_ports(Context& context);
  OpenPort(std::uint64_t id, std::shared_ptr<PortCore> core, std::shared_lock<std::shared_mutex> lock);

  std::uint64_t id_;
  std::shared_ptr<PortCore> core_;  // has the mutex, so it outlives the lock
  std::shared_lock<std::shared_mutex> lock_;
  Port port_;
};

}  // namespace pollux
