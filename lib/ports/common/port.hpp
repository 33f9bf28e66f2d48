// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mem/context_state.hpp"
#include "net/validated_config.hpp"
#include "pollux/net/port_driver.hpp"
#include "ports/common/medium.hpp"

namespace pollux::ports {

/// The driver of all software ports. It drives a Medium and its queues.
class Port final : public PortDriver, private QueueRestart {
 public:
  /// Error: no_memory if the Context has no free port number.
  [[nodiscard]] static Result<std::unique_ptr<PortDriver>> create(Context& context, std::string name, MacAddress mac,
                                                                  std::unique_ptr<Medium> medium);

  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] MacAddress permanent_mac() const override { return mac_; }

  [[nodiscard]] Result<void> configure(const ValidatedConfig& config) override;
  [[nodiscard]] pollux::RxQueue* rx_queue(std::uint16_t index) override;
  [[nodiscard]] pollux::TxQueue* tx_queue(std::uint16_t index) override;

  [[nodiscard]] Result<void> start() override;
  void open_queues() noexcept override;
  [[nodiscard]] Result<void> close_queues(Duration limit) override;
  [[nodiscard]] Result<void> halt() override;

  [[nodiscard]] Result<void> check(const Settings& from, const Settings& to) override {
    return medium_->check(from, to);
  }
  [[nodiscard]] Result<void> apply(const Settings* from, const Settings& to) override;

  [[nodiscard]] Link link() override;
  [[nodiscard]] Stats stats() override;
  void append_counters(std::vector<Counter>& counters) override { medium_->append(counters); }
  [[nodiscard]] Result<Duration> service() override;

  [[nodiscard]] QueueRestart* queue_restart() noexcept override { return this; }
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override {
    return medium_->capabilities();
  }
  [[nodiscard]] Result<void> release(bool failed) override;
  void retire() noexcept override;
  void abandon() noexcept override;

 private:
  Port(std::shared_ptr<ContextState> context, PortInfo info, MacAddress mac, std::unique_ptr<Medium> medium);

  [[nodiscard]] Result<void> prepare(QueueId queue, const ValidatedConfig& next, bool running) override;
  void discard() noexcept override;
  [[nodiscard]] Result<void> close_queue(QueueId queue, Duration limit) override;
  [[nodiscard]] Result<void> halt_queue(QueueId) override { return {}; }
  void exchange(QueueId queue) noexcept override;
  [[nodiscard]] Result<void> start_queue(QueueId) override { return {}; }
  void open_queue(QueueId queue) noexcept override;

  [[nodiscard]] Result<void> close_result(Result<void> closed) const;
  void setup_queues();
  void retire_queues() noexcept;
  [[nodiscard]] RxCounters received(std::vector<QueueStats>& queues) const;
  [[nodiscard]] TxCounters transmitted(std::vector<QueueStats>& queues) const;

  std::shared_ptr<ContextState> context_;
  std::shared_ptr<Medium> medium_;
  PortInfo info_;
  MacAddress mac_{};
  ValidatedConfig config_;
  bool medium_started_ = false;
  ValidatedConfig next_;  // prepared for a restart, with the queue's cache
  std::shared_ptr<MempoolCacheCore> next_cache_;
  // The numbers of queues in `config_`, for threads that read counters.
  std::atomic<std::uint16_t> rx_queues_ = 0;
  std::atomic<std::uint16_t> tx_queues_ = 0;
};

/// A locally administered MAC address that depends only on `name` (IEEE 802, 8.4: bit 1 of the first byte).
[[nodiscard]] MacAddress mac_for(std::string_view name) noexcept;

}  // namespace pollux::ports
