// SPDX-License-Identifier: BSD-3-Clause
// What a transmit queue asks the card to do for checksum requests, and that its ring's account includes contexts.
#include "unit/intel_queues/tx_offload_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;
using Request = StrictTransmitter::Request;

TEST_F(TxOffloadTest, DescribesTheHeadersToTheCard) {
  use();
  const std::vector<std::uint8_t> data(30, 0x5A);
  const auto tagged = built([&](packet::Builder& to) { to.vlan({.id = 7}).ipv4({}).tcp({}).payload(data); });
  const auto sctp = built([&](packet::Builder& to) { to.ipv4({.protocol = 132}).payload(data); });
  EXPECT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_TRUE(send(make(udp6()), kUdp6));
  EXPECT_TRUE(send(make(tagged), {.flags = kIpv4, .l2 = 18, .l3 = 20}));
  EXPECT_TRUE(send(make(sctp), {.flags = TxOffload::sctp_checksum, .l2 = 14, .l3 = 20}));
  process_all();
  ASSERT_EQ(card().requests().size(), 4u);
  EXPECT_EQ(card().requests()[0], (Request{kBoth, {.mac_length = 14, .ip_length = 20, .kind = kTcp4Kind}}));
  EXPECT_EQ(card().requests()[1],
            (Request{tx::kInsertL4Checksum, {.mac_length = 14, .ip_length = 40, .kind = tx::kContextUdp, .index = 1}}));
  EXPECT_EQ(card().requests()[2],
            (Request{tx::kInsertIpChecksum, {.mac_length = 18, .ip_length = 20, .kind = tx::kContextIpv4}}));
  EXPECT_EQ(card().requests()[3],
            (Request{tx::kInsertL4Checksum,
                     {.mac_length = 14, .ip_length = 20, .kind = tx::kContextSctp | tx::kContextIpv4, .index = 1}}));
  expect_all_freed();
}

TEST_F(TxOffloadTest, WritesAContextOnlyIfTheCardLacksIt) {
  use({.tx_ring = 128});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_EQ(card().contexts(), 1u);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(i % 2 == 0 ? send(make(udp6()), kUdp6) : send(make(tcp4()), kTcp4));
  EXPECT_EQ(card().contexts(), 2u) << "the card keeps two";
  ASSERT_TRUE(send(make(tcp4()), {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 20})) << "the same context";
  EXPECT_EQ(card().contexts(), 2u);
  const std::vector<std::uint8_t> data(30, 0x5A);
  const auto third = built([&](packet::Builder& to) { to.ipv4({}).udp({}).payload(data); });
  ASSERT_TRUE(send(make(third), {.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 20}));
  EXPECT_EQ(card().contexts(), 3u);
  ASSERT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_EQ(card().contexts(), 3u) << "the one that was used less recently was replaced";
  ASSERT_TRUE(send(make(udp6()), kUdp6));
  EXPECT_EQ(card().contexts(), 4u);
  expect_all_freed();
}

TEST_F(TxOffloadTest, RequestsTheSameInEachDescriptorOfAFrame) {
  use();
  ASSERT_TRUE(send(make(tcp4(300), {54, 100, 7}), kTcp4));
  EXPECT_EQ(fixture_->tx.in_flight(), 5u) << "a context and four buffers";
  process_all();
  ASSERT_EQ(card().requests().size(), 1u);
  EXPECT_EQ(card().requests()[0].flags, kBoth);
  expect_all_freed();
}

TEST_F(TxOffloadTest, ContextsOfEveryKindPassThroughASmallRing) {
  for (const std::uint32_t ring : {8u, 16u, 64u}) {
    use({.tx_ring = ring});
    for (std::uint32_t round = 0; round < 4 * ring; ++round) {
      ASSERT_TRUE(send(make(tcp4()), kTcp4)) << ring << ", " << round;
      if (round % 3 == 0) process_all();
      const bool taken = send(make(udp6()), kUdp6);
      process_all();
      ASSERT_TRUE(taken || send(make(udp6()), kUdp6)) << ring << ", " << round;
      process_all();
      ASSERT_TRUE(send(make(tcp4(60), {74, 10, 10}), {.flags = kIpv4, .l2 = 14, .l3 = 20})) << ring << ", " << round;
      process_all();
    }
    expect_all_freed();
  }
}

TEST_F(TxOffloadTest, AFrameWithItsOwnCheckSequenceGetsNoOther) {
  use({.max_frame = 2000});
  fixture_->transmitter->accept_own_fcs();
  const auto send_whole = [&](std::size_t bytes, TxOffload request, const std::vector<std::uint32_t>& sizes = {}) {
    request.flags |= TxOffload::without_fcs;
    MbufPtr mbuf = make(std::vector<std::uint8_t>(bytes, 0x5A), sizes);
    mbuf->set_tx_offload(request);
    return send_prepared(std::move(mbuf), false);
  };
  const auto has_crc = [&](std::uint32_t slot) { return (fixture_->ring(slot).hi & tx::kInsertCrc) != 0; };
  fixture_->transmitter->expect(std::vector<std::uint8_t>(64, 0x5A));
  fixture_->transmitter->expect(std::vector<std::uint8_t>(2004, 0x5A));
  EXPECT_TRUE(send_whole(64, {}));
  EXPECT_TRUE(send_whole(2004, {}, {1000, 500}));
  for (std::uint32_t slot = 0; slot < 4; ++slot) EXPECT_FALSE(has_crc(slot)) << slot;
  EXPECT_EQ(drops().rejected(), 0u);
  EXPECT_TRUE(send_whole(2005, {}));
  EXPECT_EQ(drops().too_long, 1u);
  EXPECT_TRUE(send_whole(63, {}));
  EXPECT_EQ(drops().too_short, 1u);
  EXPECT_TRUE(send_whole(100, kTcp4));
  EXPECT_TRUE(send_whole(100, {.flags = TxOffload::insert_vlan}));
  EXPECT_EQ(drops().bad_offload, 2u);
  EXPECT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_TRUE(has_crc(5)) << "the next frame gets one";
  process_all();
  expect_all_freed();
}

TEST_F(TxOffloadTest, AContextNeedsASlotOfItsOwn) {
  use({.tx_ring = 8});
  EXPECT_TRUE(send(make(tcp4(), {54, 5, 5, 5, 5}), kTcp4)) << "six mbufs and a context fill the ring";
  EXPECT_EQ(fixture_->tx.in_flight(), 7u);
  process_all();
  MbufPtr longer = make(tcp4(), {54, 5, 5, 5, 5, 5});
  ASSERT_TRUE(request_checksums(*longer, kTcp4));
  EXPECT_TRUE(send_prepared(std::move(longer), false));
  EXPECT_EQ(drops().too_many_segments, 1u);
  expect_all_freed();
}

TEST_F(TxOffloadTest, ForgetsNoContextOfAFrameThatFoundNoRoom) {
  use({.tx_ring = 8});
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(send(make(tcp4()), {}));
  EXPECT_FALSE(send(make(tcp4()), kTcp4)) << "one slot is free, and it needs two";
  EXPECT_EQ(card().contexts(), 0u);
  process_all();
  EXPECT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_EQ(card().contexts(), 1u);
  expect_all_freed();
}

TEST_F(TxOffloadTest, WritesContextsAgainAfterAStop) {
  use();
  ASSERT_TRUE(send(make(tcp4()), kTcp4));
  ASSERT_TRUE(send(make(tcp4()), {}));
  fixture_->close();
  EXPECT_EQ(fixture_->tx.drain(), 2u) << "buffers; the context has none";
  EXPECT_EQ(drops().stopped, 2u);
  fixture_->rx.drain();
  fixture_->start();
  ASSERT_TRUE(send(make(tcp4()), kTcp4));
  EXPECT_EQ(card().contexts(), 1u);
  expect_all_freed();
}

// The card might compute these differently, so software does: the frame has no context, and is right already.
TEST_F(TxOffloadTest, SoftwareComputesWhatTheCardMightNot) {
  use();
  auto padded = tcp4(1);
  padded.resize(60, 0x77);
  auto unknown = tcp4();
  unknown[12] = 0x88;
  const std::vector<std::uint8_t> data(30, 0x5A);
  const auto other = built([&](packet::Builder& to) { to.ipv4({.protocol = 99}).payload(data); });
  const auto inner = tcp4();
  const auto tunnel = built([&](packet::Builder& to) { to.ipv4({.protocol = 97}).payload(inner); });
  const auto expect_software = [&](MbufPtr frame, MbufPtr same, const TxOffload& request, const char* why) {
    ASSERT_TRUE(request_checksums(*frame, request)) << why;
    ASSERT_TRUE(request_checksums(*same, request)) << why;
    ASSERT_EQ(complete_checksums(*same), ChecksumCompletion::complete) << why;
    EXPECT_TRUE(send_and_expect(std::move(frame), content(*same))) << why;
    EXPECT_EQ(card().contexts(), 0u) << why;
  };
  expect_software(make(padded), make(padded), kTcp4, "bytes after the packet");
  expect_software(make(unknown), make(unknown), kTcp4, "another EtherType");
  expect_software(make(other), make(other), kTcp4, "another protocol");
  expect_software(make(tcp4(), {53}), make(tcp4()), kTcp4, "headers in two mbufs");
  expect_software(make(tunnel), make(tunnel),
                  {.flags = kTcp4.flags, .l2 = 14, .l3 = 20, .outer_l2 = 14, .outer_l3 = 20}, "a tunnel");
  process_all();
  EXPECT_EQ(card().sent(), 5u);
  EXPECT_EQ(card().requests().size(), 0u);
  expect_all_freed();
}

TEST_F(TxOffloadTest, DropsRequestsThatTheFrameDoesNotMatch) {
  use();
  const TxOffload lies[] = {
      {.flags = TxOffload::tcp_checksum, .l2 = 14, .l3 = 53},
      {.flags = TxOffload::tcp_checksum, .l2 = 127, .l3 = 511},
      {.flags = TxOffload::sctp_checksum, .l2 = 65535, .l3 = 65535, .outer_l2 = 65535, .outer_l3 = 65535},
      {.flags = kIpv4, .l2 = 14, .l3 = 24},
      {.flags = kIpv4, .l2 = 13, .l3 = 20},
      {.flags = TxOffload::tcp_checksum | TxOffload::udp_checksum, .l2 = 14, .l3 = 20}};
  std::uint64_t refused = 0;
  for (const TxOffload& lie : lies) {
    MbufPtr frame = make(tcp4(0));
    frame->set_tx_offload(lie);
    EXPECT_TRUE(send_prepared(std::move(frame), false));
    EXPECT_EQ(drops().bad_offload, ++refused) << lie.l2 << ", " << lie.l3;
  }
  EXPECT_EQ(fixture_->tx.in_flight(), 0u);
  expect_all_freed();
}

TEST_F(TxOffloadTest, TheCardComputesTheChecksumsOfAClone) {
  use();
  MempoolCache cache(*fixture_->pool_handle);
  MbufPtr original = make(tcp4());
  ASSERT_TRUE(request_checksums(*original, kTcp4));
  MbufPtr refused = original->clone(cache);
  EXPECT_TRUE(send_prepared(std::move(refused), false));
  EXPECT_EQ(drops().shared_checksum, 1u) << "a field of shared bytes would have to be cleared";
  std::fill_n(original->data() + 24, 2, std::uint8_t{0});
  MbufPtr clone = original->clone(cache);
  EXPECT_TRUE(send_prepared(std::move(clone)));
  process_all();
  EXPECT_EQ(card().requests().size(), 1u);
  EXPECT_TRUE(original->has_partial_checksum());
  original.reset();
  static_cast<void>(fixture_->tx.tx_done_cleanup());
  cache = MempoolCache(*fixture_->pool_handle);
  expect_all_freed();
}

}  // namespace
}  // namespace pollux::test
