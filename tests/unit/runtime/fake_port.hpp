// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "fake_queue.hpp"
#include "keeping_queue.hpp"
#include "pollux/net/kernel_interface.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::test {

/// What a test sets of its port, and reads from it; it outlives the port.
struct FakePortState {
  OffloadLimits offloads = {};
  std::uint32_t max_mtu = 9000;
  MacAddress mac{2, 0, 0, 0, 0, 1};
  bool link = true;
  bool promiscuous = false;
  bool all_multicast = false;
  KeepingQueue tx;
  // The interface of the kernel.
  bool has_interface = false;
  MacAddress interface_mac{2, 0, 0, 0, 0, 9};
  bool rejects_mac = false;
  bool carrier = true;
};

/// A port whose frames the test sees, and whose offloads, link and interface it sets. It receives nothing.
class FakePortDriver final : public PortDriver, private KernelInterface {
 public:
  FakePortDriver(FakePortState& state, MempoolCache& cache, std::string name) : state_(state), rx_(cache) {
    info_.name = std::move(name);
    info_.offloads = state.offloads;
    info_.limits = {.max_rx_queues = 1,
                    .max_tx_queues = 2,
                    .min_ring = 8,
                    .max_ring = 512,
                    .min_mtu = 68,
                    .max_mtu = state.max_mtu,
                    .max_rx_segments = 255};
    info_.supports.insert(Setting::keep_fcs);
    queues_.rx = {&rx_};
    queues_.tx = {&state_.tx, &state_.tx};
  }

  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] MacAddress permanent_mac() const override { return state_.mac; }
  [[nodiscard]] Result<void> configure(const PlacedSettings& settings) override {
    queues_.rx_count = settings.queues.rx_queues();
    queues_.tx_count = settings.queues.tx_queues();
    return {};
  }
  [[nodiscard]] Result<void> start() override { return {}; }
  void open_queues() noexcept override {}
  [[nodiscard]] Result<void> close_queues(Duration) override { return {}; }
  [[nodiscard]] Result<void> halt() override { return {}; }
  [[nodiscard]] Result<void> apply(const PlacedSettings*, const PlacedSettings& to) override {
    state_.promiscuous = to.promiscuous;
    state_.all_multicast = to.all_multicast;
    return {};
  }
  [[nodiscard]] Link link() override { return {.up = state_.link, .speed = 1000}; }
  [[nodiscard]] Stats stats() override { return {}; }
  void append_counters(std::vector<Counter>&) override {}
  [[nodiscard]] Result<Duration> service() override { return std::chrono::seconds(10); }
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept override {
    return std::span(capabilities_).first(state_.has_interface ? 1 : 0);
  }
  [[nodiscard]] Result<void> release(bool) override { return {}; }
  void retire() noexcept override { queues_.rx_count = queues_.tx_count = 0; }

 private:
  [[nodiscard]] std::string interface_name() const override { return "fake0"; }
  [[nodiscard]] Result<MacAddress> interface_mac() const override { return state_.interface_mac; }
  [[nodiscard]] Result<void> set_interface_mac(const MacAddress& mac) override {
    if (state_.rejects_mac) return fail(ErrorCode::permission_denied, "fake0: cannot set its address", "be root");
    state_.interface_mac = mac;
    return {};
  }
  [[nodiscard]] Result<void> set_interface_carrier(bool on) override {
    state_.carrier = on;
    return {};
  }
  [[nodiscard]] Result<void> add_interface_address(const InterfaceAddress&) override { return {}; }

  FakePortState& state_;
  std::array<CapabilityEntry, 1> capabilities_{offer<KernelInterface>(*this)};
  PortInfo info_;
  FakeQueue rx_;
};

}  // namespace pollux::test
