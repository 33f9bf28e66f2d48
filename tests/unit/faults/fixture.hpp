// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/sim/device.hpp"
#include "backends/sim/wire.hpp"
#include "net/port_machine.hpp"
#include "pollux/device/fault.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port_driver.hpp"
#include "support/fixture.hpp"
#include "unit/faults/jump_clock.hpp"
#include "unit/faults/memory_watch.hpp"

namespace pollux::test {

/// The phases of a program that uses a port, in this order.
enum class Phase : std::uint8_t { open, configure, start, traffic, stop, close };
inline constexpr std::size_t kPhases = 6;
[[nodiscard]] std::string_view to_string(Phase phase) noexcept;

struct FaultFixtureOptions {
  FaultPlan device = {};
  MemoryFault memory = {};
  std::uint32_t pool = 160;  ///< mbufs
  std::size_t arena_size = std::size_t{1} << 30;
  /// Sets FaultPlan::action; `injection` counts from 0.
  std::function<void(class FaultFixture& fixture, std::uint64_t injection)> action = nullptr;
  std::function<void(class FaultFixture& fixture)> before_open = nullptr;  ///< damages the card before it is opened
  std::function<void(class FaultFixture& fixture)> before_recovery =
      nullptr;                  ///< repairs the card before it is opened again
  bool recovers = true;         ///< whether the card is opened again at the end
  bool may_refuse_dma = false;  ///< whether the card may access unmapped memory without a finding
};

/// A card with one fault, and a program that opens it, receives and sends frames, stops and closes it.
/// It also checks the conditions that must hold with every fault. A violation is a finding.
class FaultFixture {
 public:
  static constexpr std::uint32_t kRing = 16;

  explicit FaultFixture(const FaultFixtureOptions& options);
  ~FaultFixture();

  /// Runs the whole program. Then opens the card again without the fault and checks that it carries frames.
  void run();

  /// The result for the user, such as "start: timeout" or "works, rx_bad_length".
  [[nodiscard]] const std::string& outcome() const noexcept { return outcome_; }
  /// Descriptions of violated conditions; empty if there are none.
  [[nodiscard]] const std::vector<std::string>& findings() const noexcept { return findings_; }

  [[nodiscard]] FaultInjector& faults() noexcept { return *faults_; }
  [[nodiscard]] MemoryWatch& memory() noexcept { return watch_; }
  [[nodiscard]] sim::Wire& wire() noexcept { return *wire_; }
  [[nodiscard]] JumpClock& clock() noexcept { return *clock_; }
  [[nodiscard]] TestCard card() noexcept { return TestCard(*wire_, 0); }
  [[nodiscard]] Mempool* pool() noexcept { return pool_ ? &*pool_ : nullptr; }
  [[nodiscard]] const std::vector<std::string>& log() const noexcept { return log_; }

  /// Occurrences of each fault point up to the end of a phase.
  struct PointCounts {
    std::array<std::uint64_t, kFaultPoints> device{};
    std::array<std::uint64_t, kModelAccessKinds> memory{};
  };
  [[nodiscard]] const PointCounts& points_after(Phase phase) const { return points_[static_cast<std::size_t>(phase)]; }
  /// The duration of a phase in virtual time.
  [[nodiscard]] Duration time_of(Phase phase) const { return times_[static_cast<std::size_t>(phase)]; }

 private:
  [[nodiscard]] FaultPlan plan_of(const FaultFixtureOptions& options);
  void enter(Phase phase);
  [[nodiscard]] std::unique_ptr<Device> make_device(bool with_fault);
  void open();
  void start();
  void traffic();
  void stop();
  void close();
  void check_end();
  [[nodiscard]] std::string describe() const;
  void recover();

  void await_link();
  void receive(std::span<const std::size_t> sizes);
  void poll();
  void check_frame(MbufPtr frame);
  [[nodiscard]] std::uint32_t held_mbufs() const;
  void send(std::size_t frames);
  [[nodiscard]] MbufPtr make_frame(std::size_t bytes, std::size_t segment_bytes);
  void control();
  void check_conservation();
  void release_held();
  /// Lets the card process its due events.
  void settle();
  /// Returns whether `result` is a success. Records an error as part of the outcome.
  template <class T>
  bool good(const Result<T>& result, std::string_view call);
  void finding(std::string what);

  const FaultFixtureOptions options_;
  std::shared_ptr<JumpClock> clock_ = std::make_shared<JumpClock>();
  std::vector<std::string> log_;
  std::vector<Frame> sent_;
  std::shared_ptr<FaultInjector> faults_;
  std::optional<Context> context_;
  MemoryWatch watch_;
  std::optional<Mempool> pool_;
  std::shared_ptr<sim::Wire> wire_;
  std::unique_ptr<PortMachine> port_;

  struct Held {
    MbufPtr mbuf;
    Frame content;
  };
  std::vector<Held> held_;
  std::vector<Frame> injected_;
  std::size_t matched_ = 0;  // index in injected_ after the last frame that was received
  std::uint64_t received_ = 0;
  std::uint64_t phantoms_ = 0;
  std::uint64_t phantoms_total_ = 0;
  std::uint64_t handed_out_ = 0;
  std::uint64_t offered_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t left_over_ = 0;
  bool no_link_ = false;
  bool failed_ = false;
  bool uncounted_ = false;  // a frame arrived, and the port neither delivered nor counted it
  bool unsent_ = false;     // a frame was accepted, and neither sent nor counted
  Stats last_stats_;

  Phase phase_ = Phase::open;
  Duration entered_{0};
  std::array<PointCounts, kPhases> points_{};
  std::array<Duration, kPhases> times_{};
  std::vector<std::string> errors_;
  std::string outcome_;
  std::vector<std::string> findings_;
};

}  // namespace pollux::test
