// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/port_machine.hpp"
#include "pollux/mem/context.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {

/// What a test tells its driver to do, and the calls that the driver got.
struct Script {
  std::vector<std::string> calls;
  std::optional<ErrorCode> start, halt, close_queues, service, release;
  std::optional<ErrorCode> configure, check, pause;
  std::vector<ErrorCode> apply;  // errors of the next calls, the last one first
  std::optional<ErrorCode> prepare, close_queue, halt_queue, start_queue;
  bool restarts = true;
  bool harmless = true;
  Settings settings;
  PortDriver* driver = nullptr;  ///< until it is destroyed

  Result<void> note(std::string call, const std::optional<ErrorCode>& error = std::nullopt) {
    calls.push_back(std::move(call));
    return error ? Result<void>(fail(*error, calls.back() + " failed")) : Result<void>();
  }
};

class ScriptedDriver final : public PortDriver, private QueueRestart {
 public:
  ScriptedDriver(Script& script, std::uint16_t index) : script_(script) {
    info_.name = "fake:0";
    info_.card = "a fake";
    for (const Setting one : {Setting::vlan_stripping, Setting::led}) info_.supports.insert(one);
    info_.index = index;
    info_.limits = {.max_tx_queues = 2, .min_ring = 8, .max_ring = 512, .min_mtu = 68, .max_mtu = 9000};
    info_.limits.rings_hold_buffers = true;
    script_.driver = this;
  }
  ~ScriptedDriver() override { script_.driver = nullptr; }
  [[nodiscard]] const PortInfo& info() const override { return info_; }
  [[nodiscard]] MacAddress permanent_mac() const override { return {2, 0, 0, 0, 0, 1}; }
  [[nodiscard]] Result<void> configure(const PlacedSettings&) override {
    return script_.note("configure", script_.configure);
  }
  [[nodiscard]] Result<void> fill() override { return script_.note("fill"); }
  [[nodiscard]] QueueRestart* queue_restart() noexcept override { return script_.restarts ? this : nullptr; }
  [[nodiscard]] Result<void> prepare(QueueId, const PlacedSettings&, bool) override {
    return script_.note("prepare", script_.prepare);
  }
  void discard() noexcept override { static_cast<void>(script_.note("discard")); }
  [[nodiscard]] Result<void> close_queue(QueueId queue, Duration) override {
    return script_.note("close_queue " + std::to_string(queue.index), script_.close_queue);
  }
  [[nodiscard]] Result<void> halt_queue(QueueId) override { return script_.note("halt_queue", script_.halt_queue); }
  void exchange(QueueId) noexcept override { static_cast<void>(script_.note("exchange")); }
  [[nodiscard]] Result<void> start_queue(QueueId) override { return script_.note("start_queue", script_.start_queue); }
  void open_queue(QueueId) noexcept override { static_cast<void>(script_.note("open_queue")); }
  [[nodiscard]] Result<void> start() override {
    script_.settings = settings();
    return script_.note("start", script_.start);
  }
  void open_queues() noexcept override { static_cast<void>(script_.note("open_queues")); }
  [[nodiscard]] Result<void> close_queues(Duration) override {
    return script_.note("close_queues", script_.close_queues);
  }
  [[nodiscard]] Result<void> halt() override { return script_.note("halt", script_.halt); }
  std::uint32_t drain(DrainReason reason) noexcept override {
    static_cast<void>(script_.note(reason == DrainReason::stopped ? "drain" : "drain removed"));
    return 7;
  }
  [[nodiscard]] Result<void> check(const PlacedSettings&, PlacedSettings&) override {
    return script_.check ? fail(*script_.check, "check failed") : Result<void>();
  }
  [[nodiscard]] Result<void> pause(Duration) override { return script_.note("pause", script_.pause); }
  void unpause() noexcept override { static_cast<void>(script_.note("unpause")); }
  [[nodiscard]] Result<void> apply(const PlacedSettings* from, const PlacedSettings& to) override {
    std::string call = "apply";
    if (from->mac != to.mac) call += " mac";
    if (from->mtu != to.mtu) call += " mtu " + std::to_string(to.mtu);
    if (from->promiscuous != to.promiscuous) call += " promiscuous";
    if (from->all_multicast != to.all_multicast) call += " all_multicast";
    if (from->vlan_stripping != to.vlan_stripping) call += " stripping";
    if (from->led != to.led) call += " led";
    EXPECT_EQ(&to, &settings()) << "they are in force already";
    const auto error = script_.apply.empty() ? std::nullopt : std::optional(script_.apply.back());
    if (error) script_.apply.pop_back();
    return script_.note(std::move(call), error);
  }
  [[nodiscard]] Link link() override { return {.up = true}; }
  [[nodiscard]] Stats stats() override { return {}; }
  void append_counters(std::vector<Counter>&) override {}
  [[nodiscard]] Result<Duration> service() override {
    if (auto well = script_.note("service", script_.service); !well) return pass_on(std::move(well));
    return Duration(1);
  }
  [[nodiscard]] bool make_harmless() override { return script_.harmless; }
  [[nodiscard]] Result<void> release(bool failed) override {
    return script_.note(failed ? "release failed" : "release", script_.release);
  }
  void retire() noexcept override { static_cast<void>(script_.note("retire")); }

 private:
  Script& script_;
  PortInfo info_;
};

class Machine : public testing::Test {
 protected:
  void open() {
    port_ = std::make_unique<PortMachine>(
        context_.state(), std::make_unique<ScriptedDriver>(script_, context_.state()->take_port_index()));
  }
  void start() {
    open();
    ASSERT_TRUE(configure_port(*port_, {.rx = {}}));
    ASSERT_TRUE(port_->start());
    script_.calls.clear();
  }
  [[nodiscard]] std::uint64_t removed_buffers() {
    for (const Counter& counter : port_->extended_stats()) {
      if (counter.name == "removed_buffers") return counter.value;
    }
    return ~std::uint64_t{0};
  }

  Script script_;
  Context context_{{.huge_pages = HugePages::never}};
  std::unique_ptr<PortMachine> port_;
};

}  // namespace pollux::test
