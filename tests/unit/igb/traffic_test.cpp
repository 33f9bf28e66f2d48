// SPDX-License-Identifier: BSD-3-Clause
// Frames through a port on the in-process card: which arrive, which do not, and what is counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "pollux/mem/burst.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

std::vector<std::byte> to(const MacAddress& destination, std::size_t bytes, unsigned seed = 0) {
  auto frame = broadcast(bytes, seed);
  for (std::size_t i = 0; i < 6; ++i) frame[i] = static_cast<std::byte>(destination[i]);
  return frame;
}

std::vector<std::byte> bytes_of(const Mbuf& mbuf) {
  std::vector<std::byte> bytes(mbuf.packet_length());
  static_cast<void>(mbuf.copy_out(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

/// Receives all frames that have arrived and returns their number.
std::uint32_t receive(PortMachine& port, std::uint16_t queue = 0) {
  Burst<64> burst;
  std::uint32_t all = 0;
  while (const std::uint32_t count = port.rx_queue(queue)->rx_burst(burst)) {
    all += count;
    burst = {};
  }
  return all;
}

/// Sends a frame of `bytes` bytes in segments of at most `piece`.
void send(IgbFixture& fixture, PortMachine& port, std::size_t bytes, std::size_t piece = 2000,
          std::uint16_t queue = 0) {
  MbufPtr frame;
  for (std::size_t at = 0; at < bytes; at += piece) {
    MbufPtr segment = fixture.pool.allocate();
    ASSERT_NE(segment, nullptr);
    const std::size_t count = std::min(piece, bytes - at);
    std::uint8_t* const data = segment->append(static_cast<std::uint32_t>(count));
    ASSERT_NE(data, nullptr);
    for (std::size_t i = 0; i < count; ++i) data[i] = static_cast<std::uint8_t>(at + i);
    if (frame == nullptr) {
      frame = std::move(segment);
    } else {
      ASSERT_TRUE(frame->chain(segment));
    }
  }
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  ASSERT_EQ(port.tx_queue(queue)->tx_burst(burst), 1u);
}

TEST(Receive, DeliversFramesWholeAndInOrder) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  const std::array<std::size_t, 5> sizes{60, 61, 512, 1514, 1518};
  std::uint64_t octets = 0;
  for (unsigned i = 0; i < sizes.size(); ++i) {
    fixture.wire->inject(broadcast(sizes[i], i));
    octets += sizes[i];
  }
  Burst<8> burst;
  ASSERT_EQ(port->rx_queue(0)->rx_burst(burst), sizes.size());
  for (unsigned i = 0; i < sizes.size(); ++i) {
    EXPECT_EQ(bytes_of(burst[i]), broadcast(sizes[i], i)) << "without CRC";
    EXPECT_EQ(burst[i].port(), port->info().index);
  }
  const Stats stats = port->stats();
  EXPECT_EQ(stats.rx_packets, sizes.size());
  EXPECT_EQ(stats.rx_bytes, octets);
  EXPECT_EQ(stats.rx_burst_packets, sizes.size());
  EXPECT_EQ(stats.dropped(), 0u);
}

TEST(Receive, TakesJumboFramesInSeveralBuffers) {
  IgbFixture fixture;
  Settings config = fixture.config();
  config.mtu = 9706;
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  const auto longest = broadcast(9724);
  fixture.wire->inject(longest);
  Burst<8> burst;
  ASSERT_EQ(port->rx_queue(0)->rx_burst(burst), 1u);
  EXPECT_EQ(burst[0].segments(), 5u);
  EXPECT_EQ(bytes_of(burst[0]), longest);
  fixture.wire->inject(broadcast(9725));
  EXPECT_EQ(receive(*port), 0u);
}

TEST(Receive, KeepsToTheMtu) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(1518));
  fixture.wire->inject(broadcast(1519));
  EXPECT_EQ(receive(*port), 1u);
  ASSERT_TRUE(test::set_mtu(*port, 4000));
  fixture.wire->inject(broadcast(4018));
  fixture.wire->inject(broadcast(4019));
  EXPECT_EQ(receive(*port), 1u);
  // The two frames that were too long are counted.
  EXPECT_EQ(port->stats().rx_packets, 2u);
  EXPECT_EQ(port->stats().rx_errors, 2u);
}

TEST(Receive, FiltersByDestination) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  const MacAddress other{0x02, 9, 9, 9, 9, 9};
  const MacAddress group{0x01, 0x00, 0x5E, 1, 2, 3};
  const auto arrives = [&](const MacAddress& destination) {
    fixture.wire->inject(to(destination, 64));
    return receive(*port) == 1;
  };
  EXPECT_TRUE(arrives(port->mac()));
  EXPECT_FALSE(arrives(other));
  EXPECT_FALSE(arrives(group));
  ASSERT_TRUE(test::set_all_multicast(*port, true));
  EXPECT_TRUE(arrives(group));
  EXPECT_FALSE(arrives(other));
  ASSERT_TRUE(test::set_promiscuous(*port, true));
  EXPECT_TRUE(arrives(other));
  ASSERT_TRUE(test::set_promiscuous(*port, false));
  EXPECT_FALSE(arrives(other));
  const MacAddress before = port->mac();
  ASSERT_TRUE(test::set_mac(*port, other));
  EXPECT_TRUE(arrives(other));
  EXPECT_FALSE(arrives(before));
}

std::vector<std::byte> ipv4(std::uint8_t host) {
  auto frame = broadcast(64);
  const std::array<std::uint8_t, 22> header{0x08, 0x00, 0x45, 0,  0, 50, 0, 0,  0, 0, 64,
                                            17,   0,    0,    10, 0, 0,  1, 10, 0, 0, host};
  std::transform(header.begin(), header.end(), frame.begin() + 12, [](std::uint8_t b) { return std::byte{b}; });
  return frame;
}

TEST(Receive, SpreadsOverSixteenQueues) {
  IgbFixture fixture({}, {.count = 4096});
  Settings config = fixture.config();
  config.rx[0].ring = 128;
  config.rx.resize(16, config.rx[0]);
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  for (unsigned host = 0; host < 256; ++host) fixture.wire->inject(ipv4(static_cast<std::uint8_t>(host)));
  std::uint32_t all = 0;
  for (std::uint16_t queue = 0; queue < 16; ++queue) {
    const std::uint32_t here = receive(*port, queue);
    EXPECT_GT(here, 0u) << "queue " << queue;
    all += here;
  }
  EXPECT_EQ(all, 256u);
  for (int i = 0; i < 3; ++i) fixture.wire->inject(broadcast(64));
  EXPECT_EQ(receive(*port, 0), 3u) << "frames without IP go to queue 0";
}

TEST(Transmit, SendsOnEveryQueue) {
  IgbFixture fixture;
  Settings config = fixture.config();
  config.tx.resize(16, config.tx[0]);
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  for (std::uint16_t queue = 0; queue < 16; ++queue) send(fixture, *port, 100u + queue, 2000, queue);
  ASSERT_EQ(fixture.sent.size(), 16u);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(fixture.sent[i].size(), 100 + i);
  for (std::uint32_t queue = 0; queue < 16; ++queue) {
    EXPECT_EQ(fixture.value<reg::TDH>(queue).raw(), 1u) << "queue " << queue << " sent none or several";
  }
  const Stats stats = port->stats();
  EXPECT_EQ(stats.tx_packets, 16u);
  EXPECT_EQ(stats.tx_burst_packets, 16u);
}

TEST(Transmit, SendsJumboFramesInPieces) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  send(fixture, *port, 9724, 1000);
  ASSERT_EQ(fixture.sent.size(), 1u);
  ASSERT_EQ(fixture.sent[0].size(), 9724u);
  for (std::size_t i = 0; i < 9724; ++i) ASSERT_EQ(fixture.sent[0][i], static_cast<std::byte>(i));
}

TEST(Transmit, DropsAndCountsWhatTheCardCannotSend) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  send(fixture, *port, 9725, 1000);
  send(fixture, *port, 16);
  send(fixture, *port, 100, 3);
  EXPECT_TRUE(fixture.sent.empty());
  std::map<std::string, std::uint64_t> drops;
  const Stats stats = port->stats();
  for (const Counter& drop : stats.drops) drops[drop.name] = drop.value;
  EXPECT_EQ(drops.at("tx_too_long"), 1u);
  EXPECT_EQ(drops.at("tx_too_short"), 1u);
  EXPECT_EQ(drops.at("tx_too_many_segments"), 1u);
  EXPECT_EQ(stats.dropped(), 3u);
  EXPECT_EQ(stats.tx_burst_packets, 3u);
  EXPECT_TRUE(port->stop());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(Stop, CountsFramesThatWereNotPolled) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  for (int i = 0; i < 5; ++i) fixture.wire->inject(broadcast(64));
  EXPECT_TRUE(port->stop());
  const Stats stats = port->stats();
  EXPECT_EQ(stats.rx_packets, 5u);
  EXPECT_EQ(stats.rx_burst_packets, 0u);
  EXPECT_EQ(stats.dropped(), 5u);
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(Stop, CountsSurviveRestartAndClose) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(64));
  EXPECT_EQ(receive(*port), 1u);
  send(fixture, *port, 64);
  ASSERT_TRUE(port->stop());
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  fixture.wire->inject(broadcast(64));
  EXPECT_EQ(receive(*port), 1u);
  ASSERT_TRUE(port->close());
  const Stats stats = port->stats();
  EXPECT_EQ(stats.rx_packets, 2u);
  EXPECT_EQ(stats.tx_packets, 1u);
  EXPECT_EQ(stats.rx_burst_packets, 2u);
}

// A transmit queue without a configured cache gets one of its own if the pool is large enough.
TEST(TransmitCache, ExistsIfThePoolIsLargeEnough) {
  // Enough means 1,024 mbufs for each transmit queue besides the receive rings.
  struct Case {
    std::uint32_t pool;
    std::uint16_t tx_queues;
    bool cached;
  };
  for (const Case& each :
       {Case{64 + 1024, 1, true}, Case{64 + 1023, 1, false}, Case{64 + 2048, 2, true}, Case{64 + 2047, 2, false}}) {
    IgbFixture fixture({}, {.count = each.pool});
    Settings config = fixture.config();
    config.tx.resize(each.tx_queues, config.tx[0]);
    auto port = fixture.started(config);
    ASSERT_NE(port, nullptr);
    const std::uint32_t cached_before = fixture.pool.stats().cached;
    const std::uint32_t in_rings = fixture.pool.stats().in_use();
    for (unsigned i = 0; i < 8; ++i) send(fixture, *port, 60, 2000, static_cast<std::uint16_t>(each.tx_queues - 1));
    port->tx_queue(static_cast<std::uint16_t>(each.tx_queues - 1))->tx_done_cleanup();
    EXPECT_EQ(fixture.sent.size(), 8u);
    EXPECT_EQ(fixture.pool.stats().cached - cached_before, each.cached ? 8u : 0u) << each.pool;
    EXPECT_EQ(fixture.pool.stats().in_use(), in_rings) << "the sent mbufs are free in either case";
    ASSERT_TRUE(port->close());
    EXPECT_TRUE(fixture.all_mbufs_free());
  }
}

TEST(TransmitCache, DoesNotExistWithoutReceiveQueues) {
  IgbFixture fixture({}, {.count = 4096});
  auto port = fixture.started({.rx = {}, .tx = {{.ring = 64}}});
  ASSERT_NE(port, nullptr);
  send(fixture, *port, 60);
  port->tx_queue(0)->tx_done_cleanup();
  EXPECT_EQ(fixture.pool.stats().cached, 0u) << "the port does not know whose frames it will send";
  EXPECT_TRUE(fixture.all_mbufs_free());
}

TEST(Link, ComesUpByItself) {
  IgbFixture fixture;
  auto port = fixture.open();
  ASSERT_TRUE(test::configure_port(*port, fixture.config()));
  EXPECT_FALSE(port->link().up);
  ASSERT_TRUE(port->start());
  EXPECT_FALSE(port->link().up);
  fixture.clock->advance(std::chrono::milliseconds(600));
  const Link link = port->link();
  EXPECT_EQ(link, (Link{.up = true, .speed = 1000, .duplex = Duplex::full, .autonegotiated = true}));
  fixture.wire->set_carrier(false);
  EXPECT_FALSE(port->link().up);
}

TEST(ExtendedStats, NameEachCounterOnce) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  fixture.wire->inject(broadcast(64));
  EXPECT_EQ(receive(*port), 1u);
  std::map<std::string, std::uint64_t> counters;
  const auto list = port->extended_stats();
  for (const Counter& counter : list) counters[counter.name] = counter.value;
  EXPECT_EQ(counters.size(), list.size());
  EXPECT_EQ(counters.at("rx_packets"), 1u);
  EXPECT_EQ(counters.at("GPRC"), 1u);
  EXPECT_EQ(counters.at("GORC"), 68u);
  EXPECT_EQ(counters.at("rx_bytes"), 64u) << "without FCS";
  EXPECT_EQ(counters.at("rx_queue_0_packets"), 1u);
  EXPECT_EQ(counters.at("rx_pool_empty"), 0u);
}

/// While the head of a full ring is read, a thread takes frames and others arrive, so that the head passes its old
/// place.
TEST(Traffic, NoFrameOfAFullRingIsMissedWhileAThreadPolls) {
  IgbFixture fixture;
  Settings config = fixture.config();
  config.rx.resize(2, config.rx[0]);  // so that frames without a descriptor are dropped
  auto port = fixture.started(config);
  ASSERT_NE(port, nullptr);
  const auto arrive = [&fixture](unsigned frames) {
    for (unsigned i = 0; i < frames; ++i) fixture.wire->inject(broadcast(60));
  };
  arrive(63);
  unsigned reads = 0;
  fixture.faults->on_read = [&](std::uint32_t offset) -> std::optional<std::uint32_t> {
    if (offset != reg::RDH::offset(0) || reads++ != 0) return std::nullopt;
    Burst<16> burst;
    EXPECT_EQ(port->rx_queue(0)->rx_burst(burst), 16u);
    arrive(8);
    return std::nullopt;
  };
  EXPECT_EQ(port->stats().rx_missed_errors, 0u);
  EXPECT_EQ(reads, 2u);
  EXPECT_EQ(receive(*port), 55u);
}

}  // namespace
}  // namespace pollux::drivers::igb
