// SPDX-License-Identifier: BSD-3-Clause
// The FCS, bad frames, frames without a descriptor, thresholds and copied frames.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pollux/net/rx_metadata.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;

CardFixtureOptions with(const Settings& port) { return {.port = port}; }

Settings small_rings() { return {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}; }

/// The CRC-32 of IEEE 802.3, bit by bit, in the order of the wire.
Frame fcs_of(const Frame& frame) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : frame) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
  }
  Frame fcs;
  for (unsigned i = 0; i < 4; ++i) fcs.push_back(static_cast<std::byte>(~crc >> 8 * i));
  return fcs;
}

TEST(KeptFcs, IsAtTheEndOfEachFrame) {
  Settings config = small_rings();
  config.keep_fcs = true;
  CardFixture fixture(with(config));
  for (const std::size_t bytes : {60U, 1518U}) {
    Frame frame = counting_frame(bytes);
    fixture.inject(frame);
    const Frame fcs = fcs_of(frame);
    frame.insert(frame.end(), fcs.begin(), fcs.end());
    EXPECT_EQ(fixture.receive_all(), std::vector<Frame>{frame});
  }
  EXPECT_EQ(fixture.port.stats().rx_bytes, 60u + 1518) << "without FCS, as always";
  EXPECT_TRUE(fixture.port.settings().keep_fcs);
}

TEST(KeptFcs, NeedsRoomInTheBuffers) {
  CardFixture fixture({.start = false});
  const Mempool tight = Mempool::create(fixture.context, {.count = 512, .data_room = 1024}).value();
  // 7 buffers of 1,024 bytes hold a frame of 7,168 bytes with its header and tag.
  Settings config{.rx = {{.pool = tight, .ring = 8}}, .mtu = 7168 - 18};
  ASSERT_TRUE(configure_port(fixture.port, config));
  config.keep_fcs = true;
  const auto refused = configure_port(fixture.port, config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
}

class BadFrames : public testing::Test {
 protected:
  /// The wire damages each frame: the card sees a wrong FCS.
  static void damage(CardFixture& fixture, const Frame& frame) {
    fixture.card.with([&](models::igb::Card& card) {
      card.receive_corrupt(frame);
      return 0;
    });
  }
};

TEST_F(BadFrames, AreCountedAndNotReceived) {
  CardFixture fixture;
  damage(fixture, counting_frame(64));
  EXPECT_TRUE(fixture.receive_all().empty());
  EXPECT_EQ(fixture.port.stats().rx_crc_errors, 1u);
}

TEST_F(BadFrames, AreReceivedAndMarkedIfTheyAreKept) {
  Settings config = small_rings();
  config.keep_bad_frames = true;
  CardFixture fixture(with(config));
  fixture.inject(counting_frame(64, 1));
  damage(fixture, counting_frame(64, 2));
  damage(fixture, counting_frame(4000, 3));
  fixture.inject(counting_frame(64, 4));
  Burst<32> burst = fixture.rx_burst();
  ASSERT_EQ(burst.size(), 4u);
  for (std::uint32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(RxMetadata(burst[i]).is_bad_frame(), i == 1 || i == 2) << i;
    EXPECT_EQ(content(burst[i]), counting_frame(i == 2 ? 4000 : 64, i + 1));
  }
  burst = {};
  damage(fixture, counting_frame(64));
  fixture.inject(counting_frame(64));
  ASSERT_TRUE(fixture.port.stop());
  const Stats stats = fixture.port.stats();
  EXPECT_EQ(stats.rx_packets, 3u) << "good frames";
  EXPECT_EQ(stats.rx_crc_errors, 3u);
  EXPECT_EQ(stats.rx_burst_packets, 4u);
  EXPECT_EQ(fixture.drops("rx_stopped"), 2u);
  EXPECT_EQ(stats.rx_missed_errors, 0u) << "bad frames must not hide missed ones, nor be counted as such";
}

// The descriptor of such a frame shows no error.
TEST_F(BadFrames, OfAWrongLengthAreMarkedToo) {
  for (const bool keep_fcs : {false, true}) {
    Settings config = small_rings();
    config.keep_bad_frames = true;
    config.keep_fcs = keep_fcs;
    CardFixture fixture(with(config));
    const auto is_bad = [&](std::size_t bytes) {
      fixture.inject(counting_frame(bytes));
      Burst<32> burst = fixture.rx_burst();
      EXPECT_EQ(burst.size(), 1u) << bytes;
      EXPECT_EQ(burst[0].packet_length(), bytes + (keep_fcs ? 4 : 0));
      return RxMetadata(burst[0]).is_bad_frame();
    };
    EXPECT_TRUE(is_bad(59));
    EXPECT_FALSE(is_bad(60));
    EXPECT_FALSE(is_bad(1518));
    EXPECT_TRUE(is_bad(1519));
    EXPECT_TRUE(is_bad(9000)) << "in several buffers";
    ASSERT_TRUE(set_mtu(fixture.port, 1600));
    EXPECT_FALSE(is_bad(1618));
    EXPECT_TRUE(is_bad(1619));
    fixture.inject(counting_frame(1619));  // is not polled
    ASSERT_TRUE(fixture.port.stop());
    const Stats stats = fixture.port.stats();
    EXPECT_EQ(stats.rx_packets, 3u);
    EXPECT_EQ(stats.rx_length_errors, 5u);
    EXPECT_EQ(stats.rx_missed_errors, 0u);
    EXPECT_EQ(stats.rx_burst_packets, 7u);
  }
}

// One that does not fit the ring would wait in the card, and all others behind it.
TEST_F(BadFrames, OfAnyLengthFitTheRing) {
  CardFixture fixture({.start = false});
  const Mempool kibibyte = Mempool::create(fixture.context, {.count = 512, .data_room = 1024}).value();
  Settings config{.rx = {{.pool = kibibyte, .ring = 8}}};
  ASSERT_TRUE(configure_port(fixture.port, config));
  config.keep_bad_frames = true;
  const auto refused = configure_port(fixture.port, config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().what, testing::HasSubstr("a frame of 9724 bytes"));
  EXPECT_THAT(refused.error().what, testing::HasSubstr("ring = 8 has at most 7 buffers of 1024"));
  config.rx[0].ring = 16;
  ASSERT_TRUE(configure_port(fixture.port, config));
  EXPECT_FALSE(restart_rx(fixture.port, 0, {.pool = kibibyte, .ring = 8}));
}

TEST(DoubleTags, CountWhereAFrameHasToFitARing) {
  CardFixture fixture({.start = false});
  const Mempool kibibyte = Mempool::create(fixture.context, {.count = 512, .data_room = 1024}).value();
  ASSERT_TRUE(configure_port(fixture.port, {.rx = {{.pool = kibibyte, .ring = 8}}, .mtu = 7168 - 18}));
  const auto refused = fixture.port.change([](Settings& settings) { settings.outer_vlan_type = 0x88A8; });
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, testing::HasSubstr("a frame of 7172 bytes does not fit receive queue 0"));
  ASSERT_TRUE(set_mtu(fixture.port, 7168 - 22));
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.outer_vlan_type = 0x88A8; }));
  EXPECT_FALSE(set_mtu(fixture.port, 7168 - 21));
}

TEST_F(BadFrames, DoNotHideMissedFrames) {
  Settings config{.rx = {{.ring = 8, .drop_enable = true}}, .tx = {{.ring = 64}}, .keep_bad_frames = true};
  CardFixture fixture(with(config));
  damage(fixture, counting_frame(64));
  for (unsigned i = 0; i < 10; ++i) fixture.inject(counting_frame(64, i));
  EXPECT_EQ(fixture.receive_all().size(), 7u);
  ASSERT_TRUE(fixture.port.stop());
  EXPECT_EQ(fixture.port.stats().rx_missed_errors, 4u);
}

TEST(DropEnable, DecidesWhetherFramesWait) {
  for (const std::optional<bool> wish : {std::optional<bool>(), std::optional(true), std::optional(false)}) {
    const bool drops = wish.value_or(false);
    CardFixture fixture(with({.rx = {{.ring = 8, .drop_enable = wish}}, .tx = {{.ring = 64}}}));
    EXPECT_EQ(fixture.card.value<reg::SRRCTL>().has(reg::SRRCTL::DROP_EN), drops);
    EXPECT_EQ(fixture.port.config().rx[0].drops, drops);
    for (unsigned i = 0; i < 20; ++i) fixture.inject(counting_frame(64, i));
    EXPECT_EQ(fixture.receive_all().size(), drops ? 7u : 20u);
    EXPECT_EQ(fixture.port.stats().rx_missed_errors, drops ? 13u : 0u);
  }
}

// Frames of the queue that waits are in the packet buffer, and are not missed as long as the port runs.
TEST(DropEnable, MayDifferFromQueueToQueue) {
  Settings config{.rx = {2, {.ring = 8}}, .tx = {{.ring = 64}}};
  config.rx[0] = {.ring = 8, .drop_enable = false};
  CardFixture fixture(with(config));
  EXPECT_FALSE(fixture.port.config().rx[0].drops);
  EXPECT_TRUE(fixture.port.config().rx[1].drops);
  for (unsigned i = 0; i < 20; ++i) fixture.inject(counting_frame(64, i));  // not IP: to queue 0
  EXPECT_EQ(fixture.port.stats().rx_missed_errors, 0u);
  ASSERT_TRUE(fixture.port.stop());
  EXPECT_EQ(fixture.drops("rx_stopped"), 7u);
  EXPECT_EQ(fixture.port.stats().rx_missed_errors, 13u);
}

TEST(DropEnable, ChangesWithARestart) {
  CardFixture fixture(with({.rx = {{.ring = 8, .drop_enable = true}}, .tx = {{.ring = 64}}}));
  ASSERT_TRUE(restart_rx(fixture.port, 0, {.ring = 8, .drop_enable = false}));
  for (unsigned i = 0; i < 20; ++i) fixture.inject(counting_frame(64, i));
  EXPECT_EQ(fixture.port.stats().rx_missed_errors, 0u);
  EXPECT_EQ(fixture.receive_all().size(), 20u);
}

TEST(Thresholds, ReachTheCard) {
  const QueueThresholds rx{.prefetch = 4, .host = 2, .write_back = 0};
  const QueueThresholds tx{.prefetch = 31, .host = 3, .write_back = 1};
  CardFixture fixture(with({.rx = {{.ring = 64, .thresholds = rx}}, .tx = {{.ring = 64, .thresholds = tx}}}));
  const auto rxdctl = fixture.card.value<reg::RXDCTL>();
  EXPECT_EQ(rxdctl.get(reg::RXDCTL::PTHRESH), 4u);
  EXPECT_EQ(rxdctl.get(reg::RXDCTL::HTHRESH), 2u);
  EXPECT_EQ(rxdctl.get(reg::RXDCTL::WTHRESH), 0u);
  const auto txdctl = fixture.card.value<reg::TXDCTL>();
  EXPECT_EQ(txdctl.get(reg::TXDCTL::PTHRESH), 31u);
  EXPECT_EQ(txdctl.get(reg::TXDCTL::HTHRESH), 3u);
  EXPECT_EQ(txdctl.get(reg::TXDCTL::WTHRESH), 1u);
}

TEST(Thresholds, AreRejectedWithTheReason) {
  CardFixture fixture({.start = false});
  const auto refused = [&](const Settings& config) {
    const auto configured = configure_port(fixture.port, config);
    return configured ? std::string() : configured.error().message();
  };
  EXPECT_NE(refused({.rx = {{.thresholds = QueueThresholds{.write_back = 2}}}}).find("a polled queue would stall"),
            std::string::npos);
  EXPECT_NE(refused({.tx = {{.thresholds = QueueThresholds{.prefetch = 32}}}}).find("tx[0].thresholds.prefetch = 32"),
            std::string::npos);
  EXPECT_NE(refused({.rx = {{}, {.thresholds = QueueThresholds{.host = 99}}}})
                .find("rx[1].thresholds.host = 99 is more than 31"),
            std::string::npos);
}

class CopyBreak : public testing::Test {
 protected:
  void start(std::uint32_t copies = 64) {
    copies_ = Mempool::create(fixture_.context, {.count = copies, .data_room = 256, .name = "copies"}).value();
    fixture_.config.mtu = 9000;
    fixture_.config.rx[0].copy_break = 256;
    fixture_.config.rx[0].copy_pool = *copies_;
    ASSERT_TRUE(configure_port(fixture_.port, fixture_.config));
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  }

  void TearDown() override { EXPECT_TRUE(fixture_.misuse.empty()) << fixture_.misuse.front(); }

  CardFixture fixture_{{.start = false}};
  std::optional<Mempool> copies_;
};

TEST_F(CopyBreak, ShortFramesAreCopiedWithTheirMetadata) {
  start();
  fixture_.inject(counting_frame(256, 1));
  fixture_.inject(counting_frame(257, 2));
  fixture_.inject(counting_frame(4000, 3));
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 3u);
  EXPECT_EQ(copies_->stats().in_use(), 1u) << "one copy";
  EXPECT_EQ(content(burst[0]), counting_frame(256, 1));
  EXPECT_EQ(content(burst[1]), counting_frame(257, 2));
  EXPECT_EQ(content(burst[2]), counting_frame(4000, 3));
  EXPECT_EQ(burst[0].port(), fixture_.port.info().index);
  EXPECT_EQ(burst[0].rx_word(1) >> 32 & 0xFFFF, 256u);
  burst = {};
  EXPECT_EQ(fixture_.port.stats().rx_burst_packets, 3u);
}

TEST_F(CopyBreak, FramesStayWhereTheyAreIfTheCopiesAreExhausted) {
  start(16);
  std::vector<Burst<32>> held;
  std::size_t frames = 0;
  for (int round = 0; round < 4; ++round) {
    for (unsigned i = 0; i < 10; ++i) fixture_.inject(counting_frame(64, i));
    held.push_back(fixture_.rx_burst());
    frames += held.back().size();
  }
  EXPECT_EQ(frames, 40u) << "none is lost";
  EXPECT_EQ(copies_->stats().allocation_failures, 24u) << "one for each frame that was not copied";
  EXPECT_EQ(fixture_.port.stats().rx_dropped, 0u);
}

TEST_F(CopyBreak, IsRejectedIfItCannotBe) {
  const Mempool tiny = Mempool::create(fixture_.context, {.count = 64, .data_room = 128}).value();
  const auto refused = [&](const RxQueueConfig& rx) {
    const auto configured = configure_port(fixture_.port, {.rx = {rx}});
    return configured ? std::string() : configured.error().message();
  };
  EXPECT_NE(refused({.copy_break = 129, .copy_pool = tiny}).find("rx[0].copy_break = 129 is more than the 128"),
            std::string::npos);
  EXPECT_NE(refused({.copy_break = 4096}).find("more than the 2048"), std::string::npos);
  EXPECT_NE(refused({.copy_pool = tiny}).find("rx[0].copy_pool is set, but rx[0].copy_break is 0"), std::string::npos);
  ASSERT_TRUE(configure_port(fixture_.port, {.rx = {{.copy_break = 128}}}));
  const auto path = fixture_.port.forward_path(0, fixture_.port, 0);
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message().find("copy_break"), std::string::npos);
}

TEST(DescriptorStatus, ShowsTheBacklog) {
  CardFixture fixture(with({.rx = {{.ring = 8}}, .tx = {{.ring = 8}}}));
  RxQueue& rx = fixture.port.rx(0);
  EXPECT_EQ(rx.descriptor_status(0), RxDescriptorStatus::empty);
  for (unsigned i = 0; i < 3; ++i) fixture.inject(counting_frame(64, i));
  EXPECT_EQ(rx.descriptor_status(2), RxDescriptorStatus::done);
  EXPECT_EQ(rx.descriptor_status(3), RxDescriptorStatus::empty);
  EXPECT_EQ(rx.descriptor_status(8), std::nullopt);
  static_cast<void>(fixture.receive_all());
  EXPECT_EQ(rx.descriptor_status(0), RxDescriptorStatus::empty);
  TxQueue& tx = fixture.port.tx(0);
  EXPECT_EQ(tx.descriptor_status(7), TxDescriptorStatus::free);
  ASSERT_TRUE(fixture.transmit(counting_frame(64)));
  ASSERT_EQ(tx.in_flight(), 1u);
  EXPECT_EQ(tx.descriptor_status(6), TxDescriptorStatus::free);
  EXPECT_NE(tx.descriptor_status(7), TxDescriptorStatus::free);
  fixture.clock->advance(std::chrono::milliseconds(1));
  EXPECT_EQ(tx.descriptor_status(7), TxDescriptorStatus::sent);
  EXPECT_EQ(tx.descriptor_status(8), std::nullopt);
  ASSERT_TRUE(fixture.port.stop());
  EXPECT_EQ(rx.descriptor_status(0), std::nullopt);
}

}  // namespace
}  // namespace pollux::test
