// SPDX-License-Identifier: BSD-3-Clause
#include "net/setting_capabilities.hpp"

#include "net/port_machine.hpp"

namespace pollux {

const Settings& SettingCapabilities::settings() const noexcept { return port_.settings(); }

Result<void> SettingCapabilities::change(std::string_view call, const std::function<void(Settings&)>& edit) {
  return port_.change(call, edit);
}

// The filter is on from the first call, since a port without it receives all VLANs. VLAN 0 is a priority tag, which
// belongs to no VLAN; Linux, igb_main.c, igb_restore_vlan, receives it, too.
Result<void> SettingCapabilities::set_vlan(std::uint16_t vlan, bool receive) {
  if (auto valid = check_vlan(port_.info().name, vlan); !valid) return valid;
  return change("set_vlan", [=](Settings& settings) {
    if (!settings.vlans) settings.vlans = VlanSet(1);
    settings.vlans->set(vlan, receive);
  });
}

Result<void> SettingCapabilities::set_vlan_stripping(bool on) {
  return change("set_vlan_stripping", [=](Settings& settings) { settings.vlan_stripping = on; });
}

Result<void> SettingCapabilities::set_outer_vlan_type(std::optional<std::uint16_t> ether_type) {
  return change("set_outer_vlan_type", [=](Settings& settings) { settings.outer_vlan_type = ether_type; });
}

Result<void> SettingCapabilities::set_flow_control(const FlowControlConfig& config) {
  return change("set_flow_control", [&](Settings& settings) { settings.flow_control = config; });
}

FlowControlState SettingCapabilities::flow_control() {
  auto* const state = port_.driver().capability<PauseState>();
  return state == nullptr ? FlowControlState{.config = settings().flow_control} : state->pause_state();
}

}  // namespace pollux
