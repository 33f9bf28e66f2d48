// SPDX-License-Identifier: BSD-3-Clause
// Frames and pools.
#include <array>
#include <vector>

#include "fixture.hpp"

namespace pollux::c::test {
namespace {

TEST_F(C, AFrameDescribesItsBuffer) {
  open_wire();
  pollux_frame one = frame(1);
  EXPECT_EQ(one.length, 60);
  EXPECT_EQ(one.headroom, 128);
  EXPECT_EQ(one.flags, 0);
  EXPECT_GT(one.capacity, 2048U - 256U);
  EXPECT_EQ(pollux_frame_bytes(&one), 60U);

  std::uint8_t* const front = one.data;
  EXPECT_EQ(pollux_frame_append(&one, 4), front + 60);
  EXPECT_EQ(one.length, 64);
  EXPECT_EQ(pollux_frame_prepend(&one, 10), front - 10);
  EXPECT_EQ(one.data, front - 10);
  EXPECT_EQ(one.headroom, 118);
  EXPECT_TRUE(pollux_frame_strip(&one, 10));
  EXPECT_TRUE(pollux_frame_trim(&one, 4));
  EXPECT_EQ(one.data, front);
  EXPECT_EQ(one.length, 60);
  // What does not fit changes nothing.
  EXPECT_EQ(pollux_frame_append(&one, 60000), nullptr);
  EXPECT_EQ(pollux_frame_prepend(&one, 129), nullptr);
  EXPECT_FALSE(pollux_frame_strip(&one, 61));
  EXPECT_FALSE(pollux_frame_trim(&one, 61));
  EXPECT_EQ(one.length, 60);
  std::array<std::uint8_t, 8> copied{};
  EXPECT_EQ(pollux_frame_copy(&one, 56, copied.data(), copied.size()), 4U);
  EXPECT_EQ(copied, (std::array<std::uint8_t, 8>{1, 1, 1, 1}));
  pollux_frame next;
  EXPECT_FALSE(pollux_frame_next(&one, &next));
  pollux_free(pool, &one, 1);
}

TEST_F(C, WhatBindingsNoteInAFrameStays) {
  open_wire();
  pollux_frame one{};
  one.unused = 7;
  ASSERT_TRUE(pollux_alloc(pool, &one, 1, 60));
  ASSERT_NE(pollux_frame_append(&one, 4), nullptr);
  ASSERT_NE(pollux_frame_prepend(&one, 4), nullptr);
  ASSERT_TRUE(pollux_frame_strip(&one, 4) && pollux_frame_trim(&one, 4));
  std::fill_n(one.data, 60, std::uint8_t{0xFF});
  pollux_frame second{};
  second.unused = 8;
  ASSERT_TRUE(pollux_frame_clone(&one, pool, &second));
  EXPECT_EQ(second.unused, 8U);
  pollux_free(pool, &second, 1);
  EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 1U);
  EXPECT_EQ(one.unused, 7U);
  pollux_context_sleep(context, 1'000'000);
  pollux_frame received{};
  received.unused = 9;
  ASSERT_EQ(pollux_rx_burst(pollux_port_rx(right, 0), &received, 1), 1U);
  EXPECT_EQ(received.unused, 9U);
  pollux_free(pool, &received, 1);
}

TEST_F(C, ACloneSharesItsBytes) {
  open_wire();
  pollux_frame one = frame(1);
  pollux_frame second;
  ASSERT_TRUE(pollux_frame_clone(&one, pool, &second));
  EXPECT_EQ(second.data, one.data);
  EXPECT_NE(second.handle, one.handle);
  EXPECT_NE(one.flags & POLLUX_FRAME_SHARED, 0);
  EXPECT_NE(second.flags & POLLUX_FRAME_SHARED, 0);
  EXPECT_EQ(pollux_frame_append(&one, 1), nullptr) << "others share the bytes";
  pollux_free(nullptr, &one, 1);
  pollux_free(nullptr, &second, 1);
  EXPECT_EQ(ask(nullptr, "pools")[0]["unnamed_drops"], 0);
}

TEST_F(C, APoolGivesWhatItHas) {
  open_wire();
  pollux_pool_options options{};
  options.size = sizeof options;
  options.count = 100;
  options.data_room = 256;
  options.headroom = UINT32_MAX;
  pollux_pool* const small = pollux_pool_open(context, &options, &error);
  ASSERT_NE(small, nullptr) << error.message;
  std::vector<pollux_frame> frames(101);
  EXPECT_FALSE(pollux_alloc(small, frames.data(), 101, 60)) << "some of it would be left in the program";
  EXPECT_FALSE(pollux_alloc(small, frames.data(), 1, 257));
  ASSERT_TRUE(pollux_alloc(small, frames.data(), 100, 60)) << "what was not enough has come back";
  EXPECT_EQ(frames[99].headroom, 0);
  pollux_free(small, frames.data(), 100);
  pollux_pool_close(small);

  options.data_room = 1;
  EXPECT_EQ(pollux_pool_open(context, &options, &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_INVALID_ARGUMENT);
  EXPECT_EQ(pollux_pool_of_port(left, 9, &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_INVALID_ARGUMENT);
}

TEST_F(C, DropsAreCountedByName) {
  open_wire();
  pollux_drop_counter* const reason = pollux_drop_counter_open(context, "no_route", &error);
  ASSERT_NE(reason, nullptr) << error.message;
  EXPECT_EQ(pollux_drop_counter_open(context, "no_route", &error), reason);
  EXPECT_NE(pollux_drop_counter_open(context, "other", &error), reason);
  std::vector<pollux_frame> frames(70);
  ASSERT_TRUE(pollux_alloc(pool, frames.data(), 70, 60));
  pollux_drop(reason, pool, frames.data(), 70);
  EXPECT_EQ(pollux_drop_count(reason), 70U);
  EXPECT_EQ(ask(nullptr, "pools")[0]["unnamed_drops"], 0);
}

TEST_F(C, AFrameOfSeveralBuffersIsRead) {
  open_wire("sim:0", R"({"mtu":6000})");
  pollux_pool_options options{};
  options.size = sizeof options;
  options.data_room = 8000;
  options.count = 64;
  pollux_pool* const large = pollux_pool_open(context, &options, &error);
  ASSERT_NE(large, nullptr) << error.message;
  pollux_frame one;
  ASSERT_TRUE(pollux_alloc(large, &one, 1, 5000));
  for (unsigned i = 0; i < 5000; ++i) one.data[i] = static_cast<std::uint8_t>(i < 6 ? 0xFF : i);
  ASSERT_EQ(pass(one), 1U);
  EXPECT_EQ(pollux_frame_bytes(&one), 5000U);
  ASSERT_NE(one.flags & POLLUX_FRAME_SEGMENTED, 0);
  std::uint32_t at = 0;
  pollux_frame part = one;
  do {
    for (std::uint32_t i = 0; i < part.length; ++i, ++at)
      ASSERT_EQ(part.data[i], static_cast<std::uint8_t>(at < 6 ? 0xFF : at)) << at;
  } while (pollux_frame_next(&part, &part));
  EXPECT_EQ(at, 5000U);
  pollux_free(nullptr, &one, 1);
  pollux_pool_close(large);
}

TEST_F(C, FramesAreChained) {
  open_wire();
  pollux_frame whole = frame(1);
  for (std::uint8_t i = 2; i < 5; ++i) {
    const pollux_frame more = frame(i);
    ASSERT_TRUE(pollux_frame_chain(&whole, &more));
  }
  EXPECT_EQ(whole.flags, POLLUX_FRAME_SEGMENTED);
  EXPECT_EQ(pollux_frame_bytes(&whole), 240U);
  ASSERT_NE(pollux_frame_append(&whole, 4), nullptr) << "at the end of the last buffer";
  ASSERT_TRUE(pollux_frame_trim(&whole, 4));
  EXPECT_FALSE(pollux_frame_chain(&whole, &whole));
  ASSERT_EQ(pass(whole), 1U);
  EXPECT_EQ(pollux_frame_bytes(&whole), 240U);
  for (std::uint8_t i = 1; i < 5; ++i) {
    std::uint8_t last = 0;
    EXPECT_EQ(pollux_frame_copy(&whole, i * 60U - 1, &last, 1), 1U);
    EXPECT_EQ(last, i);
  }
  pollux_free(nullptr, &whole, 1);

  pollux_frame longest = frame();
  for (int i = 1; i < 255; ++i) {
    const pollux_frame more = frame();
    ASSERT_TRUE(pollux_frame_chain(&longest, &more)) << i;
  }
  pollux_frame more = frame(7);
  EXPECT_FALSE(pollux_frame_chain(&longest, &more));
  EXPECT_EQ(more.data[59], 7);
  pollux_free(pool, &more, 1);
  pollux_free(pool, &longest, 1);
  EXPECT_EQ(ask(nullptr, "pools")[0]["unnamed_drops"], 0);
}

// An IPv4 and UDP frame whose checksums the card computes, and checks at the other end.
TEST_F(C, MetadataAndRequests) {
  open_wire();
  pollux_frame one = frame();
  constexpr std::uint8_t kPacket[] = {0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0,  0,    64, 17, 0, 0, 10, 0,
                                      0,    1,    10,   0, 0, 2,  0, 1, 27, 0x58, 0,  26, 0, 0, 1,  2,
                                      3,    4,    5,    6, 7, 8,  9, 9, 9,  9,    9,  9,  9, 9, 9,  9};
  std::memcpy(one.data + 12, kPacket, sizeof kPacket);
  pollux_offload offload{};
  offload.size = sizeof offload;
  offload.flags = POLLUX_OFFLOAD_IPV4_CHECKSUM | POLLUX_OFFLOAD_UDP_CHECKSUM;
  offload.l2 = 14;
  offload.l3 = 60;
  EXPECT_FALSE(pollux_frame_request_checksums(&one, &offload)) << "the header has 20 bytes";
  offload.l3 = 20;
  ASSERT_TRUE(pollux_frame_request_checksums(&one, &offload));
  ASSERT_EQ(pass(one), 1U);
  pollux_metadata metadata{};
  metadata.size = sizeof metadata;
  pollux_frame_metadata(&one, &metadata);
  EXPECT_EQ(metadata.ip_checksum, POLLUX_CHECKSUM_GOOD);
  EXPECT_EQ(metadata.l4_checksum, POLLUX_CHECKSUM_GOOD);
  EXPECT_EQ(metadata.packet_type, std::uint32_t{POLLUX_IPV4} | std::uint32_t{POLLUX_UDP});
  EXPECT_EQ(metadata.port, ask(right, "port.info")["index"]);
  EXPECT_NE(one.data[24] << 8 | one.data[25], 0) << "the checksum field";
  // A caller that knows fewer members gets these alone.
  pollux_metadata fewer{};
  std::memset(&fewer, 0xEE, sizeof fewer);
  fewer.size = offsetof(pollux_metadata, rss_hash);
  pollux_frame_metadata(&one, &fewer);
  EXPECT_EQ(fewer.packet_type, metadata.packet_type);
  EXPECT_EQ(fewer.rss_hash, 0xEEEEEEEE);
  pollux_free(nullptr, &one, 1);
}

TEST_F(C, AStrippedTagIsMetadata) {
  open_wire("sim:0", R"({"vlan_stripping":true})");
  pollux_frame one = frame();
  pollux_offload offload{};
  offload.size = sizeof offload;
  offload.flags = POLLUX_OFFLOAD_INSERT_VLAN;
  offload.vlan = 0x2007;
  pollux_frame_set_offload(&one, &offload);
  ASSERT_EQ(pass(one), 1U);
  pollux_metadata metadata{};
  metadata.size = sizeof metadata;
  pollux_frame_metadata(&one, &metadata);
  EXPECT_NE(metadata.flags & POLLUX_HAS_VLAN, 0U);
  EXPECT_EQ(metadata.vlan, 0x2007);
  pollux_free(nullptr, &one, 1);
}

}  // namespace
}  // namespace pollux::c::test
