// SPDX-License-Identifier: BSD-3-Clause
// The virtio-net driver on QEMU's device, whose rings DPDK's vhost library serves (net_vhost).
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "interop/far_end.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "qemu/fixture.hpp"
#include "support/chain.hpp"
#include "unit/models/virtio/frames.hpp"

namespace pollux {
namespace {

using models::virtio::PacketKind;
using test::FarEnd;
using test::Frame;

struct VhostUser : testing::Test {
  void SetUp() override {
    if (const std::string obstacle = FarEnd::obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  }
};

Frame content(const Mbuf& frame) {
  Frame bytes(frame.packet_length());
  static_cast<void>(frame.copy_out(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

/// What follows the addresses: testpmd's checksum engine writes its own.
Frame tail(const Frame& frame) { return {frame.begin() + 12, frame.end()}; }

/// Both cards of a QEMU, connected by a far end.
struct Pair {
  Pair(const FarEnd& far_end, const std::string& properties, std::uint32_t ring = 64, Duration tx_timeout = {}) {
    fixture.config.tx_timeout = tx_timeout;
    fixture.config.rx[0].ring = fixture.config.tx[0].ring = ring;
    // The queues of a port share no cache.
    fixture.config.rx[0].cache = fixture.config.tx[0].cache = {};
    fixture.config.rx.resize(FarEnd::kQueues, fixture.config.rx[0]);
    fixture.config.tx.resize(FarEnd::kQueues, fixture.config.tx[0]);
    for (const char* number : {"0?", "1?"}) {
      ports.push_back(fixture.start(number + far_end.uri_options() + ",properties=mq:on" + properties));
    }
    wait_for_far_end();
  }
  /// It drops what it cannot pass on yet. Afterwards no frame is on its way.
  void wait_for_far_end() {
    for (Port* const from : {&left(), &right()}) {
      Port& to = from == &left() ? right() : left();
      for (std::uint16_t queue = 0; queue < FarEnd::kQueues; ++queue) {
        std::uint32_t number = 0;
        EXPECT_TRUE(test::eventually([&] {
          const Frame frame = test::numbered_frame(++number, 60);
          EXPECT_TRUE(send(*from, queue, make(frame)));
          const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
          while (std::chrono::steady_clock::now() < end) {
            Burst<32> burst;
            to.rx(queue).rx_burst(burst);
            while (MbufPtr mbuf = burst.pop()) {
              if (tail(content(*mbuf)) == tail(frame)) return true;
            }
          }
          return false;
        }));
      }
    }
  }
  [[nodiscard]] Port& left() { return ports[0].port; }
  [[nodiscard]] Port& right() { return ports[1].port; }

  [[nodiscard]] bool send(Port& from, std::uint16_t queue, MbufPtr frame) {
    Burst<1> burst;
    static_cast<void>(burst.push(frame));
    return test::eventually([&] { return from.tx(queue).tx_burst(burst) == 1; });
  }
  [[nodiscard]] std::vector<MbufPtr> receive(Port& to, std::uint16_t queue, std::size_t count) {
    std::vector<MbufPtr> frames;
    EXPECT_TRUE(test::eventually([&] {
      Burst<32> burst;
      to.rx(queue).rx_burst(burst);
      const auto first = static_cast<std::ptrdiff_t>(frames.size());
      while (MbufPtr frame = burst.pop()) frames.push_back(std::move(frame));
      std::reverse(frames.begin() + first, frames.end());
      return frames.size() >= count;
    })) << frames.size()
        << " of " << count << " frames have arrived";
    return frames;
  }
  [[nodiscard]] MbufPtr make(const Frame& bytes) { return test::make_chain(fixture.pool, bytes, 1000, 1000); }

  test::QemuFixture fixture;
  std::vector<test::QemuPort> ports;
};

/// Frames of many lengths on each queue, several times around the ring.
void exchange(Pair& pair, Port& from, Port& to, std::uint32_t count = 200) {
  constexpr std::uint32_t kAtOnce = 50;
  for (std::uint32_t first = 0; first < count; first += kAtOnce) {
    for (std::uint16_t queue = 0; queue < FarEnd::kQueues; ++queue) {
      std::vector<Frame> frames;
      for (std::uint32_t i = first; i < first + kAtOnce; ++i) {
        frames.push_back(test::numbered_frame(i * FarEnd::kQueues + queue, 60 + i % 1455));
        ASSERT_TRUE(pair.send(from, queue, pair.make(frames.back())));
      }
      const auto arrived = pair.receive(to, queue, frames.size());
      ASSERT_EQ(arrived.size(), frames.size());
      for (std::size_t i = 0; i < frames.size(); ++i)
        ASSERT_EQ(content(*arrived[i]), frames[i]) << "frame " << first + i;
    }
  }
}

void exchange_both(Pair& pair) {
  exchange(pair, pair.left(), pair.right());
  exchange(pair, pair.right(), pair.left());
}

void expect_no_drops(Port& port) {
  EXPECT_TRUE(port.service());
  for (const Counter& drop : port.stats().drops) EXPECT_EQ(drop.value, 0U) << drop.name;
}

/// Properties of QEMU's device, and the size of its rings.
struct Rings {
  const char* name;
  const char* properties;
  std::uint32_t ring = 64;
};

struct VhostUserRings : VhostUser, testing::WithParamInterface<Rings> {};

TEST_P(VhostUserRings, FramesPass) {
  FarEnd far_end;
  Pair pair(far_end, GetParam().properties, GetParam().ring);
  exchange_both(pair);
  expect_no_drops(pair.left());
  expect_no_drops(pair.right());
}

INSTANTIATE_TEST_SUITE_P(
    Formats, VhostUserRings,
    testing::Values(Rings{"split", ""}, Rings{"packed", "+packed:on"}, Rings{"split_single", "+mrg_rxbuf:off"},
                    Rings{"packed_single", "+packed:on+mrg_rxbuf:off"}, Rings{"split_in_order", "+in_order:on"},
                    Rings{"packed_in_order", "+packed:on+in_order:on"}, Rings{"split_flags", "+event_idx:off"},
                    Rings{"packed_flags", "+packed:on+event_idx:off"}, Rings{"direct", "+indirect_desc:off"},
                    Rings{"long", "+rx_queue_size:1024+tx_queue_size:1024", 512}),
    [](const auto& rings) { return rings.param.name; });

/// A long frame keeps its request on the whole way.
void expect_segments(Pair& pair, const PacketKind& kind) {
  constexpr std::size_t kPayload = 4500;
  constexpr std::uint16_t kSegment = 1000;
  MbufPtr frame = pair.make(models::virtio::packet(kind, kPayload, false));
  ASSERT_TRUE(request_checksums(*frame, {.flags = TxOffload::tcp_segmentation,
                                         .l2 = 14,
                                         .l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip()),
                                         .l4 = static_cast<std::uint16_t>(kind.payload() - kind.l4()),
                                         .segment_size = kSegment}));
  ASSERT_TRUE(pair.send(pair.left(), 0, std::move(frame)));
  const auto arrived = pair.receive(pair.right(), 0, 1);
  ASSERT_EQ(arrived.size(), 1U);
  EXPECT_EQ(arrived[0]->packet_length(), kind.payload() + kPayload);
  const TxOffload request = arrived[0]->tx_offload();
  EXPECT_NE(request.flags & TxOffload::tcp_segmentation, 0U);
  EXPECT_EQ(request.segment_size, kSegment);
  EXPECT_EQ(request.l4_offset(), kind.l4());
}

TEST(VhostUserStart, SaysThatAFarEndMayBeMissing) {
  test::QemuFixture fixture;
  const auto device = open_device(fixture.context, "qtest:0?card=virtio-net,vhost-user=/nowhere/socket,timeout=500");
  ASSERT_FALSE(device);
  EXPECT_EQ(device.error().code, ErrorCode::timeout);
  EXPECT_THAT(device.error().hint, testing::HasSubstr("both programs of vhost-user="));
}

TEST_F(VhostUser, ChecksumsAndSegmentsAreRightOrDeclared) {
  // testpmd asks the receiver for the checksums that the sender has not computed, and declares long TCP frames.
  FarEnd far_end(",tso=1",
                 "stop\nport stop all\ncsum set tcp hw 0\ncsum set udp hw 0\ncsum set tcp hw 1\ncsum set udp hw 1\n"
                 "tso set 1000 0\ntso set 1000 1\nset fwd csum\nset eth-peer 0 ff:ff:ff:ff:ff:ff\n"
                 "set eth-peer 1 ff:ff:ff:ff:ff:ff\nport start all\n");
  for (const char* properties : {"", "+packed:on"}) {
    SCOPED_TRACE(properties);
    Pair pair(far_end, properties);
    for (const bool ipv6 : {false, true}) {
      for (const bool udp : {false, true}) {
        SCOPED_TRACE(testing::Message() << (ipv6 ? "IPv6 " : "IPv4 ") << (udp ? "UDP" : "TCP"));
        const PacketKind kind{.ipv6 = ipv6, .udp = udp};
        const auto l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip());
        const Frame packet = models::virtio::packet(kind, 300, false);
        MbufPtr frame = pair.make(packet);
        ASSERT_TRUE(request_checksums(
            *frame, {.flags = udp ? TxOffload::udp_checksum : TxOffload::tcp_checksum, .l2 = 14, .l3 = l3}));
        ASSERT_TRUE(pair.send(pair.left(), 0, std::move(frame)));
        const auto arrived = pair.receive(pair.right(), 0, 1);
        ASSERT_EQ(arrived.size(), 1U);
        EXPECT_EQ(complete_checksums(*arrived[0]), ChecksumCompletion::complete);
        EXPECT_EQ(tail(content(*arrived[0])), tail(packet));
        if (!udp) expect_segments(pair, kind);
      }
    }
  }
}

/// One direction of a pair, as fast as it goes.
struct Flow {
  Port* from;
  Port* to;
  std::uint64_t taken = from->stats().tx_packets;
  std::uint64_t arrived = 0;

  void burst(Mempool& pool) {
    for (std::uint16_t queue = 0; queue < FarEnd::kQueues; ++queue) {
      Burst<32> burst;
      while (!burst.full()) {
        MbufPtr frame = test::make_chain(pool, test::numbered_frame(0, 60), 60, 60);
        static_cast<void>(burst.push(frame));
      }
      taken += from->tx(queue).tx_burst(burst);
      burst.drop(seen);
      arrived += to->rx(queue).rx_burst(burst);
      burst.drop(seen);
    }
  }
  DropCounter seen{"seen"};
};

// A packed ring has to be reset: QEMU forgets where it was. The port does that itself if it has frames to send.
TEST_F(VhostUser, AFarEndThatDiesTakesTheLinkDownAndItsSuccessorGoesOn) {
  for (const bool packed : {false, true}) {
    SCOPED_TRACE(packed ? "packed" : "split");
    FarEnd far_end;
    Pair pair(far_end, packed ? "+packed:on" : "", 64, std::chrono::milliseconds(500));
    std::array<std::set<PortEventKind>, 2> events;
    for (unsigned i = 0; i < 2; ++i)
      pair.ports[i].port.on_event([&events, i](const PortEvent& event) { events[i].insert(event.kind); });
    std::array flows{Flow{&pair.left(), &pair.right()}, Flow{&pair.right(), &pair.left()}};
    const auto pass_frames_until = [&](const std::function<bool()>& condition) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (!condition() && std::chrono::steady_clock::now() < end) {
        for (Flow& flow : flows) flow.burst(pair.fixture.pool);
        EXPECT_TRUE(pair.fixture.context.control().run_due());
      }
      return condition();
    };
    const auto both_have_seen = [&](PortEventKind kind) {
      return [&events, kind] { return events[0].contains(kind) && events[1].contains(kind); };
    };
    const auto arrives = [&] { return flows[0].arrived > 1000 && flows[1].arrived > 1000; };
    ASSERT_TRUE(pass_frames_until(both_have_seen(PortEventKind::link_up)));
    ASSERT_TRUE(pass_frames_until(arrives));
    for (auto& seen : events) seen.clear();
    std::thread killer([&] { far_end.kill(); });
    EXPECT_TRUE(pass_frames_until(both_have_seen(PortEventKind::link_down)));
    killer.join();
    EXPECT_EQ(pair.left().state(), PortState::started);
    EXPECT_FALSE(pair.left().link().up);
    for (Flow& flow : flows) flow.arrived = 0;
    far_end.start();
    EXPECT_TRUE(pass_frames_until(both_have_seen(PortEventKind::link_up)));
    EXPECT_TRUE(pass_frames_until(arrives));
    EXPECT_EQ(events[0].contains(PortEventKind::tx_timeout), packed);
    for (const Flow& flow : flows) {
      EXPECT_TRUE(flow.from->stop());
      const Stats stats = flow.from->stats();
      std::uint64_t dropped = 0;
      for (const Counter& drop : stats.drops) dropped += drop.name == "tx_stopped" ? drop.value : 0;
      EXPECT_EQ(stats.tx_packets + dropped, flow.taken);
      EXPECT_TRUE(flow.from->close());
    }
    EXPECT_EQ(pair.fixture.pool.stats().in_use(), 0U);
  }
}

}  // namespace
}  // namespace pollux
