// SPDX-License-Identifier: BSD-3-Clause
// What the driver at hand, veth, tells about received frames besides their bytes.
#include "ports/xdp/bpf/hints.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "pollux/net/flow/match.hpp"
#include "pollux/net/offload_limits.hpp"
#include "pollux/net/port_facts.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "support/settings_edits.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::HasSubstr;

class XdpPortHints : public XdpPort {
 protected:
  static constexpr const char* kUri = "xdp:plxu0?rule=udp:53;type:0x88b5,hints";
  static constexpr std::uint16_t kVlan = 7;
  static constexpr std::uint16_t kQueues = 8;  // of make_veth_pair
  static constexpr std::uint16_t kIpv4 = 0x0800;

  void SetUp() override {
    XdpPort::SetUp();
    if (IsSkipped()) return;
    if (xdp::hints_of(::if_nametoindex("plxu0")) == 0) GTEST_SKIP() << "veth gives hints from Linux 6.8 on";
  }
  void TearDown() override {
    for (const std::string& bridge : bridges_) EXPECT_EQ(std::system(("ip link del " + bridge).c_str()), 0);
  }
  void make_bridge(const std::string& name, const std::vector<std::string>& ports) {
    std::string command = "ip link add " + name + " type bridge && ip link set " + name + " up";
    for (const std::string& port : ports)
      command.append(" && ip link set ").append(port).append(" master ").append(name);
    ASSERT_EQ(std::system(command.c_str()), 0);
    bridges_.push_back(name);
  }
  /// A UDP datagram, in a VLAN or not.
  static Bytes datagram(std::uint16_t source_port, std::optional<std::uint16_t> tag = {}) {
    Bytes frame{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2, 0, 0, 0, 0, 1};
    if (tag)
      frame.insert(frame.end(), {0x81, 0, static_cast<std::uint8_t>(*tag >> 8), static_cast<std::uint8_t>(*tag)});
    frame.insert(frame.end(), {8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0x66, 0xBD, 10, 0, 0, 1, 10, 0, 0, 2});
    frame.insert(frame.end(), {static_cast<std::uint8_t>(source_port >> 8), static_cast<std::uint8_t>(source_port), 0,
                               53, 0, 26, 0, 0});
    frame.resize(frame.size() + 18);
    return frame;
  }
  struct Received {
    Bytes bytes;
    std::optional<std::uint32_t> hash;
    std::optional<std::uint16_t> vlan;
    Bytes whole;  // with the tag
  };
  /// With all queues of the interface: the kernel spreads flows over them.
  Port with_all_queues(const std::string& uri, std::uint32_t mtu = 1500) {
    Settings all = config();
    all.rx.resize(kQueues, all.rx[0]);
    all.mtu = mtu;
    return must(open(context_, uri, all));
  }
  Received receive_one(Port& port) {
    Burst<1> burst;
    const auto one_comes = [&] {
      for (std::uint16_t queue = 0; queue < kQueues && burst.empty(); ++queue) port.rx(queue).rx_burst(burst);
      return !burst.empty();
    };
    if (!soon(one_comes)) return {};
    Mbuf& mbuf = *burst.begin();
    const RxMetadata metadata(mbuf);
    Received received{.bytes = bytes_of(mbuf), .hash = metadata.rss_hash(), .vlan = metadata.vlan(), .whole = {}};
    EXPECT_TRUE(put_back_vlan_tag(mbuf));
    received.whole = bytes_of(mbuf);
    return received;
  }
  static Bytes bytes_of(const Mbuf& mbuf) {
    Bytes bytes(mbuf.packet_length());
    EXPECT_EQ(mbuf.copy_out(0, bytes), bytes.size());
    return bytes;
  }

  std::vector<std::string> bridges_;
};

TEST_F(XdpPortHints, AreThoseThatTheDriverNames) {
  Port port = with_all_queues(kUri);
  EXPECT_EQ(port.offloads().rx_flags, RxOffload::rss_hash | RxOffload::vlan);
  const auto facts = port.capability<PortFacts>()->facts();
  const auto fact = std::ranges::find(facts, "hints", &PortFact::name);
  ASSERT_NE(fact, facts.end());
  EXPECT_EQ(fact->value, "hash, VLAN tag");
}

TEST_F(XdpPortHints, HaveTheHashOfAFlow) {
  Port port = with_all_queues(kUri);
  KernelEnd kernel("plxu1", kIpv4);
  std::vector<std::uint32_t> hashes;
  for (const std::uint16_t source : std::array<std::uint16_t, 5>{1000, 1000, 1001, 1002, 1003}) {
    kernel.send(datagram(source));
    const Received received = receive_one(port);
    EXPECT_EQ(received.bytes, datagram(source));
    ASSERT_TRUE(received.hash);
    EXPECT_FALSE(received.vlan);
    hashes.push_back(*received.hash);
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  std::ranges::sort(hashes);
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  EXPECT_GE(hashes.size(), 3U) << "four flows, and a hash of 32 bits";
  KernelEnd("plxu1").send(ether(numbered(60, 1)));
  EXPECT_FALSE(receive_one(port).hash) << "there is no flow";
}

// A bridge has taken the tag out of the frame's bytes before the program sees it: without hints it is lost.
TEST_F(XdpPortHints, HaveTheTagOfAVlan) {
  conformance::make_veth_pair("plxu2", "plxu3");
  make_bridge("plxb", {"plxu1", "plxu3"});
  KernelEnd kernel("plxu2", kIpv4);
  {
    Port plain = with_all_queues("xdp:plxu0?rule=udp:53");
    kernel.send(datagram(1000, kVlan));
    const Received received = receive_one(plain);
    EXPECT_EQ(received.bytes, datagram(1000));
    EXPECT_FALSE(received.vlan);
    EXPECT_FALSE(received.hash);
  }
  Port port = with_all_queues(kUri);
  for (int round = 0; round < 200; ++round) {  // all mbufs, so that a record of an earlier frame would show
    const bool has_tag = round % 3 == 0;
    kernel.send(has_tag ? datagram(1000, kVlan) : datagram(1000));
    const Received received = receive_one(port);
    ASSERT_EQ(received.bytes, datagram(1000)) << round;
    ASSERT_EQ(received.vlan, has_tag ? std::optional<std::uint16_t>(kVlan) : std::nullopt) << round;
    ASSERT_EQ(received.whole, has_tag ? datagram(1000, kVlan) : datagram(1000));
  }
}

TEST_F(XdpPortHints, OutliveAChangeOfRules) {
  Port port = with_all_queues(kUri);
  KernelEnd kernel("plxu1", kIpv4);
  must(test::add_rule(port, {match::udp(), to_port()}));
  ASSERT_TRUE(test::remove_rule(port, FlowRuleId{1}));
  kernel.send(datagram(7));
  EXPECT_TRUE(receive_one(port).hash);
  ASSERT_TRUE(port.stop());
  ASSERT_TRUE(port.start());
  kernel.send(datagram(7));
  EXPECT_TRUE(receive_one(port).hash);
}

TEST_F(XdpPortHints, BelongToTheFirstBufferOfAFrame) {
  Port port = with_all_queues(kUri, 9000);
  KernelEnd kernel("plxu1", kIpv4);
  Bytes frame = datagram(7);
  frame.resize(9014, 5);
  frame[16] = 9000 >> 8;
  frame[17] = 9000 & 0xFF;
  kernel.send(frame);
  const Received received = receive_one(port);
  EXPECT_EQ(received.bytes, frame);
  EXPECT_TRUE(received.hash);
}

TEST_F(XdpPortHints, AreRefusedWhereThereAreNone) {
  const Error generic = refused("xdp:plxu0?rule=all,hints,mode=generic");
  EXPECT_EQ(generic.code, ErrorCode::not_supported);
  EXPECT_THAT(generic.what, HasSubstr("no hints"));
  make_bridge("plxb", {});
  EXPECT_THAT(refused("xdp:plxb?rule=all,hints").hint, HasSubstr("leave out hints"));
  EXPECT_THAT(refused("xdp:plxu0?hints=7").what, HasSubstr("hints"));
}

}  // namespace
}  // namespace pollux::ports
