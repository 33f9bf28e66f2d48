// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "backends/sim/device.hpp"
#include "backends/sim/wire.hpp"
#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/card.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"

namespace pollux::test {

using Frame = std::vector<std::byte>;

/// A broadcast frame (without FCS) whose payload bytes count up from `seed`.
[[nodiscard]] Frame counting_frame(std::size_t bytes, unsigned seed = 0);
/// The bytes of all segments of `mbuf`.
[[nodiscard]] Frame content(const Mbuf& mbuf);

struct CardFixtureOptions {
  Settings port{.rx = {{.ring = 64}}, .tx = {{.ring = 64}}};  ///< its pool and cache are the CardFixture's
  MempoolOptions pool{.count = 1024};
  models::igb::CardOptions card{.used_before = true};
  bool start = true;  ///< false: the port is only opened; the test configures it
};

/// Gives a test access to the internals of an in-process card. Holds the wire's lock during each call.
class TestCard {
 public:
  TestCard(sim::Wire& wire, unsigned end) : wire_(wire), end_(end) {}

  template <class Work>
  auto with(Work work) {
    return wire_.with_card(end_, [&](DeviceModel& card) { return work(static_cast<models::igb::Card&>(card)); });
  }
  /// Writes back the next armed descriptor with the given values, which may be wrong. Returns false if none is armed.
  bool write_back(std::uint32_t queue, const hw::intel::rx::WriteBack& what);
  template <class R>
  [[nodiscard]] typename R::Value value(std::uint32_t index = 0) {
    return with([index](models::igb::Card& card) { return card.registers().get<R>(index); });
  }
  void set_removed(bool removed);

 private:
  sim::Wire& wire_;
  unsigned end_;
};

/// An in-process card whose link partner the test controls, a manual clock, a pool, and a port that is started with its
/// link up.
struct CardFixture {
  explicit CardFixture(const CardFixtureOptions& options = {});
  ~CardFixture();
  CardFixture(const CardFixture&) = delete;
  CardFixture& operator=(const CardFixture&) = delete;

  /// Frames arrive from the wire.
  void inject(const Frame& frame) { wire->inject(frame); }
  /// The result of one rx_burst of queue 0.
  [[nodiscard]] Burst<32> rx_burst();
  /// Polls queue 0 until no frames are left. Returns their contents and frees their mbufs.
  [[nodiscard]] std::vector<Frame> receive_all();
  /// Copies `frame` to an mbuf, or to a chain of mbufs of at most `segment_bytes` each. Empty if the pool is exhausted.
  [[nodiscard]] MbufPtr make_mbuf(const Frame& frame, std::size_t segment_bytes = 2048);
  /// Sends on queue 0. False if the ring or the pool had no room.
  [[nodiscard]] bool transmit(const Frame& frame, std::size_t segment_bytes = 2048);

  /// The value of a drop counter; fails the test if the port has no such counter.
  [[nodiscard]] std::uint64_t drops(std::string_view name);
  /// The value of one of the port's extended statistics; fails the test if the port has no such counter.
  [[nodiscard]] std::uint64_t counter(std::string_view name);
  /// Checks that every mbuf is in the pool, in a receive ring, in a transmit ring, or one of the `held` mbufs that the
  /// test owns.
  [[nodiscard]] testing::AssertionResult every_mbuf_accounted_for(std::uint32_t held = 0);

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::vector<std::string> log;
  std::vector<std::string> misuse;
  std::vector<Frame> sent;  ///< frames that the card transmitted
  Context context;
  Mempool pool;
  MempoolCache cache;
  Settings config;
  std::shared_ptr<sim::Wire> wire;
  TestCard card;
  static constexpr std::uint32_t rx = 0;  ///< the queue that rx_burst polls
  Port port;

 private:
  [[nodiscard]] Port open_port();
};

}  // namespace pollux::test
