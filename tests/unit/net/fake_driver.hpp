// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::test {

/// What a test reads from its driver and tells it to do; it outlives the port.
struct FakeCard {
  std::atomic<int> services{0};
  std::atomic<bool> removed{false};
  std::atomic<bool> faulty{false};
  std::atomic<std::uint32_t> speed{0};  ///< of its link; 0: down
  std::atomic<bool> stuck{false};       ///< closing a started port fails
  std::atomic<bool> overlapped{false};  ///< two calls ran at the same time
  std::atomic<bool> destroyed{false};
  std::vector<int> events;
  std::function<void()> during_start;         ///< called by `start`, unless empty
  std::vector<CapabilityEntry> capabilities;  ///< besides the driver's own
  PortLimits limits{
      .max_rx_queues = 1, .max_tx_queues = 1, .min_ring = 8, .max_ring = 512, .min_mtu = 68, .max_mtu = 1500};
};

/// A capability that only an outside driver knows. Its next version has another interface.
struct Radio {
  static constexpr CapabilityId kId{"radio"};
  int channel = 7;
};
struct NextRadio {
  static constexpr CapabilityId kId{"radio", 2};
};

/// A driver that does nothing but detect two simultaneous calls.
class FakeDriver final : public PortDriver {
 public:
  static constexpr Duration kWithin = std::chrono::seconds(10);

  FakeDriver(std::shared_ptr<FakeCard> card, std::string name) : card_(std::move(card)) {
    info_.name = std::move(name);
    info_.limits = card_->limits;
    capabilities_.insert(capabilities_.end(), card_->capabilities.begin(), card_->capabilities.end());
  }
  ~FakeDriver() override { card_->destroyed = true; }

  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override { return capabilities_; }
  [[nodiscard]] MacAddress permanent_mac() const override { return {2, 0, 0, 0, 0, 1}; }
  [[nodiscard]] Result<void> configure(const PlacedSettings&) override { return alone(Result<void>()); }
  [[nodiscard]] Result<void> start() override {
    if (card_->during_start) card_->during_start();
    return alone(Result<void>());
  }
  void open_queues() noexcept override {}
  [[nodiscard]] Result<void> close_queues(Duration) override {
    if (card_->stuck) return fail(ErrorCode::busy, info_.name + ": a poller is inside");
    return alone(Result<void>());
  }
  [[nodiscard]] Result<void> halt() override { return alone(Result<void>()); }
  [[nodiscard]] Result<void> apply(const PlacedSettings*, const PlacedSettings&) override {
    return alone(Result<void>());
  }
  [[nodiscard]] Link link() override { return alone(Link{.up = card_->speed != 0, .speed = card_->speed}); }
  [[nodiscard]] Stats stats() override { return alone(Stats{}); }
  void append_counters(std::vector<Counter>&) override {}
  [[nodiscard]] Result<Duration> service() override {
    ++card_->services;
    if (card_->faulty) return fail(ErrorCode::device_fault, info_.name + ": the card does not answer", "reset it");
    if (!card_->removed) return alone(Result<Duration>(kWithin));
    return fail(ErrorCode::device_removed, info_.name + ": the card was removed", "open it again");
  }
  [[nodiscard]] std::vector<int> events() const override { return card_->events; }
  [[nodiscard]] Result<void> release(bool) override { return alone(Result<void>()); }
  void retire() noexcept override {}

 private:
  /// Takes some time, so that a simultaneous call is detected.
  template <class Answer>
  Answer alone(Answer answer) const {
    if (inside_.exchange(true)) card_->overlapped = true;
    std::this_thread::yield();
    inside_ = false;
    return answer;
  }

  Radio radio_;
  std::vector<CapabilityEntry> capabilities_{offer<Radio>(radio_)};
  std::shared_ptr<FakeCard> card_;
  PortInfo info_;
  mutable std::atomic<bool> inside_{false};
};

[[nodiscard]] inline ContextOptions on(std::shared_ptr<Clock> clock, bool control_thread = false) {
  ContextOptions options;
  options.clock = std::move(clock);
  options.huge_pages = HugePages::never;
  options.control_thread = control_thread;
  return options;
}

/// A configuration for the fake port: it has no pool.
[[nodiscard]] inline Settings sending_only() { return {.rx = {}}; }

}  // namespace pollux::test
