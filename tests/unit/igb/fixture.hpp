// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/sim/device.hpp"
#include "backends/sim/wire.hpp"
#include "drivers/intel/igb/driver.hpp"
#include "mem/context_state.hpp"
#include "models/intel/igb/card.hpp"
#include "net/port_machine.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/faulty_device.hpp"

namespace pollux::drivers::igb {

namespace reg = hw::igb;

/// A card on an open wire, a manual clock, a Context and a pool.
struct IgbFixture {
  explicit IgbFixture(models::igb::CardOptions options = {}, MempoolOptions pool_options = {.count = 1024})
      : wire(sim::Wire::create(
            *clock, std::make_unique<models::igb::Card>(used_before(std::move(options))),
            [this](std::span<const std::byte> frame) { sent.emplace_back(frame.begin(), frame.end()); })),
        pool(Mempool::create(context, std::move(pool_options)).value()) {}

  [[nodiscard]] static models::igb::CardOptions used_before(models::igb::CardOptions options) {
    options.used_before = true;
    return options;
  }
  [[nodiscard]] std::unique_ptr<Device> device() {
    auto inner = sim::SimDevice::create(context, "sim:0", wire, 0);
    EXPECT_TRUE(inner) << inner.error().message();
    (*inner)->dma_domain().set_read_latency(read_latency);
    sim_device = inner->get();
    return std::make_unique<FaultyDevice>(*std::move(inner), faults);
  }
  /// Opens a port. Fails the test if that is not possible.
  [[nodiscard]] std::unique_ptr<PortMachine> open() {
    auto port = probe(context, device());
    EXPECT_TRUE(port) << port.error().message();
    return port ? std::make_unique<PortMachine>(context.state(), *std::move(port)) : nullptr;
  }
  [[nodiscard]] Settings config() const { return {.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}}; }
  [[nodiscard]] std::unique_ptr<PortMachine> started() { return started(config()); }
  [[nodiscard]] std::unique_ptr<PortMachine> started(const Settings& config) {
    auto port = open();
    if (port == nullptr) return port;
    const auto configured = test::configure_port(*port, config);
    EXPECT_TRUE(configured) << configured.error().message();
    const auto up = port->start();
    EXPECT_TRUE(up) << up.error().message();
    clock->advance(std::chrono::seconds(1));
    return port;
  }

  template <class R>
  [[nodiscard]] typename R::Value value(std::uint32_t index = 0) {
    return wire->with_card(
        0, [&](DeviceModel& card) { return static_cast<models::igb::Card&>(card).registers().get<R>(index); });
  }
  template <class Work>
  auto with_card(Work work) {
    return wire->with_card(0, [&](DeviceModel& card) { return work(static_cast<models::igb::Card&>(card)); });
  }
  [[nodiscard]] bool all_mbufs_free() const { return pool.stats().in_use() == 0; }
  [[nodiscard]] bool has_logged(const std::string& text) const {
    for (const std::string& line : log) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::vector<std::string> log;
  std::vector<std::vector<std::byte>> sent;
  Context context{{.clock = clock,
                   .log = [this](LogLevel, std::string_view line) { log.emplace_back(line); },
                   .huge_pages = HugePages::never,
                   .arena_size = std::size_t{1} << 30}};
  Duration read_latency{0};  ///< of the memory, for devices that are created from now on
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  sim::SimDevice* sim_device = nullptr;  ///< of the last call of `device`, while that exists
  std::shared_ptr<sim::Wire> wire;
  Mempool pool;
};

/// A broadcast frame of `bytes` bytes (without FCS) with counting content.
[[nodiscard]] inline std::vector<std::byte> broadcast(std::size_t bytes, unsigned seed = 0) {
  std::vector<std::byte> frame(bytes);
  for (std::size_t i = 0; i < bytes; ++i) frame[i] = static_cast<std::byte>(i + seed);
  for (std::size_t i = 0; i < 6; ++i) frame[i] = std::byte{0xFF};
  frame[12] = std::byte{0x88};
  frame[13] = std::byte{0xB5};
  return frame;
}

}  // namespace pollux::drivers::igb
