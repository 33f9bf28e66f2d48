// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mem/context_state.hpp"
#include "pollux/net/port_driver.hpp"
#include "ports/common/medium.hpp"
#include "ports/common/plan.hpp"

namespace pollux::ports {

/// A port that is no card: the order of its states over a Medium.
///
///     opened -- configure --> configured -- start --> started -- stop --> configured
///     any -- close --> closed;   any -- the medium is gone --> failed -- close --> closed
class Port final : public PortDriver {
 public:
  /// Error no_memory: the Context has no port number left.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> create(Context& context, std::string name, MacAddress mac,
                                                                  std::unique_ptr<Medium> medium);
  ~Port() override;

  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] PortState state() const override { return state_; }

  [[nodiscard]] Result<void> configure(const PortConfig& config) override;
  [[nodiscard]] Result<void> start() override;
  [[nodiscard]] Result<void> stop() override;
  [[nodiscard]] Result<void> close() override;

  [[nodiscard]] pollux::RxQueue* rx_queue(std::uint16_t index) override;
  [[nodiscard]] pollux::TxQueue* tx_queue(std::uint16_t index) override;

  [[nodiscard]] MacAddress mac() const override { return mac_; }
  [[nodiscard]] Result<void> set_mac(const MacAddress& mac) override;
  [[nodiscard]] std::uint32_t mtu() const override { return plan_.mtu; }
  [[nodiscard]] Result<void> set_mtu(std::uint32_t bytes) override;
  [[nodiscard]] Result<void> set_promiscuous(bool on) override;
  [[nodiscard]] Result<void> set_all_multicast(bool on) override;
  [[nodiscard]] Link link() override;

  [[nodiscard]] Stats stats() override;
  [[nodiscard]] std::vector<Counter> extended_stats() override;
  [[nodiscard]] Result<Duration> service() override;

 private:
  Port(std::shared_ptr<ContextState> context, PortInfo info, MacAddress mac, std::unique_ptr<Medium> medium);

  [[nodiscard]] Result<void> expect(std::initializer_list<PortState> states, std::string_view call) const;
  [[nodiscard]] Result<void> close_queues();
  void setup_queues();
  void retire_queues() noexcept;
  [[nodiscard]] RxCounters received(std::vector<QueueStats>& queues) const;
  [[nodiscard]] TxCounters transmitted(std::vector<QueueStats>& queues) const;

  std::shared_ptr<ContextState> context_;
  std::unique_ptr<Medium> medium_;
  PortInfo info_;
  PortState state_ = PortState::opened;
  Error failure_;  // why it is failed
  MacAddress mac_{};
  Plan plan_;
  // How many queues `plan_` has, for those who read counters.
  std::atomic<std::uint16_t> rx_queues_ = 0;
  std::atomic<std::uint16_t> tx_queues_ = 0;
};

/// A locally administered address that is always the same for the same name (IEEE 802, 8.4: bit 1 of the first byte).
[[nodiscard]] MacAddress mac_for(std::string_view name) noexcept;

}  // namespace pollux::ports
