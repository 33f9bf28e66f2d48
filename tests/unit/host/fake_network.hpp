// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/network_state.hpp"
#include "pollux/host/interface_backup.hpp"

namespace pollux::host::test {

/// A host whose network state the test sets.
class FakeNetwork final : public HostNetwork {
 public:
  [[nodiscard]] Result<NetworkState> read() const override {
    if (broken) return tl::unexpected<Error>(*broken);
    return state;
  }
  /// Every interface has an MTU of 1400.
  [[nodiscard]] Result<InterfaceBackup> save(const std::string& interface) const override {
    if (saving_fails) return tl::unexpected<Error>(*saving_fails);
    InterfaceBackup backup;
    backup.name = interface;
    backup.mtu = 1400;
    return backup;
  }
  [[nodiscard]] Result<void> restore(const InterfaceBackup& backup, const std::string& interface) const override {
    restored.push_back(backup.name + " as " + interface + ", MTU " + std::to_string(backup.mtu));
    if (restoring_fails) return tl::unexpected<Error>(*restoring_fails);
    return {};
  }
  NetworkState state;
  std::optional<Error> broken;
  std::optional<Error> saving_fails;
  std::optional<Error> restoring_fails;
  mutable std::vector<std::string> restored;
};

/// A state with one namespace that has one interface on the device `parent`.
[[nodiscard]] NetworkState host_with_port(const std::string& parent, const std::string& interface = "eth1");

[[nodiscard]] IpPrefix prefix(const std::string& text);

}  // namespace pollux::host::test
