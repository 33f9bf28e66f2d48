// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "backends/sim/wire.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::sim {

/// A card that records each received frame and its time. The test sends frames with `send`.
class ProbeCard final : public DeviceModel {
 public:
  struct Arrival {
    std::vector<std::byte> bytes;
    Duration at{0};
    bool corrupt = false;
    friend bool operator==(const Arrival&, const Arrival&) = default;
  };

  [[nodiscard]] PciIdentity identity() const override { return {}; }
  [[nodiscard]] std::size_t bar_size(unsigned) const override { return 0; }
  [[nodiscard]] std::uint32_t read32(unsigned, std::uint32_t) noexcept override { return 0; }
  void write32(unsigned, std::uint32_t, std::uint32_t) noexcept override {}
  void set_dma(ModelDma*) noexcept override {}
  void reset() noexcept override {}
  void advance(Duration now) noexcept override { now_ = now; }
  [[nodiscard]] Duration next_event() const noexcept override { return Duration::max(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return 0; }
  void on_interrupt(std::function<void(unsigned)>) override {}
  void on_transmit(WireHandler handler) override { send_ = std::move(handler); }
  void set_carrier(bool) noexcept override {}
  void receive(std::span<const std::byte> frame) noexcept override {
    arrivals_.push_back({{frame.begin(), frame.end()}, now_, false});
  }
  void receive_corrupt(std::span<const std::byte> frame) noexcept override {
    arrivals_.push_back({{frame.begin(), frame.end()}, now_, true});
  }
  [[nodiscard]] bool can_receive() const noexcept override { return ready_; }
  void set_wire_busy(bool busy) noexcept override {
    busy_ = busy;
    times_paused_ += busy ? 1 : 0;
  }

  void send(std::span<const std::byte> frame) { send_(frame); }

  std::vector<Arrival> arrivals_;
  bool ready_ = true;
  bool busy_ = false;
  int times_paused_ = 0;

 private:
  WireHandler send_;
  Duration now_{0};
};

/// Two ProbeCards on a wire, both claimed, in virtual time.
struct ProbePair {
  explicit ProbePair(const WireOptions& options) {
    auto left_owner = std::make_unique<ProbeCard>();
    auto right_owner = std::make_unique<ProbeCard>();
    left = left_owner.get();
    right = right_owner.get();
    wire = Wire::create(clock, std::move(left_owner), std::move(right_owner), options);
    claimed = wire->claim(0) && wire->claim(1);
  }
  /// A frame with `number` in its first two bytes.
  [[nodiscard]] static std::vector<std::byte> frame(unsigned number, std::size_t bytes = 60) {
    std::vector<std::byte> result(bytes, std::byte{0x5A});
    result[0] = static_cast<std::byte>(number >> 8);
    result[1] = static_cast<std::byte>(number & 0xFF);
    return result;
  }
  void send(unsigned number, std::size_t bytes = 60) {
    wire->with_card(0, [&](DeviceModel&) { left->send(frame(number, bytes)); });
  }
  [[nodiscard]] std::vector<unsigned> numbers() const {
    std::vector<unsigned> result;
    for (const ProbeCard::Arrival& arrival : right->arrivals_) {
      result.push_back(std::to_integer<unsigned>(arrival.bytes[0]) << 8 | std::to_integer<unsigned>(arrival.bytes[1]));
    }
    return result;
  }
  /// True if the counters account for every frame that was sent.
  [[nodiscard]] bool conserved() const {
    const WireCounters counters = wire->counters(0);
    return counters.entered + counters.duplicated == counters.carried + counters.lost + counters.dropped_unopened +
                                                         counters.dropped_overflow + counters.dropped_link_partner +
                                                         counters.in_flight;
  }

  ManualClock clock;
  ProbeCard* left = nullptr;
  ProbeCard* right = nullptr;
  std::shared_ptr<Wire> wire;
  bool claimed = false;
};

}  // namespace pollux::sim
