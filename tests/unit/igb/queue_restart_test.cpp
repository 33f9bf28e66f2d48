// SPDX-License-Identifier: BSD-3-Clause
// Restarts one queue while the others run. Every frame is accounted for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

using testing::HasSubstr;

constexpr unsigned kHosts = 64;

/// A port with two queues in each direction, a pool for all queues, and a pool with larger buffers.
class RestartOfAQueue : public testing::Test {
 protected:
  void start(std::uint32_t ring = 64) {
    Settings config = fixture.config();
    config.rx[0].ring = ring;
    config.rx.resize(2, config.rx[0]);
    config.tx.resize(2, config.tx[0]);
    port = fixture.started(config);
  }
  /// Injects one frame of each host. RSS distributes the hosts over both queues.
  void inject_hosts(std::size_t bytes = 64) {
    for (unsigned host = 0; host < kHosts; ++host) {
      std::vector<std::byte> frame = broadcast(bytes);
      const std::array<std::uint8_t, 22> header{
          0x08, 0x00, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, static_cast<std::uint8_t>(host)};
      for (std::size_t i = 0; i < header.size(); ++i) frame[12 + i] = std::byte{header[i]};
      fixture.wire->inject(frame);
      ++injected;
    }
  }
  std::uint32_t poll(std::uint16_t queue) {
    Burst<64> burst;
    std::uint32_t all = 0;
    while (const std::uint32_t count = port->rx_queue(queue)->rx_burst(burst)) {
      all += count;
      segments = burst[0].segments();
      burst = {};
    }
    received += all;
    return all;
  }
  std::uint32_t send_frames(std::uint16_t queue, unsigned count) {
    Burst<64> burst;
    for (unsigned i = 0; i < count; ++i) {
      MbufPtr frame = fixture.pool.allocate();
      EXPECT_NE(frame->append(60), nullptr);
      EXPECT_TRUE(burst.push(frame));
    }
    return port->tx_queue(queue)->tx_burst(burst);
  }
  std::uint64_t drops(std::string_view name) {
    for (const Counter& counter : port->stats().drops) {
      if (counter.name == name) return counter.value;
    }
    return 0;
  }
  /// Expects that every injected frame was received, counted as a drop, or counted as missed.
  void expect_every_frame_counted() {
    const Stats stats = port->stats();
    EXPECT_EQ(received + stats.rx_dropped + stats.rx_missed_errors, injected);
    EXPECT_EQ(stats.rx_burst_packets, received);
  }

  IgbFixture fixture{{}, {.count = 600}};
  Mempool large = Mempool::create(fixture.context, {.count = 300, .data_room = 4096, .name = "large"}).value();
  std::unique_ptr<PortMachine> port;
  std::uint64_t injected = 0;
  std::uint64_t received = 0;
  std::uint32_t segments = 0;  // of the frame that was polled last
};

TEST_F(RestartOfAQueue, ReceivesIntoAnotherPoolAndRingWhileTheOtherQueueRuns) {
  start();
  inject_hosts();
  const unsigned resets = fixture.faults->resets;
  // Frames arrive while queue 1 is disabled. Queue 0 receives its frames; those of queue 1 are missed.
  bool once = true;
  fixture.faults->discards = [&](std::uint32_t offset, std::uint32_t) {
    if (offset != reg::SRRCTL::offset(1) || !std::exchange(once, false)) return false;
    EXPECT_FALSE(fixture.value<reg::RXDCTL>(1).has(reg::RXDCTL::ENABLE));
    EXPECT_TRUE(fixture.value<reg::RXDCTL>(0).has(reg::RXDCTL::ENABLE));
    EXPECT_GT(poll(0), 0U);
    EXPECT_EQ(poll(1), 0U);
    inject_hosts();
    return false;
  };
  const auto restarted = test::restart_rx(*port, 1, {.pool = large, .ring = 128});
  ASSERT_TRUE(restarted) << restarted.error().message();
  EXPECT_FALSE(once);
  EXPECT_EQ(fixture.faults->resets, resets);
  EXPECT_EQ(port->state(), PortState::started);
  const std::uint32_t of_queue_1 = kHosts - poll(0);
  EXPECT_EQ(received, 2 * (kHosts - of_queue_1)) << "queue 0 lost none";
  EXPECT_EQ(drops("rx_stopped"), of_queue_1) << "frames that were not polled before the restart";
  EXPECT_EQ(port->stats().rx_missed_errors, of_queue_1) << "frames that arrived while the queue was disabled";
  expect_every_frame_counted();
  inject_hosts();
  EXPECT_EQ(poll(1), of_queue_1);
  poll(0);
  expect_every_frame_counted();
  EXPECT_EQ(port->config().rx[0].pool, fixture.pool.options().name);
  EXPECT_EQ(port->config().rx[0].ring, 64U);
  EXPECT_EQ(port->config().rx[1].pool, "large");
  EXPECT_EQ(port->config().rx[1].ring, 128U);
  EXPECT_EQ(port->config().rx[1].buffer_bytes, 4096U);
  EXPECT_EQ(fixture.value<reg::RDLEN>(1).raw(), 128U * 16);
  ASSERT_TRUE(test::set_mtu(*port, 3000));
  inject_hosts(3000);
  EXPECT_EQ(poll(1), of_queue_1);
  EXPECT_EQ(segments, 1U);
  poll(0);
  EXPECT_EQ(segments, 2U) << "each queue has its own buffer size";
  expect_every_frame_counted();
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
  EXPECT_EQ(large.stats().in_use(), 0U);
}

TEST_F(RestartOfAQueue, KeepsItsBuffersIfThePoolIsExhausted) {
  start(256);
  ASSERT_EQ(fixture.pool.stats().in_use(), 512U);
  std::vector<MbufPtr> held;
  const auto hold_all = [&] {
    while (MbufPtr mbuf = fixture.pool.allocate()) held.push_back(std::move(mbuf));
  };
  for (const std::uint32_t ring : {256U, 64U}) {
    hold_all();
    const auto restarted = test::restart_rx(*port, 1, {.ring = ring});
    ASSERT_TRUE(restarted) << restarted.error().message();
    EXPECT_EQ(fixture.pool.stats().in_use(), held.size() + 256 + ring);
  }
  hold_all();
  const auto refused = test::restart_rx(*port, 1, {.ring = 128});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::no_memory);
  EXPECT_THAT(refused.error().what, HasSubstr("a new ring of sim:0 needs 64"));
  EXPECT_EQ(port->config().rx[1].ring, 64U) << "a rejected restart changes nothing";
  held.clear();
  inject_hosts();
  EXPECT_GT(poll(1), 0U);
  poll(0);
  expect_every_frame_counted();
  ASSERT_TRUE(test::restart_rx(*port, 1, {.ring = 128}));
  inject_hosts();
  EXPECT_GT(poll(1), 0U);
  poll(0);
  expect_every_frame_counted();
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST_F(RestartOfAQueue, SendsWhatATransmitQueueTookBeforeItStops) {
  start();
  ASSERT_EQ(send_frames(0, 20), 20U);
  ASSERT_EQ(send_frames(1, 20), 20U);
  ASSERT_TRUE(test::restart_tx(*port, 1, {.ring = 256}));
  EXPECT_EQ(port->tx_queue(1)->in_flight(), 0U);
  EXPECT_EQ(fixture.sent.size(), 40U);
  EXPECT_EQ(drops("tx_stopped"), 0U);
  EXPECT_EQ(fixture.value<reg::TDLEN>(1).raw(), 256U * 16);
  EXPECT_EQ(fixture.value<reg::TDLEN>(0).raw(), 64U * 16);
  EXPECT_EQ(port->config().tx[1].ring, 256U);
  for (int i = 0; i < 10; ++i) ASSERT_EQ(send_frames(1, 60), 60U);
  ASSERT_EQ(send_frames(0, 20), 20U);
  EXPECT_EQ(fixture.sent.size(), 660U);
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST_F(RestartOfAQueue, OfAConfiguredPortIsForItsNextStart) {
  start();
  ASSERT_TRUE(port->stop());
  const std::size_t writes = fixture.faults->writes.size();
  ASSERT_TRUE(test::restart_rx(*port, 1, {.pool = large, .ring = 32}));
  ASSERT_TRUE(test::restart_tx(*port, 0, {.ring = 16}));
  EXPECT_EQ(fixture.faults->writes.size(), writes);
  EXPECT_EQ(port->state(), PortState::configured);
  ASSERT_TRUE(port->start());
  EXPECT_EQ(fixture.value<reg::RDLEN>(0).raw(), 64U * 16);
  EXPECT_EQ(fixture.value<reg::RDLEN>(1).raw(), 32U * 16);
  EXPECT_EQ(fixture.value<reg::TDLEN>(0).raw(), 16U * 16);
  EXPECT_EQ(large.stats().in_use(), 32U);
}

TEST_F(RestartOfAQueue, ThatIsRefusedChangesNothing) {
  start();
  Mempool few = Mempool::create(fixture.context, {.count = 40, .name = "few"}).value();
  const MempoolCache cache(few);
  const std::size_t writes = fixture.faults->writes.size();
  const auto before = test::state_of(*port);
  const auto expect_refused = [&](const Result<void>& result, ErrorCode code, const char* what) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code);
    EXPECT_THAT(result.error().what, HasSubstr(what));
    EXPECT_NE(result.error().hint, "");
    EXPECT_EQ(fixture.faults->writes.size(), writes);
    EXPECT_EQ(test::state_of(*port), before);
    EXPECT_EQ(few.stats().in_use(), 0U);
  };
  using enum ErrorCode;
  expect_refused(test::restart_rx(*port, 1, {.ring = 100}), invalid_argument, "rx[1].ring = 100");
  expect_refused(test::restart_tx(*port, 1, {.ring = 7}), invalid_argument, "tx[1].ring = 7");
  expect_refused(test::restart_rx(*port, 1, {.cache = cache}), invalid_argument, "rx[1].cache belongs to pool 'few'");
  expect_refused(test::restart_rx(*port, 0, {.pool = few, .ring = 64}), invalid_argument, "pool 'few' has 40 mbufs");
  {
    const MbufPtr held = few.allocate();
    const auto refused = test::restart_rx(*port, 0, {.pool = few, .ring = 32});
    ASSERT_TRUE(refused);
  }
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(port->close());
  EXPECT_EQ(port->change([](Settings&) {}).error().code, bad_state);
  EXPECT_EQ(few.stats().in_use(), 0U);
}

TEST_F(RestartOfAQueue, IsRejectedIfAForwardPathUsesTheQueue) {
  start();
  ASSERT_TRUE(port->stop());
  auto path = port->forward_path(1, *port, 0);
  ASSERT_TRUE(path);
  ASSERT_TRUE(port->start());
  const auto rx = test::restart_rx(*port, 1, {});
  ASSERT_FALSE(rx);
  EXPECT_EQ(rx.error().code, ErrorCode::busy);
  EXPECT_THAT(rx.error().what, HasSubstr("a forward path has receive queue 1"));
  EXPECT_EQ(test::restart_tx(*port, 0, {}).error().code, ErrorCode::busy);
  EXPECT_TRUE(test::restart_rx(*port, 0, {.ring = 32}));
  EXPECT_TRUE(test::restart_tx(*port, 1, {.ring = 32}));
}

TEST_F(RestartOfAQueue, SeveralQueuesAndSettingsChangeTogetherOrNotAtAll) {
  start();
  const auto change = [&](const Mempool& second, std::uint32_t mtu) {
    return port->change([&](Settings& settings) {
      settings.rx[0].ring = 128;
      settings.rx[1].pool = second;
      settings.tx[1].ring = 32;
      settings.mtu = mtu;
    });
  };
  const auto before = test::state_of(*port);
  std::vector<MbufPtr> held;
  while (MbufPtr mbuf = large.allocate()) held.push_back(std::move(mbuf));
  EXPECT_EQ(change(large, 1400).error().code, ErrorCode::no_memory) << "when queue 0 has restarted already";
  EXPECT_EQ(test::state_of(*port), before);
  held.clear();
  EXPECT_EQ(change(large, 100'000).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(test::state_of(*port), before);
  inject_hosts();
  EXPECT_GT(poll(0), 0U);
  EXPECT_GT(poll(1), 0U);
  ASSERT_TRUE(change(large, 1400));
  EXPECT_EQ(port->config().rx[0].ring, 128U);
  EXPECT_EQ(port->config().rx[1].pool, "large");
  EXPECT_EQ(port->config().tx[1].ring, 32U);
  EXPECT_EQ(port->settings().mtu, 1400U);
  inject_hosts();
  EXPECT_GT(poll(0), 0U);
  EXPECT_GT(poll(1), 0U);
  expect_every_frame_counted();
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

// The port fails, as the PHY takes nothing, but its settings and its rings are those of before.
TEST_F(RestartOfAQueue, IsTakenBackIfThePhyIsStuck) {
  start();
  const auto before = test::state_of(*port);
  fixture.faults->on_read = [](std::uint32_t offset) {
    return offset == reg::MDIC::offset() ? std::optional(0U) : std::nullopt;
  };
  const auto changed = port->change([&](Settings& settings) {
    settings.rx[0] = {.pool = large, .ring = 128};
    settings.tx[1].ring = 32;
    settings.link.advertised = {LinkMode::full_100};
  });
  ASSERT_FALSE(changed);
  EXPECT_THAT(changed.error().what, HasSubstr("MDIC.READY"));
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_EQ(test::state_of(*port), before);
  EXPECT_EQ(large.stats().in_use(), 0U);
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST_F(RestartOfAQueue, NeedsAStopForAnotherNumberAndForANewPool) {
  start();
  const std::size_t writes = fixture.faults->writes.size();
  const auto more = port->change([](Settings& settings) { settings.rx.resize(3, settings.rx[0]); });
  EXPECT_EQ(more.error().code, ErrorCode::bad_state);
  EXPECT_THAT(more.error().what, HasSubstr("the number of elements of rx"));
  EXPECT_EQ(port->change([](Settings& settings) { settings.keep_fcs = true; }).error().code, ErrorCode::bad_state);
  const auto own = port->change([](Settings& settings) { settings.rx[0].pool = {}; });
  EXPECT_EQ(own.error().code, ErrorCode::bad_state);
  EXPECT_THAT(own.error().hint, HasSubstr("give the queue a pool"));
  EXPECT_EQ(fixture.faults->writes.size(), writes);
}

/// A register write of a restart that the card ignores.
struct Fault {
  const char* name;
  bool receives;
  std::uint32_t offset;  ///< of the register; it ignores a write whose bits in `mask` equal `value`
  std::uint32_t mask;
  std::uint32_t value;
  ErrorCode code;
};

class RestartFaults : public RestartOfAQueue, public testing::WithParamInterface<Fault> {};

TEST_P(RestartFaults, FailThePort) {
  const Fault& fault = GetParam();
  start();
  inject_hosts();
  fixture.faults->discards = [&](std::uint32_t offset, std::uint32_t value) {
    return offset == fault.offset && (value & fault.mask) == fault.value;
  };
  const auto restarted = fault.receives ? test::restart_rx(*port, 1, {.pool = large, .ring = 128})
                                        : test::restart_tx(*port, 1, {.ring = 32});
  ASSERT_FALSE(restarted);
  EXPECT_EQ(restarted.error().code, fault.code);
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_EQ(poll(0), 0U);
  fixture.faults->discards = nullptr;
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
  EXPECT_EQ(large.stats().in_use(), 0U);
  EXPECT_EQ(drops("rx_stopped") + drops("rx_removed"), kHosts);
}

constexpr std::uint32_t kEnable = (reg::RXDCTL::ENABLE).mask();

INSTANTIATE_TEST_SUITE_P(
    All, RestartFaults,
    testing::Values(Fault{"rx_does_not_stop", true, reg::RXDCTL::offset(1), kEnable, 0, ErrorCode::timeout},
                    Fault{"rx_loses_its_base", true, reg::RDBAL::offset(1), 0, 0, ErrorCode::device_fault},
                    Fault{"rx_does_not_start", true, reg::RXDCTL::offset(1), kEnable, kEnable, ErrorCode::timeout},
                    Fault{"rx_does_not_take_its_tail", true, reg::RDT::offset(1), 0xFFFF, 127, ErrorCode::device_fault},
                    Fault{"tx_does_not_stop", false, reg::TXDCTL::offset(1), kEnable, 0, ErrorCode::timeout},
                    Fault{"tx_loses_its_length", false, reg::TDLEN::offset(1), 0, 0, ErrorCode::device_fault},
                    Fault{"tx_does_not_start", false, reg::TXDCTL::offset(1), kEnable, kEnable, ErrorCode::timeout}),
    [](const auto& fault) { return std::string(fault.param.name); });

TEST_F(RestartOfAQueue, OfARemovedCardFails) {
  start();
  fixture.faults->removed = true;
  const auto restarted = test::restart_rx(*port, 0, {.pool = large, .ring = 128});
  ASSERT_FALSE(restarted);
  EXPECT_EQ(restarted.error().code, ErrorCode::device_removed);
  EXPECT_EQ(port->state(), PortState::failed);
  EXPECT_EQ(large.stats().in_use(), 0U) << "the card got none of these mbufs";
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

}  // namespace
}  // namespace pollux::drivers::igb
