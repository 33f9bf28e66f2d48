// SPDX-License-Identifier: BSD-3-Clause
// The virtio-net driver on QEMU's device behind TAP interfaces, which offers all that QEMU has: every pair of two
// properties with each of their values.
#include <gmock/gmock.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "conformance/own_network.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "qemu/fixture.hpp"
#include "support/chain.hpp"
#include "support/settings_edits.hpp"
#include "unit/models/virtio/frames.hpp"

namespace pollux {
namespace {

using models::virtio::PacketKind;
using test::Frame;

/// Properties of QEMU's device that are switched together.
struct Factor {
  const char* on;
  const char* off;
};
constexpr Factor kFactors[] = {
    {"packed:on", "packed:off"},
    {"in_order:on", "in_order:off"},
    {"mrg_rxbuf:on", "mrg_rxbuf:off"},
    {"event_idx:on", "event_idx:off"},
    {"indirect_desc:on", "indirect_desc:off"},
    {"queue_reset:on", "queue_reset:off"},
    {"iommu_platform:on+disable-legacy:on", "iommu_platform:off"},
    {"csum:on", "csum:off"},
    {"guest_csum:on", "guest_csum:off"},
    {"host_tso4:on+host_tso6:on+host_ecn:on", "host_tso4:off+host_tso6:off+host_ecn:off"},
    {"guest_tso4:on+guest_tso6:on+guest_ecn:on", "guest_tso4:off+guest_tso6:off+guest_ecn:off"},
    {"host_uso:on", "host_uso:off"},
    {"guest_uso4:on+guest_uso6:on", "guest_uso4:off+guest_uso6:off"},
    {"ctrl_vq:on", "ctrl_vq:off"},
    {"ctrl_rx:on", "ctrl_rx:off"},
    {"ctrl_vlan:on", "ctrl_vlan:off"},
    {"ctrl_mac_addr:on", "ctrl_mac_addr:off"},
    {"guest_announce:on", "guest_announce:off"},
    {"mq:on", "mq:off"},
    {"rss:on", "rss:off"},
    {"hash:on", "hash:off"},
    {"status:on", "status:off"},
    {"host_mtu:1500", "host_mtu:0"},
};
constexpr unsigned kRows = 8;

/// The rows in which a factor is on. Any two of these sets have the same size and differ, so each has a row that the
/// other lacks; they are larger than half of the rows but the first, so they share one; and both lack the first.
/// Eight rows are enough for 35 factors.
std::vector<unsigned> covering_array() {
  std::vector<unsigned> columns;
  for (unsigned rows = 0; rows < 1U << kRows; rows += 2) {
    if (std::popcount(rows) == kRows / 2 && columns.size() < std::size(kFactors)) columns.push_back(rows);
  }
  return columns;
}

/// The properties of a row; of kRows: all are on.
std::string properties_of(unsigned row) {
  const std::vector<unsigned> columns = covering_array();
  std::string properties;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const bool on = ((columns[i] | 1U << kRows) >> row & 1) != 0;
    properties += (i == 0 ? "" : "+") + std::string(on ? kFactors[i].on : kFactors[i].off);
  }
  return properties;
}

TEST(CoveringArray, HasEveryPairOfValuesOfTwoFactors) {
  const std::vector<unsigned> columns = covering_array();
  ASSERT_EQ(columns.size(), std::size(kFactors));
  for (std::size_t one = 0; one < columns.size(); ++one) {
    for (std::size_t other = 0; other < one; ++other) {
      std::set<std::pair<bool, bool>> values;
      for (unsigned row = 0; row < kRows; ++row) {
        values.emplace((columns[one] >> row & 1) != 0, (columns[other] >> row & 1) != 0);
      }
      EXPECT_EQ(values.size(), 4U) << kFactors[one].on << " and " << kFactors[other].on;
    }
  }
}

/// Two ports whose TAP interfaces are the ports of a bridge of the kernel.
class BridgedPair {
 public:
  BridgedPair(test::QemuFixture& fixture, const std::string& properties) : fixture_(fixture) {
    for (const char* number : {"0", "1"}) {
      ports_.push_back(
          fixture.open(number + std::string("?card=virtio-net,tap=plxv,queues=2,properties=") + properties));
    }
    bridge();
    for (test::QemuPort& opened : ports_) {
      Settings config = fixture.config;
      config.rx[0].cache = {};
      config.tx[0].cache = {};
      const auto queues = std::min<std::uint16_t>(2, opened.port.info().limits.max_rx_queues);
      config.rx.resize(queues, config.rx[0]);
      config.tx.resize(queues, config.tx[0]);
      EXPECT_TRUE(test::configure_port(opened.port, config));
      const auto started = opened.port.start();
      EXPECT_TRUE(started) << started.error().message();
    }
  }
  ~BridgedPair() {
    ports_.clear();
    ifreq down = request("plxvbr");
    static_cast<void>(::ioctl(socket_.get(), SIOCSIFFLAGS, &down));
    EXPECT_EQ(::ioctl(socket_.get(), SIOCBRDELBR, "plxvbr"), 0);
  }

  [[nodiscard]] Port& left() { return ports_[0].port; }
  [[nodiscard]] Port& right() { return ports_[1].port; }

  void send(Port& from, MbufPtr frame) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(frame));
    ASSERT_EQ(from.tx(static_cast<std::uint16_t>(sent_++ % from.config().tx.size())).tx_burst(burst), 1U);
  }
  /// Polls until `done` says that it has all.
  template <class Done>
  [[nodiscard]] bool receive(Port& to, Done done) {
    return test::eventually([&] {
      for (std::uint16_t queue = 0; to.rx_queue(queue) != nullptr; ++queue) {
        Burst<32> burst;
        to.rx(queue).rx_burst(burst);
        if (!burst.empty()) last_queue_ = queue;
        while (MbufPtr frame = burst.pop()) frames_.push_back(std::move(frame));
      }
      return done(frames_);
    });
  }
  /// The queue of the frame that was received last.
  [[nodiscard]] std::uint32_t last_queue() const noexcept { return last_queue_; }
  [[nodiscard]] std::vector<MbufPtr> take() { return std::exchange(frames_, {}); }
  [[nodiscard]] MbufPtr make(const std::vector<std::byte>& bytes) {
    return pollux::test::make_chain(fixture_.pool, bytes, 1000, 1000);
  }

 private:
  static ifreq request(const char* name) {
    ifreq made{};
    std::strncpy(made.ifr_name, name, sizeof made.ifr_name - 1);
    return made;
  }
  // The bridge has no spanning tree, and the namespace no IPv6.
  void bridge() {
    ASSERT_EQ(::ioctl(socket_.get(), SIOCBRADDBR, "plxvbr"), 0) << std::strerror(errno);
    for (const char* name : {"plxv0", "plxv1"}) {
      ifreq join = request("plxvbr");
      join.ifr_ifindex = static_cast<int>(::if_nametoindex(name));
      ASSERT_EQ(::ioctl(socket_.get(), SIOCBRADDIF, &join), 0) << name << ": " << std::strerror(errno);
    }
    for (const char* name : {"plxv0", "plxv1", "plxvbr"}) {
      ifreq up = request(name);
      up.ifr_flags = IFF_UP;
      ASSERT_EQ(::ioctl(socket_.get(), SIOCSIFFLAGS, &up), 0) << name << ": " << std::strerror(errno);
    }
  }

  test::QemuFixture& fixture_;
  FileDescriptor socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  std::vector<test::QemuPort> ports_;
  std::vector<MbufPtr> frames_;
  std::uint32_t sent_ = 0;
  std::uint32_t last_queue_ = 0;
};

Frame content(const Mbuf& frame) {
  Frame bytes(frame.packet_length());
  static_cast<void>(frame.copy_out(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()}));
  return bytes;
}

/// Frames of many lengths, several times around the ring. The kernel may change their order between queues.
void exchange(BridgedPair& pair, Port& from, Port& to) {
  constexpr std::uint32_t kAtOnce = 64;
  for (std::uint32_t first = 0; first < 10 * kAtOnce; first += kAtOnce) {
    std::vector<Frame> frames;
    for (std::uint32_t i = 0; i < kAtOnce; ++i) {
      frames.push_back(test::numbered_frame(first + i, 60 + (first + i) % 1455));
      pair.send(from, pair.make(frames.back()));
    }
    ASSERT_TRUE(pair.receive(to, [&](const auto& arrived) { return arrived.size() >= frames.size(); }));
    std::vector<Frame> arrived;
    for (const MbufPtr& frame : pair.take()) arrived.push_back(content(*frame));
    ASSERT_THAT(arrived, testing::UnorderedElementsAreArray(frames));
  }
}

/// A checksum is right when it arrives, or declared as partial, and then it can be completed.
void expect_right(const PacketKind& kind, Mbuf& frame) {
  EXPECT_NE(RxMetadata(frame).l4_checksum(), ChecksumStatus::bad);
  EXPECT_EQ(complete_checksums(frame), ChecksumCompletion::complete);
  EXPECT_TRUE(kind.checksums_are_right(content(frame)));
}

/// The hash of what is hashed by default: addresses, and the ports of TCP, which follow one another in these packets.
std::uint32_t hash_of(const PacketKind& kind, const Frame& packet) {
  const std::size_t at = kind.ip() + (kind.ipv6 ? 8 : 12);
  const std::size_t bytes = (kind.ipv6 ? 32U : 8U) + (kind.udp ? 0U : 4U);
  return packet::ToeplitzHash()({reinterpret_cast<const std::uint8_t*>(packet.data()) + at, bytes});
}

/// `hashed`: the device reports hashes, and spreads frames by them.
void expect_checksum(BridgedPair& pair, Port& from, Port& to, const PacketKind& kind, bool hashed) {
  const Frame packet = models::virtio::packet(kind, 300, false);
  MbufPtr frame = pair.make(packet);
  const auto l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip());
  ASSERT_TRUE(request_checksums(
      *frame, {.flags = kind.udp ? TxOffload::udp_checksum : TxOffload::tcp_checksum, .l2 = 14, .l3 = l3}));
  pair.send(from, std::move(frame));
  ASSERT_TRUE(pair.receive(to, [](const auto& arrived) { return !arrived.empty(); }));
  const auto arrived = pair.take();
  ASSERT_EQ(arrived.size(), 1U);
  if (hashed) {
    const std::uint32_t hash = hash_of(kind, packet);
    EXPECT_EQ(RxMetadata(*arrived[0]).rss_hash(), std::optional(hash));
    EXPECT_EQ(pair.last_queue(), hash % 2);
  }
  expect_right(kind, *arrived[0]);
  EXPECT_EQ(content(*arrived[0]), packet);
}

/// Either the device segments, or the kernel, or the frame arrives with the request. `whole`: it must.
void expect_segments(BridgedPair& pair, Port& from, Port& to, const PacketKind& kind, bool whole) {
  constexpr std::size_t kPayload = 4500;
  constexpr std::uint16_t kSegment = 1000;
  const std::uint32_t wanted = kind.udp ? TxOffload::udp_segmentation : TxOffload::tcp_segmentation;
  if ((from.offloads().tx_flags & wanted) == 0) return;
  const Frame packet = models::virtio::packet(kind, kPayload, false);
  MbufPtr frame = pair.make(packet);
  frame->set_tx_offload({.flags = wanted,
                         .l2 = 14,
                         .l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip()),
                         .l4 = static_cast<std::uint16_t>(kind.payload() - kind.l4()),
                         .segment_size = kSegment});
  pair.send(from, std::move(frame));
  std::size_t payload = 0;
  ASSERT_TRUE(pair.receive(to, [&](const auto& arrived) {
    payload = 0;
    for (const MbufPtr& one : arrived) payload += one->packet_length() - kind.payload();
    return payload >= kPayload;
  }));
  EXPECT_EQ(payload, kPayload);
  const auto arrived = pair.take();
  EXPECT_TRUE(!whole || arrived.size() == 1) << arrived.size();
  for (const MbufPtr& one : arrived) {
    const TxOffload request = one->tx_offload();
    if ((request.flags & wanted) != 0) {
      EXPECT_EQ(request.segment_size, kSegment);
      EXPECT_EQ(request.l4_offset(), kind.l4());
    } else {
      expect_right(kind, *one);
    }
  }
}

/// What QEMU offers on a TAP interface alone.
void expect_everything(const Port& port) {
  const OffloadLimits& offloads = port.offloads();
  EXPECT_EQ(offloads.tx_software_flags, TxOffload::ipv4_checksum | TxOffload::sctp_checksum);
  for (const std::uint32_t flag : {TxOffload::tcp_segmentation, TxOffload::udp_segmentation}) {
    EXPECT_NE(offloads.tx_flags & flag, 0U) << flag;
  }
  EXPECT_TRUE(offloads.reports(RxOffload::partial_checksum));
  EXPECT_TRUE(offloads.reports(RxOffload::rss_hash));
  EXPECT_EQ(port.info().limits.max_rx_queues, 2U);
  EXPECT_NE(port.info().limits.rss_table, 0U);
}

// The cards of one QEMU have the far ends of its start.
TEST(VirtioPairs, AnotherFarEndIsThatOfAnotherMachine) {
  if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
  conformance::enter_own_network();
  test::QemuFixture fixture;
  const test::QemuPort first = fixture.open("0?card=virtio-net,tap=plxv");
  const test::QemuPort same = fixture.open("1?card=virtio-net,tap=plxv");
  EXPECT_EQ(same.pid, first.pid);
  const test::QemuPort other = fixture.open("1?card=virtio-net,tap=plxw");
  EXPECT_NE(other.pid, first.pid);
  for (const char* name : {"plxv0", "plxv1", "plxw0", "plxw1"}) EXPECT_NE(::if_nametoindex(name), 0U) << name;
}

TEST(VirtioPairs, FramesPassWithEachPairOfProperties) {
  if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
  conformance::enter_own_network();
  for (unsigned row = 0; row <= kRows; ++row) {
    SCOPED_TRACE(properties_of(row));
    test::QemuFixture fixture;
    BridgedPair pair(fixture, properties_of(row));
    if (testing::Test::HasFailure()) return;
    if (row == kRows) expect_everything(pair.left());
    for (auto [from, to] : {std::pair(&pair.left(), &pair.right()), std::pair(&pair.right(), &pair.left())}) {
      exchange(pair, *from, *to);
      for (const bool ipv6 : {false, true}) {
        for (const bool udp : {false, true}) {
          expect_checksum(pair, *from, *to, {.ipv6 = ipv6, .udp = udp}, row == kRows);
          expect_segments(pair, *from, *to, {.ipv6 = ipv6, .udp = udp}, row == kRows);
        }
      }
      EXPECT_TRUE(to->service());
      for (const Counter& drop : to->stats().drops) {
        if (drop.name == "rx_filtered") continue;  // multicasts of the bridge
        EXPECT_EQ(drop.value, 0U) << drop.name;
      }
    }
  }
}

}  // namespace
}  // namespace pollux
