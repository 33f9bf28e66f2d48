// SPDX-License-Identifier: BSD-3-Clause
// Requests for segmentation and for VLAN tags.
#include "pollux/mem/dma_memory.hpp"
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;
using Request = StrictTransmitter::Request;

constexpr TxOffload kTso4{.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = 100};
constexpr TxOffload kUso6{.flags = TxOffload::udp_segmentation, .l2 = 14, .l3 = 40, .l4 = 8, .segment_size = 9};

class TxSegments : public TxOffloadTest {
 protected:
  /// Requests `request` and sends the frame, of which the card must get all but the length and the IPv4 checksum.
  bool segment(MbufPtr mbuf, const TxOffload& request) {
    EXPECT_TRUE(request_checksums(*mbuf, request));
    std::vector<std::uint8_t> bytes = content(*mbuf);
    const bool ipv4 = bytes[14] >> 4 == 4;
    std::fill_n(bytes.begin() + 14 + (ipv4 ? 2 : 4), 2, std::uint8_t{0});
    if (ipv4) std::fill_n(bytes.begin() + 14 + 10, 2, std::uint8_t{0});
    return send_and_expect(std::move(mbuf), std::move(bytes));
  }
  void expect_bad(MbufPtr mbuf, const TxOffload& request, const char* why) {
    const std::uint64_t before = drops().bad_offload;
    mbuf->set_tx_offload(request);
    EXPECT_TRUE(send_and_expect(std::move(mbuf), {})) << why;
    EXPECT_EQ(drops().bad_offload, before + 1) << why;
  }
};

TEST_F(TxSegments, DescribesThePacketToTheCard) {
  use();
  EXPECT_TRUE(segment(make(tcp4(450)), kTso4));
  EXPECT_TRUE(segment(make(udp6()), kUso6));
  EXPECT_TRUE(segment(make(tcp4(450), {54, 100, 7}), kTso4));
  process_all();
  ASSERT_EQ(card().requests().size(), 3u);
  const Request tcp{tx::kSegment | kBoth,
                    {.mac_length = 14, .ip_length = 20, .l4_length = 20, .mss = 100, .kind = kTcp4Kind}};
  EXPECT_EQ(card().requests()[0], tcp);
  EXPECT_EQ(
      card().requests()[1],
      (Request{tx::kSegment | tx::kInsertL4Checksum,
               {.mac_length = 14, .ip_length = 40, .l4_length = 8, .mss = 9, .kind = tx::kContextUdp, .index = 1}}));
  EXPECT_EQ(card().requests()[2], tcp);
  EXPECT_EQ(card().contexts(), 2u);
  expect_all_freed();
}

TEST_F(TxSegments, SplitsBuffersThatAreLongerThanADescriptorAllows) {
  use();
  auto memory = fixture_->fixture.context().allocate({.size = 65536});
  ASSERT_TRUE(memory);
  const auto headers = tcp4(0);
  MbufPtr frame = make(headers);
  MbufPtr payload = fixture_->cache_handle->allocate();
  static int freed = 0;
  freed = 0;
  ASSERT_TRUE(payload->attach_external(
      *memory, 0, 65'000, [](void*, std::uint8_t*) noexcept { ++freed; }, nullptr));
  ASSERT_TRUE(frame->chain(payload));
  EXPECT_TRUE(segment(std::move(frame), kTso4));
  EXPECT_EQ(fixture_->tx.in_flight(), 4u) << "a context, the headers, and the data in two parts";
  fixture_->transmitter->process(3);
  static_cast<void>(fixture_->tx.tx_done_cleanup());
  EXPECT_EQ(freed, 0) << "the second part has not been sent";
  expect_all_freed();
  EXPECT_EQ(freed, 1);
}

TEST_F(TxSegments, LimitsTheRequestNotTheFramesOnTheWire) {
  use({.max_frame = 300});
  TxOffload request = kTso4;
  request.segment_size = 246;
  EXPECT_TRUE(segment(make(tcp4(450)), request)) << "segments of 300 bytes";
  request.segment_size = 247;
  expect_bad(make(tcp4(450)), request, "segments of 301 bytes");
  EXPECT_TRUE(segment(make(tcp4(200)), request)) << "one segment, of 254 bytes";
  auto memory = fixture_->fixture.context().allocate({.size = 65536});
  ASSERT_TRUE(memory);
  MbufPtr frame = make(tcp4(0));
  MbufPtr payload = fixture_->cache_handle->allocate();
  ASSERT_TRUE(payload->attach_external(*memory, 0, 65'535 - 53, nullptr, nullptr));
  ASSERT_TRUE(frame->chain(payload));
  frame->set_tx_offload(kTso4);
  EXPECT_TRUE(send_and_expect(std::move(frame), {}));
  EXPECT_EQ(drops().too_long, 1u) << "a byte more than OffloadLimits::max_tso";
  expect_all_freed();
}

TEST_F(TxSegments, DropsRequestsThatLie) {
  use();
  const auto with = [](auto change) {
    TxOffload request = kTso4;
    change(request);
    return request;
  };
  const auto bytes = tcp4(450);
  expect_bad(make(bytes), with([](TxOffload& to) { to.segment_size = 0; }), "segments of no bytes");
  expect_bad(make(bytes), with([](TxOffload& to) { to.l4 = 24; }), "TCP's header has 20 bytes");
  expect_bad(make(bytes), with([](TxOffload& to) { to.l4 = 0; }), "no header");
  expect_bad(make(bytes), with([](TxOffload& to) { to.l3 = 24; }), "IPv4's header has 20 bytes");
  expect_bad(make(bytes), with([](TxOffload& to) { to.l2 = 18; }), "no IP header there");
  expect_bad(make(bytes), with([](TxOffload& to) { to.flags |= TxOffload::udp_segmentation; }), "two protocols");
  expect_bad(make(bytes), with([](TxOffload& to) { to.flags = TxOffload::udp_segmentation; }), "it is not UDP");
  expect_bad(make(bytes), with([](TxOffload& to) { to.flags |= TxOffload::sctp_checksum; }), "nor SCTP");
  expect_bad(make(bytes), with([](TxOffload& to) { to.outer_l2 = to.outer_l3 = 14; }), "a tunnel");
  expect_bad(make(tcp4(0)), kTso4, "no payload");
  TxOffload wrong = kUso6;
  wrong.flags |= kIpv4;
  expect_bad(make(udp6()), wrong, "the checksum of IPv4 in IPv6");
  wrong = kUso6;
  wrong.l4 = 20;
  expect_bad(make(udp6()), wrong, "UDP's header has 8 bytes");
  EXPECT_EQ(fixture_->tx.in_flight(), 0u);
  expect_all_freed();
}

TEST_F(TxSegments, HeadersInTwoMbufsAreCountedAsThat) {
  use();
  for (const unsigned first : {14U, 34U, 53U}) {
    MbufPtr frame = make(tcp4(450), {first});
    frame->set_tx_offload(kTso4);
    EXPECT_TRUE(send_and_expect(std::move(frame), {})) << first;
  }
  EXPECT_EQ(drops().unfit_headers, 3u);
  EXPECT_EQ(drops().bad_offload, 0u);
  expect_all_freed();
}

TEST_F(TxSegments, WritesNoSharedHeader) {
  use();
  MempoolCache cache(*fixture_->pool_handle);
  MbufPtr original = make(tcp4(450));
  ASSERT_TRUE(request_checksums(*original, kTso4));
  const auto before = content(*original);
  EXPECT_TRUE(send_and_expect(original->clone(cache), {}));
  EXPECT_EQ(drops().shared_checksum, 1u);
  EXPECT_EQ(content(*original), before);
}

TEST_F(TxSegments, InsertsTagsInFrontOfTheHeaders) {
  use();
  const std::vector<std::uint8_t> data(30, 0x5A);
  const auto one = built([&](packet::Builder& to) { to.vlan({.id = 7}).ipv4({}).payload(data); });
  const auto two =
      built([&](packet::Builder& to) { to.vlan({.id = 9}, 0x88A8).vlan({.id = 7}).ipv4({}).payload(data); });
  const auto bare = built([&](packet::Builder& to) { to.ipv4({}).payload(data); });
  const auto tag = [&](std::uint32_t flags, std::uint16_t l2 = 0, std::uint16_t l3 = 0) {
    MbufPtr frame = make(bare);
    frame->set_tx_offload({.flags = flags, .vlan = 7, .outer_vlan = 9, .l2 = l2, .l3 = l3});
    return frame;
  };
  EXPECT_TRUE(send_and_expect(tag(TxOffload::insert_vlan), one));
  EXPECT_TRUE(send_and_expect(tag(TxOffload::insert_vlan | TxOffload::insert_outer_vlan), two));
  auto unsummed = one;
  std::fill_n(unsummed.begin() + 18 + 10, 2, std::uint8_t{0});
  EXPECT_TRUE(send_and_expect(tag(TxOffload::insert_vlan | kIpv4, 14, 20), unsummed));
  process_all();
  ASSERT_EQ(card().requests().size(), 1u);
  EXPECT_EQ(card().requests()[0].context.mac_length, 18) << "the context describes the tagged frame";
  expect_all_freed();
}

TEST_F(TxSegments, DropsAFrameWithoutRoomForItsTag) {
  use({.max_frame = 200});
  MempoolCache cache(*fixture_->pool_handle);
  const TxOffload request{.flags = TxOffload::insert_vlan, .vlan = 7};
  MbufPtr original = make(tcp4());
  original->set_tx_offload(request);
  EXPECT_TRUE(send_and_expect(original->clone(cache), {}));
  EXPECT_EQ(drops().no_headroom, 1u) << "shared";
  MbufPtr tight = fixture_->cache_handle->allocate();
  ASSERT_NE(tight->prepend(tight->headroom() - 3), nullptr);
  ASSERT_NE(tight->append(60), nullptr);
  ASSERT_TRUE(tight->length() <= 200 || tight->trim(tight->length() - 200));
  tight->set_tx_offload(request);
  EXPECT_TRUE(send_and_expect(std::move(tight), {}));
  EXPECT_EQ(drops().no_headroom, 2u);
  MbufPtr longest = make(tcp4(200 - 54));
  longest->set_tx_offload(request);
  EXPECT_TRUE(send_and_expect(std::move(longest), {}));
  EXPECT_EQ(drops().too_long, 1u) << "with the tag it is longer than the card's longest frame";
}

// A frame that finds no room stays with the application, and gets its tag once.
TEST_F(TxSegments, InsertsOneTagHoweverOftenAFrameIsOffered) {
  use({.tx_ring = 8});
  const auto bare = tcp4();
  auto tagged = bare;
  const std::uint8_t tag[] = {0x81, 0x00, 0x00, 0x07};
  tagged.insert(tagged.begin() + 12, std::begin(tag), std::end(tag));
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(send(make(bare), {}));
  MbufPtr frame = make(bare);
  frame->set_tx_offload({.flags = TxOffload::insert_vlan, .vlan = 7});
  Burst<1> burst;
  ASSERT_TRUE(burst.push(frame));
  for (int i = 0; i < 3; ++i) ASSERT_EQ(fixture_->tx.tx_burst(burst), 0u);
  process_all();
  fixture_->transmitter->expect(tagged);
  ASSERT_EQ(fixture_->tx.tx_burst(burst), 1u);
  fixture_->look();
  expect_all_freed();
}

}  // namespace
}  // namespace pollux::test
