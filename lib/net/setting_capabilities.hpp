// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_filters.hpp"
#include "pollux/net/settings.hpp"

namespace pollux {

class PortMachine;

/// The capabilities that only read and change settings, for all drivers. Thread rule: as PortMachine.
class SettingCapabilities final : private VlanFilter, private VlanStripping, private DoubleVlan, private FlowControl {
 public:
  /// `port` outlives the object.
  explicit SettingCapabilities(PortMachine& port) noexcept : port_(port) {}
  SettingCapabilities(const SettingCapabilities&) = delete;
  SettingCapabilities& operator=(const SettingCapabilities&) = delete;

  [[nodiscard]] std::span<const CapabilityEntry> table() const noexcept { return table_; }

 private:
  [[nodiscard]] const Settings& settings() const noexcept;
  [[nodiscard]] Result<void> change(std::string_view call, const std::function<void(Settings&)>& edit);

  [[nodiscard]] Result<void> set_vlan(std::uint16_t vlan, bool receive) override;
  [[nodiscard]] Result<void> set_vlan_stripping(bool on) override;
  [[nodiscard]] bool vlan_stripping() const override { return settings().vlan_stripping; }
  [[nodiscard]] Result<void> set_outer_vlan_type(std::optional<std::uint16_t> ether_type) override;
  [[nodiscard]] std::optional<std::uint16_t> outer_vlan_type() const override { return settings().outer_vlan_type; }
  [[nodiscard]] Result<void> set_flow_control(const FlowControlConfig& config) override;
  [[nodiscard]] FlowControlState flow_control() override;

  PortMachine& port_;
  std::array<CapabilityEntry, 4> table_{offer<VlanFilter>(*this), offer<VlanStripping>(*this), offer<DoubleVlan>(*this),
                                        offer<FlowControl>(*this)};
};

}  // namespace pollux
