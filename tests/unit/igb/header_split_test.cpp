// SPDX-License-Identifier: BSD-3-Clause
// Headers split from frames (RxQueueConfig::header_pool).
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "pollux/net/rx_metadata.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/header_split_fixture.hpp"

namespace pollux::test {
namespace {

namespace reg = hw::igb;
namespace rx = hw::intel::rx;

TEST_F(HeaderSplit, PutsTheHeadersOfEachFrameInTheirOwnMbuf) {
  start();
  EXPECT_EQ(fixture_.port.config().rx[0].header_bytes, 256U);
  for (const SplittableFrame& frame : splittable_frames()) {
    SCOPED_TRACE(frame.name);
    fixture_.inject(frame_of(frame.bytes));
    Burst<32> burst = fixture_.rx_burst();
    ASSERT_EQ(burst.size(), 1U);
    const Mbuf& head = burst[0];
    EXPECT_EQ(content(head), frame_of(frame.bytes));
    EXPECT_EQ(head.packet_length(), frame.bytes.size());
    EXPECT_EQ(head.port(), fixture_.port.info().index);
    const auto all = static_cast<std::uint32_t>(frame.bytes.size());
    const auto header = static_cast<std::uint32_t>(frame.header);
    if (header == 0 || header == all) {
      EXPECT_EQ(lengths(head), std::vector{all});
    } else {
      EXPECT_EQ(lengths(head), (std::vector{header, all - header}));
    }
    EXPECT_EQ(head.tailroom() + head.length() < 1024, header != 0) << "the pool of the first mbuf";
  }
}

TEST_F(HeaderSplit, ReportsWhatItReportsOfWholeFrames) {
  start();
  for (const std::size_t payload : {std::size_t{0}, std::size_t{100}}) {
    SCOPED_TRACE(payload);
    fixture_.inject(frame_of(tcp_segment(payload)));
    Burst<32> burst = fixture_.rx_burst();
    ASSERT_EQ(burst.size(), 1U);
    const RxMetadata metadata(burst[0]);
    EXPECT_EQ(metadata.packet_type(), (PacketType{PacketType::ipv4 | PacketType::tcp}));
    EXPECT_EQ(metadata.ip_checksum(), ChecksumStatus::good);
    EXPECT_EQ(metadata.l4_checksum(), ChecksumStatus::good);
  }
}

TEST_F(HeaderSplit, SplitsTheFirstPartOfAJumboFrameAlone) {
  fixture_.config.mtu = 9000;
  start();
  EXPECT_EQ(split(frame_of(tcp_segment(8000))), (std::vector<std::uint32_t>{54, 2048, 2048, 2048, 1856}));
  EXPECT_EQ(split(counting_frame(5000)), (std::vector<std::uint32_t>{2048, 2048, 904}));
  EXPECT_EQ(split(frame_of(tcp_segment(2048))), (std::vector<std::uint32_t>{54, 2048}));
}

// The headers of the jumbo frame are too long for their buffer, which the card says with the last descriptor alone.
TEST_F(HeaderSplit, LeavesLongHeadersInTheirFrame) {
  fixture_.config.mtu = 9000;
  start(64);
  const Frame whole = frame_of(tcp_headers_alone());
  EXPECT_EQ(split(whole), std::vector{static_cast<std::uint32_t>(whole.size())});
  EXPECT_EQ(split(frame_of(tcp_segment(8000))).front(), 54U);
  Frame jumbo = whole;
  jumbo.resize(3000);
  EXPECT_EQ(split(jumbo), (std::vector<std::uint32_t>{2048, 952}));
  EXPECT_EQ(fixture_.drops("rx_bad_length"), 0U);
}

TEST_F(HeaderSplit, KeepsTheFcsBehindThePayload) {
  fixture_.config.keep_fcs = true;
  start();
  fixture_.inject(frame_of(tcp_headers_alone()));
  fixture_.inject(frame_of(tcp_segment(100)));
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 2U);
  EXPECT_EQ(lengths(burst[0]), (std::vector<std::uint32_t>{114, 4}));
  EXPECT_EQ(lengths(burst[1]), (std::vector<std::uint32_t>{54, 104}));
}

TEST_F(HeaderSplit, CarriesManyLapsOfTheRing) {
  start();
  std::uint64_t frames = 0;
  for (unsigned round = 0; round < 100; ++round) {
    for (unsigned i = 0; i < 20; ++i) {
      fixture_.inject(i % 3 == 0 ? counting_frame(100, i) : frame_of(tcp_segment(6 + i % 2 * 500)));
    }
    const std::vector<Frame> all = fixture_.receive_all();
    frames += all.size();
  }
  EXPECT_EQ(frames, 2000U);
  EXPECT_EQ(fixture_.port.stats().rx_burst_packets, 2000U);
  EXPECT_EQ(fixture_.port.stats().rx_dropped, 0U);
}

TEST_F(HeaderSplit, ProgramsTheCard) {
  start(300);
  const auto format = fixture_.card.value<reg::SRRCTL>();
  EXPECT_TRUE(format.has(reg::SRRCTL::SPLIT));
  EXPECT_EQ(format.get(reg::SRRCTL::BSIZEHEADER), 256U / 64);
  for (std::uint32_t pool = 0; pool < reg::kPools; ++pool) {
    EXPECT_EQ(fixture_.card.value<reg::PSRTYPE>(pool).raw(), 0x3FEU) << pool;
  }
}

TEST_F(HeaderSplit, UsesAtMostWhatTheCardCanCount) {
  start(2048);
  EXPECT_EQ(fixture_.port.config().rx[0].header_bytes, 960U);
  EXPECT_EQ(fixture_.card.value<reg::SRRCTL>().get(reg::SRRCTL::BSIZEHEADER), 15U);
}

// A card that lies makes neither the queue read beyond a buffer nor lose one.
TEST_F(HeaderSplit, CountsLengthsThatCannotBeTrue) {
  start();
  constexpr std::uint64_t kEnd = rx::kDone | rx::kEndOfPacket;
  const rx::WriteBack lies[] = {
      {.status = kEnd, .length = 60, .header_length = 257, .split_header = true},   // beyond its buffer, no overflow
      {.status = kEnd, .length = 2049, .header_length = 54, .split_header = true},  // beyond the payload's
      {.status = kEnd, .length = 0, .header_length = 1023, .split_header = true},
      {.status = rx::kDone, .length = 0, .header_length = 54, .split_header = true},  // nothing, and more to come
  };
  std::uint64_t bad = 0;
  for (const rx::WriteBack& lie : lies) {
    EXPECT_EQ(poll_after(lie), 0U);
    EXPECT_EQ(fixture_.drops("rx_bad_length"), ++bad);
    if ((lie.status & rx::kEndOfPacket) == 0) {
      EXPECT_EQ(poll_after({.status = kEnd, .length = 60}), 0U);
    }
  }
  EXPECT_EQ(poll_after({.status = kEnd, .length = 60, .header_length = 54}), 1U) << "not said to be split: whole";
  EXPECT_EQ(
      poll_after({.status = kEnd | rx::kHeaderOverflow, .length = 60, .header_length = 900, .split_header = true}), 1U);
  EXPECT_EQ(split(frame_of(tcp_segment(100))), (std::vector<std::uint32_t>{54, 100}));
}

// A later descriptor's header is no header: QEMU's card repeats that of the first one.
TEST_F(HeaderSplit, IgnoresHeadersOfLaterDescriptors) {
  fixture_.config.mtu = 9000;
  start();
  EXPECT_EQ(poll_after({.status = rx::kDone, .length = 2048, .header_length = 54, .split_header = true}), 0U);
  ASSERT_TRUE(fixture_.card.write_back(0, {.length = 100, .header_length = 54, .split_header = true}));
  Burst<32> burst = fixture_.rx_burst();
  ASSERT_EQ(burst.size(), 1U);
  EXPECT_EQ(lengths(burst[0]), (std::vector<std::uint32_t>{54, 2048, 100}));
}

TEST_F(HeaderSplit, DropsFramesWhileTheHeadersAreExhausted) {
  start(256, 80);
  std::vector<Burst<32>> held;
  std::size_t received = 0;
  for (unsigned i = 0; i < 40; ++i) {
    fixture_.inject(frame_of(tcp_segment(100)));
    held.push_back(fixture_.rx_burst());
    received += held.back().size();
  }
  EXPECT_EQ(received, 16U);
  EXPECT_EQ(fixture_.drops("rx_pool_empty"), 24U);
  EXPECT_EQ(split(counting_frame(100)).size(), 1U) << "a frame that is not split needs no header";
  held.clear();
  EXPECT_EQ(split(frame_of(tcp_segment(100))).size(), 2U) << "traffic resumes by itself";
}

TEST_F(HeaderSplit, CountsFramesThatWereNotPolled) {
  start();
  fixture_.inject(frame_of(tcp_segment(100)));
  fixture_.inject(frame_of(tcp_headers_alone()));
  fixture_.inject(counting_frame(100));
  EXPECT_EQ(fixture_.port.rx(0).descriptor_status(2), RxDescriptorStatus::done);
  EXPECT_EQ(fixture_.port.rx(0).descriptor_status(3), RxDescriptorStatus::empty);
  ASSERT_TRUE(fixture_.port.stop());
  EXPECT_EQ(fixture_.drops("rx_stopped"), 3U);
  EXPECT_EQ(headers_->stats().in_use(), 0U);
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  EXPECT_EQ(split(frame_of(tcp_segment(100))).size(), 2U);
}

TEST_F(HeaderSplit, ComesAndGoesWithARestart) {
  start(256, 70);
  const Mempool others = Mempool::create(fixture_.context, {.count = 70, .data_room = 128, .name = "others"}).value();
  const Frame frame = frame_of(tcp_segment(100));
  ASSERT_EQ(split(frame).size(), 2U);
  RxQueueConfig wanted = fixture_.config.rx[0];
  wanted.drop_enable = false;  // as it is by default
  ASSERT_TRUE(restart_rx(fixture_.port, 0, wanted)) << "with the buffers that it has: the pool has no others";
  EXPECT_EQ(split(frame).size(), 2U);
  wanted.header_pool = others;
  ASSERT_TRUE(restart_rx(fixture_.port, 0, wanted));
  EXPECT_EQ(headers_->stats().in_use(), 0U);
  EXPECT_EQ(split(frame).size(), 2U);
  wanted.header_pool = {};
  ASSERT_TRUE(restart_rx(fixture_.port, 0, wanted));
  EXPECT_EQ(split(frame).size(), 1U);
  EXPECT_EQ(others.stats().in_use(), 0U);
  wanted.header_pool = *headers_;
  ASSERT_TRUE(restart_rx(fixture_.port, 0, wanted));
  EXPECT_EQ(split(frame).size(), 2U);
  wanted.ring = 128;
  const auto refused = restart_rx(fixture_.port, 0, wanted);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("too small for its rings"), std::string::npos) << refused.error().message();
  EXPECT_EQ(split(frame).size(), 2U) << "a refused restart changes nothing";
}

TEST_F(HeaderSplit, LeavesAllBuffersIfTheNewRingFindsTooFew) {
  start(256, 200);
  std::vector<MbufPtr> held;
  while (headers_->stats().shared > 30) held.push_back(headers_->allocate());
  RxQueueConfig wanted = fixture_.config.rx[0];
  wanted.ring = 128;
  const auto refused = restart_rx(fixture_.port, 0, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::no_memory);
  EXPECT_NE(refused.error().message().find("mempool headers"), std::string::npos) << refused.error().message();
  EXPECT_EQ(split(frame_of(tcp_segment(100))).size(), 2U);
  ASSERT_TRUE(fixture_.port.stop());
  while (headers_->stats().shared > 30) held.push_back(headers_->allocate());
  const auto started = fixture_.port.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::no_memory);
  EXPECT_TRUE(fixture_.every_mbuf_accounted_for()) << "the payloads' buffers were returned";
  held.clear();
  ASSERT_TRUE(fixture_.port.start());
}

TEST_F(HeaderSplit, MayDifferFromQueueToQueueAndShareAPool) {
  headers_ = Mempool::create(fixture_.context, {.count = 1024, .name = "both"}).value();
  use_pool(fixture_.config, *headers_);
  fixture_.config.rx.resize(2, fixture_.config.rx[0]);
  fixture_.config.rx[0] = {.pool = *headers_, .ring = 64, .header_pool = *headers_};
  start_again();
  EXPECT_EQ(fixture_.port.config().rx[0].header_bytes, 960U);
  EXPECT_EQ(fixture_.port.config().rx[1].header_bytes, 0U);
  EXPECT_TRUE(fixture_.card.value<reg::SRRCTL>(0).has(reg::SRRCTL::SPLIT));
  EXPECT_TRUE(fixture_.card.value<reg::SRRCTL>(1).has(reg::SRRCTL::ONE_BUFFER));
  EXPECT_EQ(headers_->stats().in_use(), 3U * 64);
}

TEST_F(HeaderSplit, IsRejectedIfItCannotBe) {
  headers_ = Mempool::create(fixture_.context, {.count = 100, .data_room = 128, .name = "headers"}).value();
  const Mempool few = Mempool::create(fixture_.context, {.count = 63, .data_room = 128, .name = "few"}).value();
  const auto refused = [&](const RxQueueConfig& config) {
    const auto configured = configure_port(fixture_.port, {.rx = {config}});
    return configured ? std::string() : configured.error().message();
  };
  EXPECT_NE(
      refused({.ring = 64, .copy_break = 128, .header_pool = *headers_}).find("rx[0].header_pool and rx[0].copy_break"),
      std::string::npos);
  EXPECT_NE(refused({.ring = 64, .header_pool = few}).find("pool 'few' has 63 mbufs, 1 receive ring needs 64"),
            std::string::npos);
  Context other;
  const Mempool foreign = Mempool::create(other, {.count = 100, .name = "foreign"}).value();
  EXPECT_NE(refused({.ring = 64, .header_pool = foreign}).find("rx[0].header_pool: pool 'foreign'"), std::string::npos);
  ASSERT_TRUE(configure_port(fixture_.port, {.rx = {{.ring = 64, .header_pool = *headers_}}}));
  const auto path = fixture_.port.forward_path(0, fixture_.port, 0);
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message().find("receive queue 0 has header_pool"), std::string::npos);
}

}  // namespace
}  // namespace pollux::test
