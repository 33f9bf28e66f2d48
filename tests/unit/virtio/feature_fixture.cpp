// SPDX-License-Identifier: BSD-3-Clause
#include "unit/virtio/feature_fixture.hpp"

#include <gmock/gmock.h>
#include <poll.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <utility>

#include "hw/virtio/pci.hpp"
#include "models/virtio/net/options.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "pollux/open.hpp"
#include "support/chain.hpp"
#include "support/settings_edits.hpp"

namespace pollux::drivers::virtio::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kRing = 64;  // holds frames that are left unsegmented
constexpr std::uint32_t kMtu = 9000;
constexpr std::uint16_t kVlan = 42;
constexpr std::uint16_t kSegmentBytes = 1000;
constexpr std::size_t kPayload = 2500;

std::string uri_of(Features offered) {
  std::string uri = "?card=virtio-net+pairs=2+mtu=9000+speed=1000";
  for (const hw::virtio::FeatureName& known : hw::virtio::kFeatureNames) {
    if ((known.bit & models::virtio::kAllFeatures & ~offered) == 0) continue;
    uri += "+no-";
    for (const char letter : known.name) {
      uri += letter == '_' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    }
  }
  return uri;
}

Bytes packet_of(const PacketKind& kind, std::size_t payload) {
  const models::virtio::Bytes made = models::virtio::packet(kind, payload, false);
  Bytes bytes(made.size());
  std::memcpy(bytes.data(), made.data(), made.size());
  return bytes;
}
bool checksums_are_right(const PacketKind& kind, const Bytes& frame) {
  models::virtio::Bytes bytes(frame.size());
  std::memcpy(bytes.data(), frame.data(), frame.size());
  return kind.checksums_are_right(bytes);
}
Bytes content(const Mbuf& frame) {
  Bytes bytes(frame.packet_length());
  static_cast<void>(frame.copy_out(0, bytes));
  return bytes;
}
Bytes frame_to(const MacAddress& mac) {
  Bytes frame = frame_of(60);
  std::copy(mac.begin(), mac.end(), frame.begin());
  return frame;
}

}  // namespace

FeatureFixture::FeatureFixture(Context& context, const Mempool& pool, Features offered)
    : features_(offered & ~(feature::kCtrlGuestOffloads | feature::kCtrlRxExtra | feature::kGuestHdrlen)),
      queues_(has(feature::kMq | feature::kRss) ? 2 : 1),
      pool_(pool),
      left_(open(context, "sim:0" + uri_of(offered))),
      right_(open(context, "sim:1" + uri_of(offered))) {}

FeatureFixture::End FeatureFixture::open(Context& context, const std::string& uri) {
  auto device = open_device(context, uri).value();
  Transport transport = Transport::find(*device).value();
  End end(std::move(transport), open_unconfigured(context, std::move(device)).value());
  EXPECT_TRUE(pollux::test::configure_port(
      end.port, {.rx = {queues_, {.pool = pool_, .ring = kRing}}, .tx = {queues_, {.ring = kRing}}}));
  const bool is_large = !has(feature::kMrgRxbuf) || pollux::test::set_mtu(end.port, kMtu).has_value();
  EXPECT_TRUE(is_large);
  const bool is_filtered = !has(feature::kCtrlVlan) || end.port.change(pollux::test::with_vlan(kVlan)).has_value();
  EXPECT_TRUE(is_filtered);
  const auto started = end.port.start();
  EXPECT_TRUE(started) << started.error().message();
  return end;
}

void FeatureFixture::expect_negotiated(Features features) {
  for (const End* end : {&left_, &right_}) {
    const hw::virtio::CommonRegisters& common = end->transport.common();
    Features driver = 0;
    for (std::uint32_t half = 0; half < 2; ++half) {
      common.write<hw::virtio::DRIVER_FEATURE_SELECT>(hw::virtio::DRIVER_FEATURE_SELECT::Value(half));
      driver |= Features{common.read<hw::virtio::DRIVER_FEATURE>().raw()} << (32 * half);
    }
    EXPECT_EQ(driver, features) << std::hex << driver << " instead of " << features;
  }
  features_ = features;
}

void FeatureFixture::expect_described() {
  for (End* end : {&left_, &right_}) {
    const PortInfo& info = end->port.info();
    const MacAddress own{2, 0, 0, 0x1A, 0xF4, static_cast<std::uint8_t>(end == &right_)};
    EXPECT_EQ(end->port.permanent_mac() == own, has(feature::kMac));
    EXPECT_EQ(info.limits.max_mtu == kMtu, has(feature::kMtu));
    EXPECT_EQ(info.limits.max_rx_queues, queues_);
    EXPECT_EQ(info.limits.rss_table != 0, has(feature::kRss));
    EXPECT_EQ(end->port.link().speed, has(feature::kSpeedDuplex) ? 1000U : 10000U);
    EXPECT_EQ(info.offloads.tx_software_flags == TxOffload::kChecksums, !has(feature::kCsum));
    EXPECT_EQ((info.offloads.tx_flags & TxOffload::tcp_segmentation) != 0, has(feature::kHostTso4));
    EXPECT_EQ((info.offloads.tx_flags & TxOffload::udp_segmentation) != 0, has(feature::kHostUso));
    EXPECT_EQ(info.offloads.reports(RxOffload::partial_checksum), has(feature::kGuestCsum));
    EXPECT_EQ(info.offloads.reports(RxOffload::rss_hash), has(feature::kHashReport));
    EXPECT_EQ(info.supports.test(Setting::unicast), has(feature::kCtrlRx));
    EXPECT_EQ(info.supports.test(Setting::vlans), has(feature::kCtrlVlan));
    EXPECT_EQ(info.supports.test(Setting::rss), has(feature::kRss));
    const auto counters = end->port.extended_stats();
    EXPECT_EQ(std::any_of(counters.begin(), counters.end(), [](const auto& c) { return c.name == "announcements"; }),
              has(feature::kGuestAnnounce));
  }
}

MbufPtr FeatureFixture::make(const Bytes& bytes, std::size_t segment_bytes) {
  return pollux::test::make_chain(pool_, bytes, segment_bytes, segment_bytes);
}

void FeatureFixture::send(End& from, MbufPtr frame) {
  Burst<1> burst;
  EXPECT_TRUE(burst.push(frame));
  const auto queue = static_cast<std::uint16_t>(from.sent % queues_);
  EXPECT_EQ(from.port.tx(queue).tx_burst(burst), 1U);
  burst.drop(seen_);
  ++from.sent;
}

std::vector<MbufPtr> FeatureFixture::receive(End& to) {
  std::vector<MbufPtr> frames;
  for (std::uint16_t queue = 0; queue < queues_; ++queue) {
    Burst<32> burst;
    const std::size_t first = frames.size();
    to.received += to.port.rx(queue).rx_burst(burst);
    while (!burst.empty()) frames.insert(frames.begin() + static_cast<std::ptrdiff_t>(first), burst.pop());
  }
  return frames;
}

std::vector<Bytes> FeatureFixture::pass(End& from, End& to, const Bytes& frame, std::size_t segment_bytes) {
  send(from, make(frame, segment_bytes));
  std::vector<Bytes> frames;
  for (const MbufPtr& arrived : receive(to)) frames.push_back(content(*arrived));
  return frames;
}

void FeatureFixture::expect_filtered() {
  for (auto [from, to] : {std::pair(&left_, &right_), std::pair(&right_, &left_)}) {
    const MacAddress another{2, 0, 0, 0, 0, 0x99};
    EXPECT_THAT(pass(*from, *to, frame_to(to->port.mac())), ElementsAre(frame_to(to->port.mac())));
    EXPECT_THAT(pass(*from, *to, frame_to(another)), IsEmpty());
    if (!has(feature::kCtrlRx)) ++to->filtered;
    EXPECT_EQ(pollux::test::set_mac(to->port, another).has_value(), has(feature::kCtrlMacAddr));
    const bool is_new = has(feature::kCtrlMacAddr);
    EXPECT_THAT(pass(*from, *to, frame_to(another)), testing::SizeIs(is_new ? 1 : 0));
    if (!is_new && !has(feature::kCtrlRx)) ++to->filtered;
    Bytes tagged = packet_of({.udp = true, .tagged = true}, 100);
    EXPECT_THAT(pass(*from, *to, tagged), ElementsAre(tagged));
    tagged[15] = kVlan + 1;
    EXPECT_THAT(pass(*from, *to, tagged), testing::SizeIs(has(feature::kCtrlVlan) ? 0 : 1));
  }
}

void FeatureFixture::expect_traffic() {
  for (auto [from, to] : {std::pair(&left_, &right_), std::pair(&right_, &left_)}) {
    expect_plain_frames(*from, *to);
    for (const bool ipv6 : {false, true}) {
      for (const bool udp : {false, true}) {
        const PacketKind kind{.ipv6 = ipv6, .udp = udp};
        expect_checksum(*from, *to, kind);
        for (const bool with_cwr : {false, true}) expect_segments(*from, *to, kind, with_cwr);
      }
    }
  }
}

// Several times around the ring, and some frames over several buffers.
void FeatureFixture::expect_plain_frames(End& from, End& to) {
  constexpr std::array<std::uint8_t, 6> kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  for (std::uint32_t i = 0; i < 3 * kRing; ++i) {
    Bytes frame = frame_to(kBroadcast);
    frame.resize(60 + i * 31 % 1455, static_cast<std::uint8_t>(i));
    EXPECT_THAT(pass(from, to, frame, i % 3 == 0 ? frame.size() / 3 + 1 : frame.size()), ElementsAre(frame))
        << "frame " << i;
  }
  if (!has(feature::kMrgRxbuf)) return;
  Bytes longest = frame_to(kBroadcast);
  longest.resize(kMtu + 14, 0xAB);
  EXPECT_THAT(pass(from, to, longest), ElementsAre(longest));
}

// It is computed by the sender, by the device, or never: then the receiver is told.
void FeatureFixture::expect_checksum(End& from, End& to, const PacketKind& kind) {
  const Bytes packet = packet_of(kind, 100);
  MbufPtr frame = make(packet);
  const auto l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip());
  EXPECT_TRUE(request_checksums(
      *frame, {.flags = kind.udp ? TxOffload::udp_checksum : TxOffload::tcp_checksum, .l2 = 14, .l3 = l3}));
  send(from, std::move(frame));
  auto arrived = receive(to);
  ASSERT_EQ(arrived.size(), 1U);
  const RxMetadata metadata(*arrived[0]);
  const bool stays = has(feature::kCsum) && has(feature::kGuestCsum);
  const ChecksumStatus complete = has(feature::kGuestCsum) ? ChecksumStatus::good : ChecksumStatus::unknown;
  EXPECT_EQ(metadata.l4_checksum(), stays ? ChecksumStatus::partial : complete);
  EXPECT_EQ(metadata.rss_hash().has_value(), has(feature::kHashReport));
  EXPECT_EQ(complete_checksums(*arrived[0]), ChecksumCompletion::complete);
  EXPECT_EQ(content(*arrived[0]), packet);
}

void FeatureFixture::expect_segments(End& from, End& to, const PacketKind& kind, bool with_cwr) {
  const std::uint32_t wanted = kind.udp ? TxOffload::udp_segmentation : TxOffload::tcp_segmentation;
  if ((from.port.offloads().tx_flags & wanted) == 0 || (kind.udp && with_cwr)) return;
  Bytes packet = packet_of(kind, kPayload);
  if (!kind.udp && !with_cwr) packet[kind.l4() + 13] &= 0x7F;
  const TxOffload request{.flags = wanted,
                          .l2 = 14,
                          .l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip()),
                          .l4 = static_cast<std::uint16_t>(kind.payload() - kind.l4()),
                          .segment_size = kSegmentBytes};
  MbufPtr frame = make(packet);
  frame->set_tx_offload(request);
  send(from, std::move(frame));
  auto arrived = receive(to);
  const bool by_version = has(kind.ipv6 ? feature::kGuestTso6 : feature::kGuestTso4);
  const bool udp = has(feature::kGuestUso4) && has(feature::kGuestUso6);
  const bool whole = kind.udp ? udp : by_version && (!with_cwr || has(feature::kGuestEcn));
  ASSERT_EQ(arrived.size(), whole ? 1U : (kPayload + kSegmentBytes - 1) / kSegmentBytes);
  Bytes payload;
  for (const MbufPtr& segment : arrived) {
    const Bytes bytes = content(*segment);
    payload.insert(payload.end(), bytes.begin() + static_cast<std::ptrdiff_t>(kind.payload()), bytes.end());
    if (whole) {
      EXPECT_EQ(segment->tx_offload(), request);
    } else {
      EXPECT_TRUE(checksums_are_right(kind, bytes));
    }
  }
  EXPECT_EQ(payload, Bytes(packet.begin() + static_cast<std::ptrdiff_t>(kind.payload()), packet.end()));
}

void FeatureFixture::expect_restarted() {
  for (auto [from, to] : {std::pair(&left_, &right_), std::pair(&right_, &left_)}) {
    EXPECT_EQ(to->port.stop_queue(QueueId::rx(0)).has_value(), has(feature::kRingReset));
    EXPECT_TRUE(to->port.start_queue(QueueId::rx(0)));
    const auto other = [](std::uint32_t ring) { return ring == kRing ? 2 * kRing : kRing; };
    EXPECT_TRUE(pollux::test::resize_tx(from->port, 0, other(from->port.config().tx[0].ring)));
    EXPECT_TRUE(pollux::test::resize_rx(to->port, 0, other(to->port.config().rx[0].ring)));
    expect_plain_frames(*from, *to);
  }
}

void FeatureFixture::expect_wakeups() {
  for (auto [from, to] : {std::pair(&left_, &right_), std::pair(&right_, &left_)}) {
    std::vector<pollfd> waiting;
    for (std::uint16_t queue = 0; queue < queues_; ++queue) {
      RxQueue& rx = to->port.rx(queue);
      EXPECT_TRUE(rx.arm() || rx.arm()) << "only a start of the queue refuses once";
      waiting.push_back({.fd = rx.event_fd(), .events = POLLIN, .revents = 0});
    }
    send(*from, make(packet_of({.udp = true}, 100)));
    EXPECT_GE(poll(waiting.data(), waiting.size(), 1000), 1);
    for (std::uint16_t queue = 0; queue < queues_; ++queue) to->port.rx(queue).disarm();
    EXPECT_EQ(receive(*to).size(), 1U);
    const auto limited = to->port.change(
        [](Settings& settings) { settings.moderation[0] = {.interval = std::chrono::microseconds(50)}; });
    EXPECT_EQ(limited.has_value(), has(feature::kNotfCoal | feature::kVqNotfCoal));
  }
}

void FeatureFixture::expect_account() {
  for (End* end : {&left_, &right_}) {
    const auto served = end->port.service();
    EXPECT_TRUE(served) << served.error().message();
    EXPECT_TRUE(end->port.stop());
    const Stats stats = end->port.stats();
    EXPECT_EQ(stats.tx_burst_packets, end->sent);
    EXPECT_EQ(stats.tx_dropped, 0U);
    EXPECT_EQ(stats.rx_burst_packets, end->received);
    for (const Counter& drop : stats.drops) {
      EXPECT_EQ(drop.value, drop.name == "rx_filtered" ? end->filtered : 0U) << drop.name;
    }
  }
}

}  // namespace pollux::drivers::virtio::test
