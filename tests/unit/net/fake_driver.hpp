// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pollux/net/port_driver.hpp"

namespace pollux::test {

/// What a test sees of its driver and orders from it, also when the port is gone.
struct FakeCard {
  std::atomic<int> services{0};
  std::atomic<bool> removed{false};
  std::atomic<bool> stuck{false};       ///< closing a started port fails
  std::atomic<bool> overlapped{false};  ///< two calls at once
  std::atomic<bool> destroyed{false};
  std::vector<int> events;
};

/// A driver that does nothing but keep its state, and notices when two calls come at once.
class FakeDriver final : public PortDriver {
 public:
  static constexpr Duration kWithin = std::chrono::seconds(10);

  FakeDriver(std::shared_ptr<FakeCard> card, std::string name) : card_(std::move(card)) {
    info_.name = std::move(name);
  }
  ~FakeDriver() override { card_->destroyed = true; }

  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] PortState state() const override { return alone(state_); }
  [[nodiscard]] Result<void> configure(const PortConfig&) override { return enter(PortState::configured); }
  [[nodiscard]] Result<void> start() override { return enter(PortState::started); }
  [[nodiscard]] Result<void> stop() override { return enter(PortState::configured); }
  [[nodiscard]] Result<void> close() override {
    if (card_->stuck && state_ == PortState::started) return fail(ErrorCode::busy, info_.name + ": a poller is inside");
    return enter(PortState::closed);
  }
  [[nodiscard]] RxQueue* rx_queue(std::uint16_t) override { return nullptr; }
  [[nodiscard]] TxQueue* tx_queue(std::uint16_t) override { return nullptr; }
  [[nodiscard]] MacAddress mac() const override { return alone(MacAddress{}); }
  [[nodiscard]] Result<void> set_mac(const MacAddress&) override { return alone(Result<void>()); }
  [[nodiscard]] std::uint32_t mtu() const override { return alone(1500U); }
  [[nodiscard]] Result<void> set_mtu(std::uint32_t) override { return alone(Result<void>()); }
  [[nodiscard]] Result<void> set_promiscuous(bool) override { return alone(Result<void>()); }
  [[nodiscard]] Result<void> set_all_multicast(bool) override { return alone(Result<void>()); }
  [[nodiscard]] Link link() override { return alone(Link{}); }
  [[nodiscard]] Stats stats() override { return alone(Stats{}); }
  [[nodiscard]] std::vector<Counter> extended_stats() override { return alone(std::vector<Counter>{}); }
  [[nodiscard]] Result<Duration> service() override {
    ++card_->services;
    if (!card_->removed) return alone(Result<Duration>(kWithin));
    state_ = PortState::failed;
    return fail(ErrorCode::device_removed, info_.name + ": the card is gone", "open it again");
  }
  [[nodiscard]] std::vector<int> events() const override { return card_->events; }

 private:
  /// Takes a moment, so that another call at the same time is seen.
  template <class Answer>
  Answer alone(Answer answer) const {
    if (inside_.exchange(true)) card_->overlapped = true;
    std::this_thread::yield();
    inside_ = false;
    return answer;
  }
  Result<void> enter(PortState state) {
    state_ = state;
    return alone(Result<void>());
  }

  std::shared_ptr<FakeCard> card_;
  PortInfo info_;
  PortState state_ = PortState::opened;
  mutable std::atomic<bool> inside_{false};
};

}  // namespace pollux::test
