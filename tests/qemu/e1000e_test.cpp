// SPDX-License-Identifier: BSD-3-Clause
// The e1000e driver on QEMU's 82574, an independent device.
#include <gmock/gmock.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "pollux/net/flow_control.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/packet/builder.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/net/self_test.hpp"
#include "qemu/e1000e_pair.hpp"
#include "support/flows.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::E1000ePair;
using test::Frame;
using test::QemuFixture;
using test::QemuPort;
using test::uri;
using test::value_of;

/// A frame with a VLAN tag.
Frame tagged(std::uint8_t vlan, std::size_t bytes = 60) {
  Frame frame = test::numbered_frame(vlan, bytes);
  constexpr std::array<std::byte, 3> kTag{std::byte{0x81}, std::byte{0}, std::byte{0}};
  std::copy(kTag.begin(), kTag.end(), frame.begin() + 12);
  frame[15] = std::byte{vlan};
  return frame;
}

Frame to(std::uint8_t last) {
  Frame frame = test::numbered_frame(last, 60);
  const MacAddress mac{2, 0, 0, 0, 0, last};
  std::memcpy(frame.data(), mac.data(), mac.size());
  return frame;
}

std::span<const std::uint8_t> frame_bytes(const Frame& frame) {
  return {reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()};
}

/// A broadcast frame of TCP over IPv4, by the number of its flow.
Frame flow_frame(std::uint32_t flow) {
  std::array<std::uint8_t, 128> memory{};
  packet::Builder builder(memory);
  builder.ethernet({.destination = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, .source = {2, 0, 0, 0, 0, 1}})
      .ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}})
      .tcp({.source_port = static_cast<std::uint16_t>(1000 + flow), .destination_port = 80});
  const auto frame = builder.finish();
  EXPECT_TRUE(frame);
  const auto bytes = std::as_bytes(std::span(*frame));
  return {bytes.begin(), bytes.end()};
}

TEST(E1000e, OpensWithItsAddressAndName) {
  QemuFixture fixture;
  const QemuPort opened = fixture.open(uri(0));
  const PortInfo& info = opened.port.info();
  EXPECT_EQ(info.driver, "e1000e");
  EXPECT_EQ(info.card, "Intel 82574L");
  EXPECT_EQ(opened.port.mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0}));
  EXPECT_EQ(info.limits.max_mtu, 9212u);
}

TEST(E1000e, TheLinkRisesAfterTheStart) {
  QemuFixture fixture;
  QemuPort started = fixture.start(uri(0));
  EXPECT_FALSE(started.port.link().up) << "negotiation takes half a second";
  ASSERT_TRUE(QemuFixture::link_rises(started.port));
  EXPECT_EQ(started.port.link().speed, 1000u);
  EXPECT_EQ(started.port.link().duplex, Duplex::full);
}

TEST(E1000e, FramesPassBothWaysAndAreCounted) {
  constexpr std::uint32_t kFrames = 3000;
  QemuFixture fixture;
  E1000ePair pair(fixture);
  fixture.exchange(pair.left.port, pair.right.port, kFrames);
  fixture.exchange(pair.right.port, pair.left.port, kFrames);
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < kFrames; ++i) bytes += 60 + i % 1455;
  for (Port* const port : {&pair.left.port, &pair.right.port}) {
    const Stats stats = port->stats();
    EXPECT_EQ(stats.rx_packets, kFrames);
    EXPECT_EQ(stats.tx_packets, kFrames);
    EXPECT_EQ(stats.rx_bytes, bytes);
    EXPECT_EQ(stats.tx_bytes, bytes);
    EXPECT_EQ(stats.rx_burst_packets, kFrames);
    EXPECT_EQ(stats.rx_dropped, 0u);
    EXPECT_EQ(stats.rx_missed_errors, 0u);
  }
}

TEST(E1000e, APortStopsAndStartsAgain) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  fixture.exchange(pair.left.port, pair.right.port, 100);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(pair.right.port.stop());
    ASSERT_TRUE(pair.right.port.start());
    ASSERT_TRUE(QemuFixture::link_rises(pair.right.port));
    fixture.exchange(pair.left.port, pair.right.port, 100);
    fixture.exchange(pair.right.port, pair.left.port, 100);
  }
}

TEST(E1000e, LongFramesPassInOneBufferOrInSeveral) {
  QemuFixture fixture;
  fixture.config.mtu = 9000;
  E1000ePair pair(fixture);
  DropCounter seen("seen");
  for (const std::size_t bytes : {1519UL, 2048UL, 2049UL, 4097UL, 9014UL}) {
    SCOPED_TRACE(bytes);
    Frame sent = test::numbered_frame(7, bytes);
    Burst<1> burst;
    MbufPtr first;
    for (std::size_t at = 0; at < bytes;) {
      MbufPtr piece = fixture.cache.allocate();
      const auto length = static_cast<std::uint32_t>(std::min<std::size_t>(1900, bytes - at));
      std::memcpy(piece->append(length), sent.data() + at, length);
      at += length;
      if (first == nullptr) {
        first = std::move(piece);
      } else {
        ASSERT_TRUE(first->chain(piece));
      }
    }
    ASSERT_TRUE(burst.push(first));
    ASSERT_EQ(pair.left.port.tx(0).tx_burst(burst), 1u);
    Frame received;
    ASSERT_TRUE(test::eventually([&] {
      Burst<1> got;
      if (pair.right.port.rx(0).rx_burst(got) == 0) return false;
      for (const Mbuf* segment = &got[0]; segment != nullptr; segment = segment->next()) {
        const auto* const from = reinterpret_cast<const std::byte*>(segment->data());
        received.insert(received.end(), from, from + segment->length());
      }
      got.drop(seen, fixture.cache);
      return true;
    }));
    EXPECT_TRUE(received == sent);
  }
}

TEST(E1000e, FiltersVlansAndAddresses) {
  constexpr std::uint8_t kVlan = 42;
  QemuFixture fixture;
  E1000ePair pair(fixture);
  ASSERT_TRUE(pair.right.port.change(test::with_vlan(kVlan)));
  const MacAddress further{2, 0, 0, 0, 0, 0x77};
  ASSERT_TRUE(pair.right.port.change([&](Settings& settings) { settings.unicast = std::vector{further}; }));
  const std::vector<Frame> frames{tagged(kVlan + 1), to(0x78), tagged(kVlan), to(0x77), test::numbered_frame(1, 60)};
  ASSERT_EQ(fixture.send(pair.left.port, frames), frames.size());
  EXPECT_THAT(fixture.receive(pair.right.port, 3), testing::ElementsAre(frames[2], frames[3], frames[4]));
  ASSERT_TRUE(pair.right.port.change([](Settings& settings) { settings.promiscuous = true; }));
  const std::vector<Frame> foreign{to(0x78)};
  ASSERT_EQ(fixture.send(pair.left.port, foreign), 1u);
  EXPECT_THAT(fixture.receive(pair.right.port, 1), testing::ElementsAre(foreign[0]));
}

TEST(E1000e, StripsAndInsertsTags) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  for (Port* const port : {&pair.left.port, &pair.right.port}) {
    ASSERT_TRUE(port->change([](Settings& settings) { settings.vlan_stripping = true; }));
  }
  DropCounter seen("seen");
  Frame frame = test::numbered_frame(3, 100);
  const auto send = [&] {
    MbufPtr mbuf = fixture.cache.allocate();
    std::memcpy(mbuf->append(100), frame.data(), frame.size());
    mbuf->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 0x6123});
    Burst<1> burst;
    return burst.push(mbuf) && pair.left.port.tx(0).tx_burst(burst) == 1;
  };
  ASSERT_TRUE(send());
  EXPECT_TRUE(test::eventually([&] {
    Burst<1> got;
    if (pair.right.port.rx(0).rx_burst(got) == 0) return false;
    EXPECT_EQ(RxMetadata(got[0]).vlan(), 0x6123);
    EXPECT_EQ(got[0].length(), 100u);
    EXPECT_EQ(std::memcmp(got[0].data(), frame.data(), frame.size()), 0);
    got.drop(seen, fixture.cache);
    return true;
  }));
  ASSERT_TRUE(pair.right.port.change([](Settings& settings) { settings.vlan_stripping = false; }));
  ASSERT_TRUE(send());
  constexpr std::array<std::byte, 4> kTag{std::byte{0x81}, std::byte{0}, std::byte{0x61}, std::byte{0x23}};
  frame.insert(frame.begin() + 12, kTag.begin(), kTag.end());
  EXPECT_THAT(fixture.receive(pair.right.port, 1), testing::ElementsAre(frame));
}

TEST(E1000e, ReportsChecksums) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  DropCounter seen("seen");
  std::vector<test::KnownFrame> frames = test::known_frames();
  std::vector<Frame> bytes;
  for (const test::KnownFrame& frame : frames) bytes.push_back(frame.bytes);
  ASSERT_EQ(fixture.send(pair.left.port, bytes), bytes.size());
  std::size_t good = 0;
  EXPECT_TRUE(test::eventually([&] {
    Burst<32> burst;
    pair.right.port.rx(0).rx_burst(burst);
    for (const Mbuf& mbuf : burst) {
      const auto found =
          std::find_if(frames.begin(), frames.end(), [&](const auto& frame) { return test::holds(mbuf, frame); });
      EXPECT_NE(found, frames.end()) << "a frame that was not sent";
      if (found == frames.end()) continue;
      const RxMetadata card(mbuf);
      EXPECT_EQ(card.ip_checksum(), found->ip) << found->name;
      EXPECT_EQ(card.l4_checksum(), found->l4) << found->name;
      EXPECT_EQ(card.packet_type().bits, 0u);
      EXPECT_FALSE(card.is_stamped());
      good += card.l4_checksum() == ChecksumStatus::good ? 1U : 0U;
      frames.erase(found);
    }
    burst.drop(seen, fixture.cache);
    return frames.empty();
  }));
  EXPECT_GT(good, 3u);
}

TEST(E1000e, SuspendPowersTheCardDownAndResumeBringsItBack) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  ASSERT_TRUE(pair.right.port.change([](Settings& settings) { settings.wake = {.magic = true}; }));
  fixture.exchange(pair.left.port, pair.right.port, 50);
  const auto asleep = pair.right.port.suspend();
  ASSERT_TRUE(asleep) << asleep.error().message();
  const auto refused = pair.right.port.capability<Nvm>()->nvm_info();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("suspended"));
  const auto awake = pair.right.port.resume();
  ASSERT_TRUE(awake) << awake.error().message();
  ASSERT_TRUE(QemuFixture::link_rises(pair.right.port));
  fixture.exchange(pair.left.port, pair.right.port, 50);
  fixture.exchange(pair.right.port, pair.left.port, 50);
}

TEST(E1000e, ReportsItsPhyAndRefusesWhatItCannotDo) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  const auto control = pair.left.port.capability<LinkControl>();
  ASSERT_TRUE(control);
  const auto details = control->link_details();
  ASSERT_TRUE(details) << details.error().message();
  EXPECT_EQ(details->phy, "82574 (BM)");
  EXPECT_EQ(details->phy_id, 0x01410CB1U);
  const auto registers = pair.left.port.capability<PhyRegisters>();
  EXPECT_EQ(registers->read_phy_register({.number = 2}).value(), 0x0141);
  EXPECT_EQ(registers->read_phy_register({.number = 22, .page = 1}).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(control->restart_negotiation());
  EXPECT_TRUE(QemuFixture::link_rises(pair.left.port));
  const auto forced = pair.left.port.change([](Settings& settings) { settings.link.forced = LinkMode::full_100; });
  EXPECT_EQ(forced.error().code, ErrorCode::not_supported);
}

TEST(E1000e, ReadsTheWordsOfItsNvmThatAnswer) {
  QemuFixture fixture;
  QemuPort opened = fixture.open(uri(0));
  const auto nvm = opened.port.capability<Nvm>();
  const auto info = nvm->nvm_info();
  ASSERT_TRUE(info) << info.error().message();
  EXPECT_EQ(info->words, 64U);
  EXPECT_EQ(info->device_id, 0x10D3);
  EXPECT_TRUE(info->checksum_holds);
  EXPECT_EQ(nvm->read_nvm(0, 64).value().size(), 64U);
  EXPECT_EQ(nvm->read_nvm(60, 5).error().code, ErrorCode::invalid_argument);
}

TEST(E1000e, ObeysPauseFramesOnceThePartnerCanSendThem) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  ASSERT_TRUE(pair.left.port.change([](Settings& settings) {
    settings.flow_control = {.pause = {.receive = true, .transmit = true}, .autonegotiate = false};
  }));
  const FlowControlState state = pair.left.port.capability<FlowControl>()->flow_control();
  EXPECT_TRUE(state.active.receive && state.active.transmit);
  EXPECT_GT(state.packet_buffer, 16U * 1024);
  EXPECT_LT(state.config.high_water, state.packet_buffer);
  EXPECT_EQ(value_of(pair.left.port, "CTRL") >> 27 & 3, 3U);
  EXPECT_EQ(value_of(pair.left.port, "FCRTH"), state.config.high_water);
  EXPECT_NE(value_of(pair.left.port, "FCRTL") & state.config.low_water, 0U);
  fixture.exchange(pair.left.port, pair.right.port, 50);
}

TEST(E1000e, TwoQueuesSleepAndEachIsWokenByItsOwnFrames) {
  constexpr std::uint16_t kQueues = 2;
  QemuFixture fixture;
  fixture.config.rx.resize(kQueues, fixture.config.rx.at(0));
  fixture.config.tx.resize(kQueues, fixture.config.tx.at(0));
  E1000ePair pair(fixture);
  const auto vectors = pair.right.port.capability<Interrupts>()->rx_vectors();
  ASSERT_TRUE(vectors) << vectors.error().message();
  EXPECT_THAT(*vectors, testing::ElementsAre(1u, 2u));
  const RssConfig rss = pair.right.port.settings().rss.value_or(RssConfig{});
  const packet::ToeplitzHash hash(rss.key);
  DropCounter seen("seen");
  const auto wakes = [&](std::uint16_t queue, int milliseconds) {
    pollfd waiting{.fd = pair.right.port.rx(queue).event_fd(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, milliseconds) == 1;
  };
  std::array<unsigned, kQueues> woken{};
  // QEMU's card sends a vector's last message again when its shortest interval has passed (hw/net/e1000e_core.c,
  // E1000E_MIN_XITR and e1000e_intrmgr_on_msix_throttling_timer).
  const auto await_echo = [] { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
  for (std::uint32_t flow = 0; flow < 12; ++flow) {
    SCOPED_TRACE(flow);
    const Frame frame = flow_frame(flow);
    const auto value = packet::rss_hash(hash, frame_bytes(frame), packet::parse(frame_bytes(frame)), rss.types);
    ASSERT_TRUE(value);
    const auto expected = static_cast<std::uint16_t>(*value % kQueues);
    await_echo();
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
      ASSERT_TRUE(test::eventually([&] { return pair.right.port.rx(queue).arm(); }));
    }
    // By a transmit queue that changes, too.
    Burst<1> burst;
    MbufPtr mbuf = fixture.cache.allocate();
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(pair.left.port.tx(flow % kQueues).tx_burst(burst), 1u);
    EXPECT_TRUE(wakes(expected, 10'000));
    EXPECT_FALSE(wakes(1 - expected, 0));
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) pair.right.port.rx(queue).disarm();
    Burst<1> got;
    ASSERT_EQ(pair.right.port.rx(expected).rx_burst(got), 1u);
    EXPECT_EQ(RxMetadata(got[0]).rss_hash(), value);
    got.drop(seen, fixture.cache);
    ++woken[expected];
  }
  EXPECT_GT(woken[0], 0u);
  EXPECT_GT(woken[1], 0u);
}

TEST(E1000e, ModerationIsInTheCardsUnits) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  const auto set = pair.right.port.change(
      [](Settings& settings) { settings.moderation[0] = {.interval = std::chrono::microseconds(1000)}; });
  ASSERT_TRUE(set) << set.error().message();
  EXPECT_EQ(value_of(pair.right.port, "EITR[1]"), 3906u) << "a millisecond in units of 256 ns";
  ASSERT_TRUE(test::eventually([&] { return pair.right.port.rx(0).arm(); }));
  const std::vector<Frame> one{test::numbered_frame(1, 60)};
  ASSERT_EQ(fixture.send(pair.left.port, one), 1u);
  pollfd waiting{.fd = pair.right.port.rx(0).event_fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&waiting, 1, 10'000), 1);
}

TEST(E1000e, TestsItselfAndStartsAgain) {
  QemuFixture fixture;
  E1000ePair pair(fixture);
  const auto online = pair.left.port.capability<SelfTest>()->test_online();
  ASSERT_TRUE(online) << online.error().message();
  EXPECT_EQ(online->front().outcome, SelfTestOutcome::passed);
  ASSERT_TRUE(pair.left.port.stop());
  const auto results = pair.left.port.capability<SelfTest>()->test_offline();
  ASSERT_TRUE(results) << results.error().message();
  ASSERT_EQ(results->size(), 5u);
  for (const SelfTestResult& result : *results) {
    const bool is_loopback = result.part == SelfTestPart::loopback;
    EXPECT_EQ(result.outcome, is_loopback ? SelfTestOutcome::skipped : SelfTestOutcome::passed)
        << to_string(result.part) << ": " << result.detail;
  }
  ASSERT_TRUE(pair.left.port.start());
  ASSERT_TRUE(QemuFixture::link_rises(pair.left.port));
  fixture.exchange(pair.left.port, pair.right.port, 50);
}

TEST(E1000e, WhatIsMissingIsRefusedByName) {
  QemuFixture fixture;
  QemuPort opened = fixture.open(uri(0));
  const auto refused = opened.port.change([](Settings& settings) { settings.loopback = LoopbackMode::phy; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_supported);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("loopback"));
}

}  // namespace
}  // namespace pollux
