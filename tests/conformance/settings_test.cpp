// SPDX-License-Identifier: BSD-3-Clause
// Settings of a port and its queues that not every port supports: what it supports works, the rest is rejected.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

class Settings : public Conformance {
 protected:
  [[nodiscard]] static std::optional<ErrorCode> refusal(Port& port, const pollux::Settings& wanted) {
    const auto configured = test::configure_port(port, wanted);
    if (configured) return std::nullopt;
    EXPECT_FALSE(configured.error().hint.empty());
    return configured.error().code;
  }
  /// The frame with a VLAN tag.
  [[nodiscard]] static Bytes tagged(Bytes frame, std::uint16_t tag, std::uint16_t type = 0x8100) {
    const Bytes inserted{static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type & 0xFF),
                         static_cast<std::uint8_t>(tag >> 8), static_cast<std::uint8_t>(tag & 0xFF)};
    frame.insert(frame.begin() + 12, inserted.begin(), inserted.end());
    return frame;
  }
};

CONFORMANCE_TEST(Settings, WithoutSupportAreRejectedByName) {
  for (Port* port : {&left(), &right()}) {
    const PortLimits& limits = port->info().limits;
    const SettingSet& supports = port->info().supports;
    pollux::Settings wanted = config();
    wanted.keep_fcs = true;
    if (!supports.test(Setting::keep_fcs)) {
      EXPECT_EQ(refusal(*port, wanted), ErrorCode::not_supported);
    }
    wanted = config();
    wanted.keep_bad_frames = true;
    if (!supports.test(Setting::keep_bad_frames)) {
      EXPECT_EQ(refusal(*port, wanted), ErrorCode::not_supported);
    }
    wanted = config();
    wanted.rx[0].copy_break = 64;
    if (!limits.copy_break) {
      EXPECT_EQ(refusal(*port, wanted), ErrorCode::not_supported);
    }
    wanted = config();
    wanted.rx[0].header_pool = *pool_;
    if (limits.max_header == 0) {
      EXPECT_EQ(refusal(*port, wanted), ErrorCode::not_supported);
    }
    wanted = config();
    wanted.rx[0].drop_enable = false;
    if (limits.drop_enable != DropChoice::any) {
      EXPECT_EQ(refusal(*port, wanted), ErrorCode::not_supported);
    }
    wanted = config();
    wanted.packet_buffers.receive = 1000;
    EXPECT_EQ(refusal(*port, wanted),
              supports.test(Setting::packet_buffers) ? ErrorCode::invalid_argument : ErrorCode::not_supported);
    wanted = config();
    wanted.tx[0].thresholds = QueueThresholds{.prefetch = 8, .host = 1, .write_back = 1};
    if (!limits.max_thresholds) {
      EXPECT_EQ(refusal(*port, wanted), ErrorCode::not_supported);
    }
    wanted.tx[0].thresholds->write_back = 16;
    EXPECT_NE(refusal(*port, wanted), std::nullopt) << "a polled queue would stall";
    EXPECT_EQ(refusal(*port, config()), std::nullopt);
  }
}

// Flow control counts in the receive packet buffer. QEMU's card keeps the size and has no such buffer.
CONFORMANCE_TEST_WHERE(Settings, SizeThePacketBuffers, traits.card_receive&& traits.packet_buffers) {
  pollux::Settings wanted = config();
  wanted.packet_buffers = {.receive = 32 * 1024, .transmit = 20 * 1024};
  start_both(wanted, wanted);
  EXPECT_EQ(right().settings().packet_buffers, wanted.packet_buffers);
  ASSERT_TRUE(right().capability<FlowControl>());
  EXPECT_EQ(right().capability<FlowControl>()->flow_control().packet_buffer, wanted.packet_buffers.receive);
  std::optional<std::uint32_t> receive_size;
  std::optional<std::uint32_t> transmit_size;
  for (const RegisterValue& entry : right().capability<RegisterDump>()->registers()) {
    if (entry.name == "RXPBS") receive_size = entry.value;
    if (entry.name == "TXPBS") transmit_size = entry.value;
  }
  EXPECT_EQ(receive_size, 32U);
  EXPECT_EQ(transmit_size, 20U);
  const std::vector<Bytes> frames = make_frames(20, 1500);
  EXPECT_EQ(exchange(left(), right(), frames), frames);
}

// QEMU's card keeps these registers and uses none of them.
CONFORMANCE_TEST_WHERE(Settings, PutDropsAndThresholdsIntoRegisters, traits.card_receive) {
  pollux::Settings wanted = config();
  wanted.rx[0].drop_enable = true;
  wanted.rx[0].thresholds = QueueThresholds{.prefetch = 4, .host = 2, .write_back = 0};
  wanted.tx[0].thresholds = QueueThresholds{.prefetch = 15, .host = 3, .write_back = 1};
  wanted.rx.resize(2, wanted.rx[0]);
  wanted.rx[1].drop_enable = false;
  start_both(config(), wanted);
  EXPECT_TRUE(right().config().rx.at(0).drops);
  EXPECT_FALSE(right().config().rx.at(1).drops);
  std::map<std::string, std::uint32_t> registers;
  for (const RegisterValue& entry : right().capability<RegisterDump>()->registers()) {
    registers.emplace(entry.name, entry.value);
  }
  constexpr std::uint32_t kDropEnable = 1U << 31;
  constexpr std::uint32_t kThresholds = 0x1F1F1F;  // WTHRESH, HTHRESH, PTHRESH
  EXPECT_EQ(registers.at("SRRCTL[0]") & kDropEnable, kDropEnable);
  EXPECT_EQ(registers.at("SRRCTL[1]") & kDropEnable, 0U);
  EXPECT_EQ(registers.at("RXDCTL[0]") & kThresholds, 0x000204U);
  EXPECT_EQ(registers.at("RXDCTL[1]") & kThresholds, 0x000204U);
  EXPECT_EQ(registers.at("TXDCTL[0]") & kThresholds, 0x01030FU);
  const std::vector<Bytes> frames = make_frames(100, 100);
  EXPECT_EQ(exchange(left(), right(), frames), frames);
  EXPECT_EQ(exchange(right(), left(), frames), frames);
}

CONFORMANCE_TEST(Settings, CountTheBytesOfEachQueue) {
  pollux::Settings wanted = config();
  wanted.count_bytes = true;
  start_both(wanted, wanted);
  EXPECT_TRUE(left().settings().count_bytes);
  std::vector<Bytes> frames;
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < 50; ++i) {
    frames.push_back(make_frame(60 + i * 20, i));
    bytes += frames.back().size();
  }
  send(left(), frames);
  settle(left());
  if (traits().delivers) {
    EXPECT_EQ(receive(right(), frames.size()).size(), frames.size());
  }
  const auto value = [](Port& port, const std::string& name) -> std::optional<std::uint64_t> {
    for (const Counter& counter : port.extended_stats()) {
      if (counter.name == name) return counter.value;
    }
    return std::nullopt;
  };
  const Stats sent = left().stats();
  EXPECT_EQ(sent.tx_queues.at(0).bytes, bytes);
  EXPECT_EQ(value(left(), "tx_queue_0_bytes"), bytes);
  const std::uint64_t received = right().stats().rx_queues.at(0).bytes;
  EXPECT_EQ(value(right(), "rx_queue_0_bytes"), received);
  if (traits().delivers && !traits().needs_relay) {
    EXPECT_EQ(received, bytes);
  }
  stop_both();
  EXPECT_EQ(left().stats().tx_queues.at(0).bytes, bytes) << "no counter decreases";
}

CONFORMANCE_TEST_WHERE(Settings, CountNoBytesUnlessAsked, traits.delivers && !traits.by_file) {
  start_both();
  send(left(), make_frames(3, 60));
  EXPECT_EQ(receive(right(), 3).size(), 3U);
  EXPECT_EQ(left().stats().tx_queues.at(0).bytes, 0U);
  EXPECT_EQ(right().stats().rx_queues.at(0).bytes, 0U);
}

CONFORMANCE_TEST_WHERE(Settings, CopyShortFrames, traits.card_receive) {
  const Mempool copies = Mempool::create(*context_, {.count = 256, .data_room = 256}).value();
  pollux::Settings wanted = config();
  wanted.rx[0].copy_break = 128;
  wanted.rx[0].copy_pool = copies;
  start_both(config(), wanted);
  EXPECT_EQ(right().config().rx.at(0).copy_break, 128U);
  std::vector<Bytes> frames;
  for (std::uint32_t i = 0; i < 40; ++i) frames.push_back(make_frame(60 + i * 4, i));
  EXPECT_EQ(exchange(left(), right(), frames), frames);
  EXPECT_GT(copies.stats().cached, 0U) << "no frame was copied";
}

// QEMU's card appends zeros, since no wire computes a sum.
CONFORMANCE_TEST_WHERE(Settings, KeepTheFrameCheckSequence, traits.card_receive) {
  pollux::Settings wanted = config();
  wanted.keep_fcs = true;
  start_both(config(), wanted);
  const std::vector<Bytes> frames = make_frames(20, 100);
  send(left(), frames);
  const std::vector<Bytes> arrived = receive(right(), frames.size());
  ASSERT_EQ(arrived.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    ASSERT_EQ(arrived[i].size(), frames[i].size() + 4);
    EXPECT_TRUE(std::equal(frames[i].begin(), frames[i].end(), arrived[i].begin()));
  }
}

CONFORMANCE_TEST_WHERE(Settings, StripAndFilterVlans, traits.card_receive) {
  start_both();
  ASSERT_TRUE(right().info().supports.test(Setting::vlan_stripping));
  ASSERT_TRUE(right().info().supports.test(Setting::vlans));
  const Bytes plain = make_frame(80, 1);
  const Bytes in_7 = tagged(make_frame(80, 2), 0x6007);
  const Bytes in_8 = tagged(make_frame(80, 3), 8);
  ASSERT_TRUE(right().change(test::with_vlan(7)));
  ASSERT_TRUE(right().change([](pollux::Settings& settings) { settings.vlan_stripping = true; }));
  send(left(), {in_8, in_7, plain});
  std::vector<std::pair<Bytes, std::optional<std::uint16_t>>> arrived;
  for (int i = 0; i < 2000 && arrived.size() < 2; ++i) {
    Burst<32> burst;
    right().rx(0).rx_burst(burst);
    for (const Mbuf& mbuf : burst) {
      const Bytes bytes = content(mbuf);
      if (bytes.size() > 14 && bytes[12] == 0x88 && bytes[13] == 0xB5) {
        arrived.emplace_back(bytes, RxMetadata(mbuf).vlan());
      }
    }
    burst = {};
    if (arrived.size() < 2) pass_time();
  }
  ASSERT_EQ(arrived.size(), 2U);
  EXPECT_EQ(arrived[0].first, make_frame(80, 2));
  EXPECT_EQ(arrived[0].second, 0x6007);
  EXPECT_EQ(arrived[1].first, plain);
  EXPECT_EQ(arrived[1].second, std::nullopt);
  expect_silence(right());
}

// QinQ: the card skips the outer tag, filters and strips the inner one, and reads the headers behind both.
CONFORMANCE_TEST_WHERE(Settings, FilterAndStripInnerVlans, traits.card_receive) {
  start_both();
  ASSERT_TRUE(right().info().supports.test(Setting::outer_vlan_type));
  ASSERT_TRUE(right().change([](pollux::Settings& settings) { settings.outer_vlan_type = 0x88A8; }));
  ASSERT_TRUE(right().change(test::with_vlan(7)));
  ASSERT_TRUE(right().change([](pollux::Settings& settings) { settings.vlan_stripping = true; }));
  const auto outer = [](Bytes frame, std::uint16_t tag) { return tagged(std::move(frame), tag, 0x88A8); };
  Bytes udp = make_frame(60, 1);
  const Bytes headers{0x08, 0x00, 0x45, 0,  0, 46, 0, 0, 0, 0, 64, 17, 0x66, 0xBE, 10,
                      0,    0,    1,    10, 0, 0,  1, 0, 5, 0, 6,  0,  26,   0,    0};
  std::copy(headers.begin(), headers.end(), udp.begin() + 12);
  send(left(), {outer(tagged(udp, 8), 7), outer(tagged(udp, 0x6007), 0xB008), outer(udp, 9)});
  std::vector<std::pair<Bytes, RxMetadata>> arrived;
  for (int i = 0; i < 2000 && arrived.size() < 2; ++i) {
    Burst<32> burst;
    right().rx(0).rx_burst(burst);
    for (const Mbuf& mbuf : burst) {
      const Bytes bytes = content(mbuf);
      if (bytes.size() > 14 && bytes[12] == 0x88 && bytes[13] == 0xA8) arrived.emplace_back(bytes, RxMetadata(mbuf));
    }
    burst = {};
    if (arrived.size() < 2) pass_time();
  }
  ASSERT_EQ(arrived.size(), 2U);
  EXPECT_EQ(arrived[0].first, outer(udp, 0xB008));
  EXPECT_EQ(arrived[0].second.vlan(), 0x6007);
  EXPECT_EQ(arrived[1].first, outer(udp, 9));
  EXPECT_EQ(arrived[1].second.vlan(), std::nullopt);
  for (const auto& [bytes, metadata] : arrived) {
    EXPECT_EQ(metadata.packet_type(), (PacketType{PacketType::ipv4 | PacketType::udp}));
    EXPECT_EQ(metadata.ip_checksum(), ChecksumStatus::good);
  }
  expect_silence(right());
}

CONFORMANCE_TEST_WHERE(Settings, UseAllQueues, traits.card_receive) {
  const std::uint16_t queues = traits().queues;
  pollux::Settings wanted{.rx = {queues, {.ring = 64}}, .tx = {queues, {.ring = 64}}};
  start_both(wanted, wanted);
  std::uint32_t sent = 0;
  std::vector<Bytes> frames;
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    Burst<4> burst;
    for (int i = 0; i < 4; ++i) {
      frames.push_back(make_flow(sent++));
      MbufPtr mbuf = make_mbuf(frames.back());
      ASSERT_TRUE(burst.push(mbuf));
    }
    EXPECT_EQ(left().tx(queue).tx_burst(burst), 4U) << queue;
  }
  std::map<Bytes, int> arrived;
  std::size_t used = 0;
  for (int i = 0; i < 2000 && arrived.size() < frames.size(); ++i) {
    for (std::uint16_t queue = 0; queue < queues; ++queue) {
      Burst<32> burst;
      right().rx(queue).rx_burst(burst);
      for (const Mbuf& mbuf : burst) ++arrived[content(mbuf)];
      burst = {};
    }
    if (arrived.size() < frames.size()) pass_time();
  }
  for (const Bytes& frame : frames) EXPECT_EQ(arrived[frame], 1);
  for (const QueueStats& queue : right().stats().rx_queues) used += queue.packets != 0 ? 1 : 0;
  EXPECT_GE(used, queues * 3U / 4U) << 4 * queues << " flows on " << queues << " queues";
  for (const QueueStats& queue : left().stats().tx_queues) EXPECT_EQ(queue.packets, 4U);
  // One queue in the middle is restarted while the others run.
  const auto middle = static_cast<std::uint16_t>(queues * 11 / 16);
  ASSERT_TRUE(test::restart_rx(right(), middle, {.ring = 128}));
  ASSERT_TRUE(test::restart_tx(left(), static_cast<std::uint16_t>(queues - 1), {.ring = 128}));
  EXPECT_EQ(right().config().rx.at(middle).ring, 128U);
  EXPECT_EQ(left().config().tx.at(queues - 1U).ring, 128U);
}

CONFORMANCE_TEST_WHERE(Settings, ShowDescriptors, traits.card_receive) {
  start_both();
  RxQueue& rx = right().rx(0);
  TxQueue& tx = left().tx(0);
  EXPECT_EQ(rx.descriptor_status(0), RxDescriptorStatus::empty);
  EXPECT_EQ(rx.descriptor_status(64), std::nullopt);
  EXPECT_EQ(tx.descriptor_status(63), TxDescriptorStatus::free);
  send(left(), make_frames(5, 60));
  for (int i = 0; i < 2000 && rx.descriptor_status(4) != RxDescriptorStatus::done; ++i) pass_time();
  EXPECT_EQ(rx.descriptor_status(4), RxDescriptorStatus::done);
  for (int i = 0; i < 2000 && tx.descriptor_status(63) == TxDescriptorStatus::pending; ++i) pass_time();
  EXPECT_NE(tx.descriptor_status(63), TxDescriptorStatus::pending);
  EXPECT_EQ(receive(right(), 5).size(), 5U);
  EXPECT_EQ(rx.descriptor_status(0), RxDescriptorStatus::empty);
}

}  // namespace
}  // namespace pollux::conformance
