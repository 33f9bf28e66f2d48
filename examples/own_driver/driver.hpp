// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <pollux/pollux.hpp>

#include "own_driver/queues.hpp"
#include "own_driver/registers.hpp"

namespace own_driver {

/// The row for `pollux::add_driver`.
[[nodiscard]] pollux::CardDriver driver();

struct Queues {
  RxQueue rx;
  TxQueue tx;
};

/// A port of the invented card. Each function is one step that the library calls after it has checked the state.
class Port final : public pollux::PortDriver {
 public:
  [[nodiscard]] static pollux::Result<std::unique_ptr<pollux::PortDriver>> probe(
      pollux::Context& context, std::unique_ptr<pollux::Device> device);

  [[nodiscard]] const pollux::PortInfo& info() const override { return info_; }
  [[nodiscard]] pollux::MacAddress permanent_mac() const override { return mac_; }

  [[nodiscard]] pollux::Result<void> configure(const pollux::ValidatedConfig& config) override;
  [[nodiscard]] pollux::RxQueue* rx_queue(std::uint16_t index) override {
    return index < rx_queues_ ? &queues_->rx : nullptr;
  }
  [[nodiscard]] pollux::TxQueue* tx_queue(std::uint16_t index) override {
    return index < tx_queues_ ? &queues_->tx : nullptr;
  }

  [[nodiscard]] pollux::Result<void> start() override;
  void open_queues() noexcept override;
  [[nodiscard]] pollux::Result<void> close_queues(pollux::Duration limit) override;
  [[nodiscard]] pollux::Result<void> halt() override;

  [[nodiscard]] pollux::Result<void> apply(const pollux::Settings* from, const pollux::Settings& to) override;
  [[nodiscard]] pollux::Link link() override;

  [[nodiscard]] pollux::Stats stats() override;
  void append_counters(std::vector<pollux::Counter>&) override {}
  [[nodiscard]] pollux::Result<pollux::Duration> service() override;

  [[nodiscard]] pollux::Result<void> release(bool failed) override;
  void retire() noexcept override { rx_queues_ = tx_queues_ = 0; }
  void abandon() noexcept override;

 private:
  Port(pollux::Context& context, std::unique_ptr<pollux::Device> device, const pollux::Bar& bar, std::uint16_t index);

  pollux::Context& context_;
  std::unique_ptr<pollux::Device> device_;
  pollux::Bar bar_;
  pollux::PortInfo info_;
  pollux::MacAddress mac_{};
  std::uint16_t rx_queues_ = 0;
  std::uint16_t tx_queues_ = 0;
  std::shared_ptr<Queues> queues_ = std::make_shared<Queues>();
};

}  // namespace own_driver
