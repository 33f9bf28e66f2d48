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

/// What a program does with a port, in this order.
enum class Phase : std::uint8_t { open, configure, start, traffic, stop, close };
inline constexpr std::size_t kPhases = 6;
[[nodiscard]] std::string_view to_string(Phase phase) noexcept;

struct RigOptions {
  FaultPlan device = {};
  MemoryFault memory = {};
  std::uint32_t pool = 160;  ///< mbufs
  std::size_t arena_size = std::size_t{1} << 30;
  /// In place of FaultPlan::action; `strike` counts from 0.
  std::function<void(class Fixture& fixture, std::uint64_t strike)> action = nullptr;
  std::function<void(class Fixture& fixture)> at_begin = nullptr;  ///< breaks the card before it is opened
  std::function<void(class Fixture& fixture)> at_end = nullptr;    ///< mends what has been left behind on the card
  bool recovers = true;                                            ///< the card is opened again at the end
  bool may_refuse_dma = false;  ///< the card may be refused memory without that being a finding
};

/// A card with one fault, and a program that opens it, moves frames both ways, stops and closes it, whatever happens.
/// Everything that must hold whatever the fault is checked on the way and is a finding if it does not.
class Fixture {
 public:
  static constexpr std::uint32_t kRing = 16;

  explicit Fixture(const RigOptions& options);
  ~Fixture();

  /// The whole program, then the same again on the card as it was left and without the fault.
  void run();

  /// What the user got, such as "start: timeout" or "works, rx_bad_length".
  [[nodiscard]] const std::string& outcome() const noexcept { return outcome_; }
  /// What must not be, one a line; empty if all is well.
  [[nodiscard]] const std::vector<std::string>& findings() const noexcept { return findings_; }

  [[nodiscard]] FaultInjector& faults() noexcept { return *faults_; }
  [[nodiscard]] MemoryWatch& memory() noexcept { return watch_; }
  [[nodiscard]] sim::Wire& wire() noexcept { return *wire_; }
  [[nodiscard]] JumpClock& clock() noexcept { return *clock_; }
  [[nodiscard]] LabCard card() noexcept { return LabCard(*wire_, 0); }
  [[nodiscard]] Mempool* pool() noexcept { return pool_ ? &*pool_ : nullptr; }
  [[nodiscard]] const std::vector<std::string>& log() const noexcept { return log_; }

  /// Places that had come by when a phase ended.
  struct Places {
    std::array<std::uint64_t, kFaultPoints> device{};
    std::array<std::uint64_t, kMemoryPlaces> memory{};
  };
  [[nodiscard]] const Places& places_after(Phase phase) const { return places_[static_cast<std::size_t>(phase)]; }
  /// Virtual time that the calls of a phase took.
  [[nodiscard]] Duration time_of(Phase phase) const { return times_[static_cast<std::size_t>(phase)]; }

 private:
  [[nodiscard]] FaultPlan plan_of(const RigOptions& options);
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
  void judge(MbufPtr frame);
  [[nodiscard]] std::uint32_t held_mbufs() const;
  void send(std::size_t frames);
  [[nodiscard]] MbufPtr make_frame(std::size_t bytes, std::size_t segment_bytes);
  void control();
  void check_conservation();
  void release_held();
  /// Lets the card do what is due.
  void settle();
  /// Notes an error that the user got; the first of each phase counts.
  template <class T>
  bool good(const Result<T>& result, std::string_view call);
  void finding(std::string what);

  const RigOptions options_;
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
  std::size_t matched_ = 0;  // of injected_, up to the last that was received
  std::uint64_t received_ = 0;
  std::uint64_t phantoms_ = 0;
  std::uint64_t phantoms_total_ = 0;
  std::uint64_t handed_out_ = 0;
  std::uint64_t offered_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t left_over_ = 0;
  bool no_link_ = false;
  bool failed_ = false;
  bool unnamed_ = false;  // a frame was on the wire, and the port neither handed it out nor counted it
  bool unsent_ = false;   // a frame was taken, and neither sent nor counted
  Stats last_stats_;

  Phase phase_ = Phase::open;
  Duration entered_{0};
  std::array<Places, kPhases> places_{};
  std::array<Duration, kPhases> times_{};
  std::vector<std::string> errors_;
  std::string outcome_;
  std::vector<std::string> findings_;
};

}  // namespace pollux::test
