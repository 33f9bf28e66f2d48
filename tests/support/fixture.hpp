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

/// A broadcast frame (without FCS) whose bytes behind the header count on from `seed`.
[[nodiscard]] Frame counting_frame(std::size_t bytes, unsigned seed = 0);
/// The bytes of all of `mbuf`'s segments.
[[nodiscard]] Frame content(const Mbuf& mbuf);

struct CardFixtureOptions {
  PortConfig port{.rx = {.ring = 64}, .tx = {.ring = 64}};  ///< its pool and cache are the CardFixture's
  MempoolOptions pool{.count = 1024};
  models::igb::CardOptions card{};
  bool start = true;  ///< false: the port is left opened, and configured by the test
};

/// The inside of a card, which a driver never sees. Takes the wire's lock for each call.
class TestCard {
 public:
  TestCard(sim::Wire& wire, unsigned end) : wire_(wire), end_(end) {}

  template <class Work>
  auto with(Work work) {
    return wire_.with_card(end_, [&](DeviceModel& card) { return work(static_cast<models::igb::Card&>(card)); });
  }
  /// The next armed descriptor is written back as told, true or not. False if none is armed.
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

/// An in-process card with the link partner of its wire in the test's hand, a manual clock, a pool, and a port that is
/// started with its link up.
struct CardFixture {
  explicit CardFixture(const CardFixtureOptions& options = {});
  ~CardFixture();
  CardFixture(const CardFixture&) = delete;
  CardFixture& operator=(const CardFixture&) = delete;

  /// Frames arrive from the wire.
  void inject(const Frame& frame) { wire->inject(frame); }
  /// What one rx_burst of queue 0 hands out.
  [[nodiscard]] Burst<32> rx_burst();
  /// Polls queue 0 until nothing more comes; the contents of all frames, whose mbufs go back to the pool.
  [[nodiscard]] std::vector<Frame> receive_all();
  /// An mbuf, or a chain of mbufs that hold at most `segment_bytes` each, with `frame` in it; empty if the pool is dry.
  [[nodiscard]] MbufPtr make_mbuf(const Frame& frame, std::size_t segment_bytes = 2048);
  /// Sends on queue 0. False if the ring or the pool had no room.
  [[nodiscard]] bool transmit(const Frame& frame, std::size_t segment_bytes = 2048);

  /// A dropped frame's counter by its name; fails the test if the port has no such counter.
  [[nodiscard]] std::uint64_t drops(std::string_view name);
  /// Every mbuf is in the pool, behind a receive descriptor, in a transmit ring, or one of the `held` in the test's
  /// hands.
  [[nodiscard]] testing::AssertionResult every_mbuf_accounted_for(std::uint32_t held = 0);

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::vector<std::string> log;
  std::vector<std::string> misuse;
  std::vector<Frame> sent;  ///< what came out of the card
  Context context;
  Mempool pool;
  MempoolCache cache;
  PortConfig config;
  std::shared_ptr<sim::Wire> wire;
  TestCard card;
  static constexpr std::uint32_t rx = 0;  ///< the queue that rx_burst polls
  Port port;

 private:
  [[nodiscard]] Port open_port();
};

}  // namespace pollux::test
