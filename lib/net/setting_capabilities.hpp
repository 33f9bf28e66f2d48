// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "pollux/net/flow/flow_rules.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/frame_filters.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/port_clock.hpp"
#include "pollux/net/port_driver.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/tx_rate_limit.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/net/wake_on_lan.hpp"

namespace pollux {

class PortMachine;

/// The capabilities that read and change settings, for all drivers. What is no setting, a driver does (C::Part).
/// Thread rule: as PortMachine.
class SettingCapabilities final : private UnicastFilter,
                                  private MulticastFilter,
                                  private VlanFilter,
                                  private VlanStripping,
                                  private DoubleVlan,
                                  private Rss,
                                  private QueuePools,
                                  private TxRateLimit,
                                  private Loopback,
                                  private FlowControl,
                                  private LinkControl,
                                  private Interrupts,
                                  private WakeOnLan,
                                  private IdentifyLed,
                                  private FrameStamps,
                                  private PortClock,
                                  private FlowRules,
                                  private VirtualFunctions {
 public:
  /// `port` outlives the object.
  explicit SettingCapabilities(PortMachine& port) noexcept : port_(port) {}
  SettingCapabilities(const SettingCapabilities&) = delete;
  SettingCapabilities& operator=(const SettingCapabilities&) = delete;

  [[nodiscard]] std::span<const CapabilityEntry> table() const noexcept { return table_; }

 private:
  [[nodiscard]] PortDriver& driver() const noexcept;
  [[nodiscard]] const Settings& settings() const noexcept { return driver().settings(); }
  [[nodiscard]] const PortLimits& port_limits() const { return driver().info().limits; }
  template <class C>
  [[nodiscard]] typename C::Part& part() const {
    return driver().part<C>();
  }
  [[nodiscard]] Result<void> change(std::string_view call, const std::function<void(Settings&)>& edit);
  /// Lets the clock run, if no program has used it before.
  [[nodiscard]] Result<void> use_clock(std::string_view call);
  [[nodiscard]] Result<void> expect_function(unsigned number) const;
  /// Error invalid_argument: the port cannot have that receive queue. Error not_supported: it has no vectors.
  [[nodiscard]] Result<void> expect_vector(std::uint16_t queue);

  [[nodiscard]] Result<void> set_unicast(std::span<const MacAddress> addresses) override;
  [[nodiscard]] std::vector<MacAddress> unicast() const override { return settings().unicast; }
  [[nodiscard]] std::size_t max_unicast() const override;
  [[nodiscard]] Result<void> set_multicast(std::span<const MacAddress> groups) override;
  [[nodiscard]] Result<void> set_vlan(std::uint16_t vlan, bool receive) override;
  [[nodiscard]] Result<void> set_vlan_stripping(bool on) override;
  [[nodiscard]] bool vlan_stripping() const override { return settings().vlan_stripping; }
  [[nodiscard]] Result<void> set_outer_vlan_type(std::optional<std::uint16_t> ether_type) override;
  [[nodiscard]] std::optional<std::uint16_t> outer_vlan_type() const override { return settings().outer_vlan_type; }
  [[nodiscard]] Result<void> set_rss(const RssConfig& config) override;
  [[nodiscard]] RssConfig rss() const override;
  [[nodiscard]] std::uint32_t table_size() const override;
  [[nodiscard]] Result<void> set_queue_pools(const QueuePoolsConfig& config) override;
  [[nodiscard]] QueuePoolsConfig queue_pools() const override { return settings().pools; }
  [[nodiscard]] std::uint16_t queue_of(std::uint16_t pool, std::uint16_t index) const noexcept override;
  [[nodiscard]] Result<void> set_tx_rate(std::uint16_t queue, std::uint32_t megabits) override;
  [[nodiscard]] std::uint32_t tx_rate(std::uint16_t queue) const override;
  [[nodiscard]] Result<void> set_pool_tx_rate(std::uint16_t pool, std::uint32_t megabits) override;
  [[nodiscard]] std::uint32_t pool_tx_rate(std::uint16_t pool) const override;
  [[nodiscard]] Result<void> set_loopback(LoopbackMode mode) override;
  [[nodiscard]] LoopbackMode loopback() const override { return settings().loopback; }
  [[nodiscard]] Result<void> set_flow_control(const FlowControlConfig& config) override;
  [[nodiscard]] FlowControlState flow_control() override { return part<FlowControl>().flow_control(); }
  [[nodiscard]] LinkModes supported_modes() const override { return port_limits().link_modes; }
  [[nodiscard]] LinkConfig link_config() const override;
  [[nodiscard]] Result<void> set_link_config(const LinkConfig& config) override;
  [[nodiscard]] Result<void> restart_negotiation() override { return part<LinkControl>().restart_negotiation(); }
  [[nodiscard]] bool phy_enabled() const override { return settings().phy_enabled; }
  [[nodiscard]] Result<void> set_phy_enabled(bool enabled) override;
  [[nodiscard]] Result<LinkDetails> link_details() override;
  [[nodiscard]] Result<std::vector<unsigned>> rx_vectors() override { return part<Interrupts>().rx_vectors(); }
  [[nodiscard]] Result<void> set_moderation(std::uint16_t queue, const InterruptModeration& moderation) override;
  [[nodiscard]] Result<InterruptModeration> moderation(std::uint16_t queue) override;
  [[nodiscard]] Result<WakeEvents> wake_support() override { return part<WakeOnLan>().wake_support(); }
  [[nodiscard]] WakeEvents wake_events() const override { return settings().wake; }
  [[nodiscard]] Result<void> set_wake_events(const WakeEvents& events) override;
  [[nodiscard]] Result<void> set_led(LedMode mode) override;
  [[nodiscard]] LedMode led() const override { return settings().led; }
  [[nodiscard]] Result<void> set_frame_stamps(const FrameStampsConfig& config) override;
  [[nodiscard]] FrameStampsConfig frame_stamps() const override { return settings().stamps; }
  [[nodiscard]] Result<std::optional<RxFrameStamp>> take_rx_stamp() override {
    return part<FrameStamps>().take_rx_stamp();
  }
  [[nodiscard]] Result<std::optional<Time>> take_tx_stamp() override { return part<FrameStamps>().take_tx_stamp(); }
  [[nodiscard]] Result<Time> time() override {
    return use_clock("time").and_then([this] { return part<PortClock>().time(); });
  }
  [[nodiscard]] Result<void> set_time(Time time) override {
    return use_clock("set_time").and_then([=, this] { return part<PortClock>().set_time(time); });
  }
  [[nodiscard]] Result<void> adjust_time(Duration offset) override {
    return use_clock("adjust_time").and_then([=, this] { return part<PortClock>().adjust_time(offset); });
  }
  [[nodiscard]] Result<double> set_frequency(double ppb) override;
  [[nodiscard]] double frequency() const override;
  [[nodiscard]] PortClockLimits limits() const override { return port_limits().clock; }
  [[nodiscard]] Result<FlowRuleId> add(const FlowRule& rule) override;
  [[nodiscard]] Result<void> remove(FlowRuleId id) override;
  [[nodiscard]] std::vector<InstalledRule> rules() const override;
  [[nodiscard]] unsigned max_functions() const override { return part<VirtualFunctions>().max_functions(); }
  [[nodiscard]] unsigned functions() const override { return static_cast<unsigned>(settings().functions.size()); }
  [[nodiscard]] Result<void> set_functions(unsigned count) override;
  [[nodiscard]] Result<void> set_function(unsigned number, const VirtualFunctionConfig& config) override;
  [[nodiscard]] Result<VirtualFunctionState> function(unsigned number) override;
  [[nodiscard]] Result<void> reset_function(unsigned number) override;

  PortMachine& port_;
  std::array<CapabilityEntry, 18> table_{
      offer<UnicastFilter>(*this), offer<MulticastFilter>(*this), offer<VlanFilter>(*this),
      offer<VlanStripping>(*this), offer<DoubleVlan>(*this),      offer<Rss>(*this),
      offer<QueuePools>(*this),    offer<TxRateLimit>(*this),     offer<Loopback>(*this),
      offer<FlowControl>(*this),   offer<LinkControl>(*this),     offer<Interrupts>(*this),
      offer<WakeOnLan>(*this),     offer<IdentifyLed>(*this),     offer<FrameStamps>(*this),
      offer<PortClock>(*this),     offer<FlowRules>(*this),       offer<VirtualFunctions>(*this)};
};

}  // namespace pollux
