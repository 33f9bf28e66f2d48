// SPDX-License-Identifier: BSD-3-Clause
// The vmxnet3 driver on QEMU's device whose far ends are TAP interfaces of the kernel: there it passes checksums and
// segmentation on, in both directions.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "conformance/own_network.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/builder.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "qemu/fixture.hpp"
#include "support/chain.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

/// Two ports whose TAP interfaces are the ports of a bridge of the kernel.
struct Vmxnet3Bridge {
  explicit Vmxnet3Bridge(test::QemuFixture& with) : fixture(with) {
    for (const char* number : {"0", "1"}) {
      ports.push_back(fixture.open(number + std::string("?card=vmxnet3,tap=plxm")));
      EXPECT_TRUE(test::configure_port(ports.back().port, fixture.config));
    }
    EXPECT_EQ(std::system("ip link add plxmbr type bridge && ip link set plxm0 master plxmbr up && "
                          "ip link set plxm1 master plxmbr up && ip link set plxmbr up"),
              0);
    for (test::QemuPort& opened : ports) EXPECT_TRUE(opened.port.start());
  }
  ~Vmxnet3Bridge() { EXPECT_EQ(std::system("ip link del plxmbr"), 0); }

  void send(const std::vector<std::byte>& bytes, const TxOffload& request) {
    MbufPtr frame = pollux::test::make_chain(fixture.pool, bytes, 2000, 2000);
    ASSERT_TRUE(request_checksums(*frame, request));
    frame->set_tx_offload(request);
    Burst<1> burst;
    ASSERT_TRUE(burst.push(frame));
    ASSERT_EQ(ports[0].port.tx(0).tx_burst(burst), 1u);
  }
  /// The next IPv4 frame; nullptr if none comes.
  MbufPtr receive() {
    MbufPtr found;
    static_cast<void>(test::eventually([&] {
      Burst<1> burst;
      ports[1].port.rx(0).rx_burst(burst);
      MbufPtr frame = burst.pop();
      if (frame != nullptr && frame->length() > 14 && frame->data()[12] == 8 && frame->data()[13] == 0)
        found = std::move(frame);
      return found != nullptr;
    }));
    if (found == nullptr) {
      for (test::QemuPort& opened : ports)
        for (const Counter& counter : opened.port.extended_stats())
          if (counter.value != 0) ADD_FAILURE() << counter.name << " " << counter.value;
    }
    return found;
  }

  test::QemuFixture& fixture;
  std::vector<test::QemuPort> ports;
};

std::vector<std::byte> tcp_packet(std::size_t payload) {
  std::vector<std::uint8_t> memory(payload + 100);
  packet::Builder builder(memory);
  builder.ethernet({.destination = {2, 0, 0, 0x82, 0x57, 1}, .source = {2, 0, 0, 0x82, 0x57, 0}});
  builder.ipv4({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
  builder.tcp({.source_port = 1000, .destination_port = 2000});
  const auto made = builder.payload(std::vector<std::uint8_t>(payload, 0x33)).finish(0);
  EXPECT_TRUE(made);
  std::vector<std::byte> bytes(made->size());
  std::memcpy(bytes.data(), made->data(), bytes.size());
  return bytes;
}

constexpr TxOffload kChecksum{
    .flags = TxOffload::tcp_checksum | TxOffload::ipv4_checksum, .l2 = 14, .l3 = 20, .l4 = 20};
constexpr TxOffload kSegments{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 1000};

TEST(Vmxnet3Tap, AChecksumThatTheFarEndVouchesForIsGood) {
  if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
  conformance::enter_own_network();
  test::QemuFixture fixture;
  Vmxnet3Bridge pair(fixture);
  const std::vector<std::byte> packet = tcp_packet(500);
  pair.send(packet, kChecksum);
  const MbufPtr frame = pair.receive();
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(RxMetadata(*frame).l4_checksum(), ChecksumStatus::good);
  EXPECT_EQ(RxMetadata(*frame).ip_checksum(), ChecksumStatus::good);
  EXPECT_EQ(std::memcmp(frame->data(), packet.data(), packet.size()), 0);
}

TEST(Vmxnet3Tap, ALongFrameArrivesAsASuperframe) {
  if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
  conformance::enter_own_network();
  test::QemuFixture fixture;
  auto large = Mempool::create(fixture.context, {.count = 4096, .data_room = 4096, .name = "large"});
  ASSERT_TRUE(large);
  fixture.config.rx[0] = {.pool = *large};
  Vmxnet3Bridge pair(fixture);
  const std::vector<std::byte> packet = tcp_packet(20000);
  pair.send(packet, kSegments);
  MbufPtr frame = pair.receive();
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(frame->packet_length(), packet.size());
  const TxOffload request = frame->tx_offload();
  EXPECT_EQ(request.flags, TxOffload::tcp_segmentation);
  EXPECT_EQ(request.segment_size, 1460) << "what the MTU allows: the device does not say it";
  EXPECT_EQ(request.l4_offset(), 34u);
  const std::vector<Counter> counters = pair.ports[1].port.extended_stats();
  const auto merged = std::ranges::find(counters, "lro_packets", &Counter::name);
  ASSERT_NE(merged, counters.end());
  EXPECT_GE(merged->value, 1u);
  // It can be sent on as it is, unlike what a router gets from other drivers (FreeBSD, bug 219672).
  Port& port = pair.ports[1].port;
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  EXPECT_EQ(port.tx(0).tx_burst(burst), 1u);
  EXPECT_TRUE(test::eventually([&] { return port.stats().tx_packets == 1; }));
  EXPECT_EQ(port.stats().tx_dropped, 0u);
  EXPECT_EQ(port.stats().tx_errors, 0u);
}

TEST(Vmxnet3Tap, WithUsualBuffersTheKernelSegments) {
  if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
  conformance::enter_own_network();
  test::QemuFixture fixture;
  Vmxnet3Bridge pair(fixture);
  const std::vector<std::byte> packet = tcp_packet(20000);
  pair.send(packet, kSegments);
  std::size_t payload = 0;
  while (payload < 20000) {
    const MbufPtr frame = pair.receive();
    ASSERT_NE(frame, nullptr);
    EXPECT_LE(frame->packet_length(), 1054u);
    EXPECT_EQ(frame->tx_offload().flags, 0u);
    payload += frame->packet_length() - 54;
  }
  EXPECT_EQ(payload, 20000u);
}

}  // namespace
}  // namespace pollux
