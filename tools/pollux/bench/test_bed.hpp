// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/forwarder.hpp"
#include "bench/port_plan.hpp"
#include "pollux/pollux.hpp"

namespace pollux::tool::bench {

struct TestBedOptions {
  PortPlan ports;
  DeviceUnderTest device;
  std::optional<std::uint64_t> line_rate;  ///< bits per second; empty: that of the wire or of the slower link
  std::uint32_t max_size = 1518;           ///< bytes of the largest frame, with the frame check sequence
  Duration link_limit = std::chrono::seconds(10);
  LogCallback log = {};
};

/// The started ports around a device under test, their memory and their time. Thread rule: one thread.
class TestBed {
 public:
  /// Opens and starts the ports, and waits for their links. Errors: those of the library.
  [[nodiscard]] static Result<std::unique_ptr<TestBed>> open(const TestBedOptions& options);

  [[nodiscard]] Port& sending() noexcept { return ports_.front(); }
  [[nodiscard]] Port& receiving() noexcept { return ports_.back(); }
  [[nodiscard]] MempoolCache& cache() noexcept { return *cache_; }
  [[nodiscard]] bool virtual_time() const noexcept { return manual_ != nullptr; }
  /// Bits per second, with preamble and gap.
  [[nodiscard]] std::uint64_t line_rate() const noexcept { return line_rate_; }

  [[nodiscard]] Time now() const { return context_->clock().now(); }
  /// Lets the forwarder work.
  void poll_device(Time now) {
    if (forwarder_) forwarder_->poll(now);
  }
  /// When the forwarder has work next, and when `service` has.
  [[nodiscard]] Time device_next() const noexcept { return forwarder_ ? forwarder_->next() : Time::max(); }
  [[nodiscard]] Time service_due() const noexcept { return service_due_; }
  /// In virtual time: goes on to the next event, at most to `until`. In real time it returns at once.
  void wait(Time until);
  /// Runs what the library has to do now and then. Errors: a port failed.
  [[nodiscard]] Result<void> service(Time now);

 private:
  TestBed() = default;
  [[nodiscard]] Result<void> open_ports(const TestBedOptions& options);
  [[nodiscard]] Result<void> start(const TestBedOptions& options);
  [[nodiscard]] Time next_work() const;
  [[nodiscard]] Result<void> wait_for_links(const TestBedOptions& options);

  std::shared_ptr<ManualClock> manual_;  // empty: real time
  std::optional<Context> context_;
  std::optional<Mempool> pool_;
  std::optional<MempoolCache> cache_;
  std::vector<Port> ports_;
  std::vector<const Device*> cards_;  // of the ports, which own them; only in virtual time
  std::optional<Forwarder> forwarder_;
  std::uint64_t line_rate_ = 0;
  Time service_due_{0};
};

}  // namespace pollux::tool::bench
