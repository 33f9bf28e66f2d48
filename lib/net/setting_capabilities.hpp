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
#include "pollux/net/tx_rate_limit.hpp"

namespace pollux {

class PortMachine;

/// The capabilities that only read and change settings, for all drivers. Thread rule: as PortMachine.
class SettingCapabilities final : private UnicastFilter,
                                  private MulticastFilter,
                                  private VlanFilter,
                                  private VlanStripping,
                                  private DoubleVlan,
                                  private Rss,
                                  private QueuePools,
                                  private TxRateLimit,
                                  private Loopback,
                                  private FlowControl {
 public:
  /// `port` outlives the object.
  explicit SettingCapabilities(PortMachine& port) noexcept : port_(port) {}
  SettingCapabilities(const SettingCapabilities&) = delete;
  SettingCapabilities& operator=(const SettingCapabilities&) = delete;

  [[nodiscard]] std::span<const CapabilityEntry> table() const noexcept { return table_; }

 private:
  [[nodiscard]] const Settings& settings() const noexcept;
  [[nodiscard]] Result<void> change(std::string_view call, const std::function<void(Settings&)>& edit);

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
  [[nodiscard]] FlowControlState flow_control() override;

  PortMachine& port_;
  std::array<CapabilityEntry, 10> table_{offer<UnicastFilter>(*this), offer<MulticastFilter>(*this),
                                         offer<VlanFilter>(*this),    offer<VlanStripping>(*this),
                                         offer<DoubleVlan>(*this),    offer<Rss>(*this),
                                         offer<QueuePools>(*this),    offer<TxRateLimit>(*this),
                                         offer<Loopback>(*this),      offer<FlowControl>(*this)};
};

}  // namespace pollux
