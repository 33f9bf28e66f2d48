// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mem/context_state.hpp"
#include "net/new_port.hpp"
#include "pollux/net/queued_port.hpp"
#include "pollux/net/rx_filter.hpp"

namespace pollux::ports {

/// The constant properties of a kind of software port.
struct PortTraits {
  std::string_view driver;  ///< "ring"
  std::string_view what;    ///< description for PortInfo::card, such as "a ring of mbufs"
  SettingSet supports = kCommonSettings;
  PortLimits limits;
  OffloadLimits offloads{};
  std::span<const RxDrop> rx_drops = {};  ///< as QueuedPort::Drops
  std::span<const TxDrop> tx_drops = {};
};

/// Who a software port is.
struct PortIdentity {
  std::shared_ptr<ContextState> context;
  std::string name;
  std::uint16_t index = 0;
  MacAddress mac{};
};

/// A port whose frames software moves. Its queues' frames come from and go to what a derived class adds: a ring, files,
/// an interface of the kernel. No frame stays in flight: when tx_burst returns, each accepted frame is in another
/// queue, the kernel, a file or its pool.
class SoftwarePort : public QueuedPort {
 public:
  [[nodiscard]] MacAddress permanent_mac() const final { return mac_; }
  [[nodiscard]] Result<void> start() final;
  [[nodiscard]] Result<void> halt() final;

  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) final;

  [[nodiscard]] Link link() final { return begun_ ? running_link() : Link{}; }
  [[nodiscard]] Result<Duration> service() override;
  [[nodiscard]] Result<void> release(bool failed) final;

 protected:
  SoftwarePort(const PortIdentity& identity, const PortTraits& traits);

  [[nodiscard]] const RxFilter& filter() const noexcept { return filter_; }
  /// Called before the port receives frames of that length, also before `begin`.
  [[nodiscard]] virtual Result<void> change_mtu(std::uint32_t /*bytes*/) { return {}; }
  /// Called when the address, a mode of the filter or a rule may have changed. `filter` has what concerns it already.
  /// Without `from` before `begin`.
  [[nodiscard]] virtual Result<void> change_filter(const PlacedSettings* /*from*/, const PlacedSettings& /*to*/) {
    return {};
  }
  /// Called before the queues open. A failure must have no effect.
  [[nodiscard]] virtual Result<void> begin() { return {}; }
  /// Called after the queues are closed. Drops and counts all frames that wait to be received.
  virtual void end() noexcept {}
  /// Called in the stopped state. Releases files, interfaces and connections to other ports.
  virtual void close() {}
  [[nodiscard]] virtual Link running_link() { return {.up = true, .speed = 10'000, .autonegotiated = false}; }

 private:
  MacAddress mac_;
  RxFilter filter_;
  bool begun_ = false;
};

/// Makes a port of class `Kind`. Error: no_memory if the Context has no free port number.
template <class Kind, class... Arguments>
[[nodiscard]] Result<std::unique_ptr<PortDriver>> make_port(Context& context, std::string name, const MacAddress& mac,
                                                            Arguments&&... arguments) {
  const auto make = [&](std::uint16_t index) {
    return std::make_unique<Kind>(PortIdentity{context.state(), std::move(name), index, mac},
                                  std::forward<Arguments>(arguments)...);
  };
  return new_port(*context.state(), name, make, [](PortDriver&) { return Result<void>(); });
}

/// A locally administered MAC address that depends only on `name` (IEEE 802, 8.4: bit 1 of the first byte).
[[nodiscard]] MacAddress mac_for(std::string_view name) noexcept;

}  // namespace pollux::ports
