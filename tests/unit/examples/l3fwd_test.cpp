// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "l3fwd/router.hpp"

namespace pollux::examples {
namespace {

using Bytes = std::vector<std::uint8_t>;

void clear_after(Bytes& prefix, unsigned length) {
  for (std::size_t bit = length; bit < prefix.size() * 8; ++bit)
    prefix[bit / 8] = static_cast<std::uint8_t>(prefix[bit / 8] & ~(0x80 >> bit % 8));
}

/// Tables of random prefixes, many of which are parts of others, beside a search of all.
void compare_with_search(std::size_t width, std::uint32_t seed) {
  std::mt19937 random(seed);
  PrefixTable table;
  std::map<std::pair<unsigned, Bytes>, std::uint16_t> all;
  const auto random_bytes = [&] {
    Bytes bytes(width);
    for (std::uint8_t& byte : bytes)
      byte = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : random() % 2 * 0x80);
    return bytes;
  };
  for (std::uint16_t route = 0; route < 300; ++route) {
    Bytes prefix = random_bytes();
    const auto length = static_cast<unsigned>(random() % (width * 8 + 1));
    if (route > 0 && length == 0) continue;  // mostly no default route
    clear_after(prefix, length);
    table.insert(prefix, length, route);
    all[{length, prefix}] = route;
  }
  for (int i = 0; i < 400; ++i) {
    Bytes address = random_bytes();
    if (i % 2 == 0) {
      auto near = all.begin();
      std::advance(near, random() % all.size());
      address = near->first.second;
      address[random() % width] ^= static_cast<std::uint8_t>(random() % 4);
    }
    std::optional<std::uint16_t> longest;
    for (const auto& [prefix, route] : all) {
      Bytes start = address;
      clear_after(start, prefix.first);
      if (start == prefix.second) longest = route;
    }
    ASSERT_EQ(table.find(address), longest);
  }
}

TEST(PrefixTable, FindsTheLongestPrefix) {
  for (std::uint32_t seed = 0; seed < 2; ++seed) {
    compare_with_search(4, seed);
    compare_with_search(16, seed);
  }
}

TEST(PrefixTable, FindsNothingInAnEmptyTable) { EXPECT_EQ(PrefixTable().find(Bytes{1, 2, 3, 4}), std::nullopt); }

constexpr MacAddress kOwn0{2, 0, 0, 0, 1, 0};
constexpr MacAddress kOwn1{2, 0, 0, 0, 1, 1};

class RouterTest : public testing::Test {
 protected:
  RouterTest() {
    EXPECT_TRUE(routes_.add("10.1.0.0/16 1 02:00:00:00:00:01"));
    EXPECT_TRUE(routes_.add("2001:db8::/32 1 02:00:00:00:00:02"));
  }
  MbufPtr make(const std::function<void(packet::Builder&)>& add, const MacAddress& destination = kOwn0) {
    MbufPtr mbuf = pool_.allocate();
    packet::Builder builder({mbuf->tail(), mbuf->tailroom()});
    add(builder.ethernet({.destination = destination, .source = {2, 0, 0, 0, 9, 9}}));
    EXPECT_NE(mbuf->append(static_cast<std::uint32_t>(builder.finish()->size())), nullptr);
    return mbuf;
  }
  MbufPtr ipv4(const packet::Ipv4Address& to, std::uint8_t time_to_live = 64) {
    return make([&](packet::Builder& builder) {
      builder.ipv4({.time_to_live = time_to_live, .source = {10, 0, 0, 1}, .destination = to}).udp({});
    });
  }
  MbufPtr ipv6(const packet::Ipv6Address& to, std::uint8_t hop_limit = 64) {
    return make([&](packet::Builder& builder) {
      builder.ipv6({.hop_limit = hop_limit, .source = {0x20, 1, 0x0D, 0xB8, 1}, .destination = to}).udp({});
    });
  }
  /// The reason for which it is dropped; empty if it is not.
  std::string drop_of(const MbufPtr& frame) {
    const auto [port, drop] = router_.route(*frame, 0);
    if (drop == nullptr) return "";
    drop->add(1);
    return drop->name();
  }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 64}).value();
  Routes routes_{2};
  Router router_{routes_, {kOwn0, kOwn1}};
};

TEST_F(RouterTest, ForwardsToTheNextHop) {
  for (unsigned time_to_live = 2; time_to_live < 256; ++time_to_live) {
    const MbufPtr frame = ipv4({10, 1, 2, 3}, static_cast<std::uint8_t>(time_to_live));
    const auto [port, drop] = router_.route(*frame, 0);
    ASSERT_EQ(drop, nullptr);
    EXPECT_EQ(port, 1U);
    const auto ethernet = packet::EthernetHeader::read(frame->bytes());
    EXPECT_EQ(ethernet->destination, (MacAddress{2, 0, 0, 0, 0, 1}));
    EXPECT_EQ(ethernet->source, kOwn1);
    const auto header = frame->bytes().subspan(14, 20);
    EXPECT_EQ(packet::Ipv4Header::read(header)->time_to_live, time_to_live - 1);
    EXPECT_EQ(packet::internet_checksum(header), 0U) << time_to_live;
  }
  const MbufPtr frame = ipv6({0x20, 1, 0x0D, 0xB8, 9}, 2);
  EXPECT_EQ(drop_of(frame), "");
  EXPECT_EQ(packet::Ipv6Header::read(frame->bytes().subspan(14))->hop_limit, 1);
  EXPECT_EQ(packet::EthernetHeader::read(frame->bytes())->destination, (MacAddress{2, 0, 0, 0, 0, 2}));
  EXPECT_EQ(router_.forwarded(), 255U);
}

TEST_F(RouterTest, NamesWhyItDoesNotForward) {
  EXPECT_EQ(drop_of(ipv4({10, 2, 0, 1})), "no_route");
  EXPECT_EQ(drop_of(ipv4({224, 0, 0, 1})), "no_route");
  EXPECT_EQ(drop_of(ipv4({127, 0, 0, 1})), "no_route");
  EXPECT_EQ(drop_of(ipv6({0x20, 2})), "no_route");
  EXPECT_EQ(drop_of(ipv6({0xFE, 0x80})), "no_route");
  for (const std::uint8_t left : {std::uint8_t{0}, std::uint8_t{1}}) {
    EXPECT_EQ(drop_of(ipv4({10, 1, 0, 1}, left)), "ttl_expired");
    EXPECT_EQ(drop_of(ipv6({0x20, 1, 0x0D, 0xB8}, left)), "ttl_expired");
  }
  EXPECT_EQ(drop_of(make([](packet::Builder& to) { to.ipv4({.destination = {10, 1, 0, 1}}); }, kOwn1)), "not_for_us");
  EXPECT_EQ(drop_of(make([](packet::Builder& to) { to.arp({}); })), "not_ip");
}

TEST_F(RouterTest, RejectsBadHeaders) {
  const auto damaged = [&](std::size_t at, std::uint8_t value) {
    MbufPtr frame = ipv4({10, 1, 0, 1});
    frame->data()[at] = value;
    return drop_of(frame);
  };
  EXPECT_EQ(damaged(14, 0x55), "bad_header") << "version";
  EXPECT_EQ(damaged(14, 0x44), "bad_header") << "header length";
  EXPECT_EQ(damaged(17, 200), "bad_header") << "total length";
  EXPECT_EQ(damaged(24, 0), "bad_header") << "checksum";
  for (std::uint32_t length = 0; length < 42; ++length) {
    MbufPtr frame = ipv4({10, 1, 0, 1});
    ASSERT_TRUE(frame->trim(frame->length() - length));
    EXPECT_EQ(drop_of(frame), "bad_header") << length;
  }
  for (std::uint32_t length = 14; length < 62; ++length) {
    MbufPtr frame = ipv6({0x20, 1, 0x0D, 0xB8});
    ASSERT_TRUE(frame->trim(frame->length() - length));
    EXPECT_EQ(drop_of(frame), "bad_header") << length;
  }
}

TEST_F(RouterTest, DoesNotWriteToSharedBytes) {
  MempoolCache cache(pool_);
  const MbufPtr frame = ipv4({10, 1, 0, 1});
  const MbufPtr clone = frame->clone(cache);
  EXPECT_EQ(drop_of(clone), "bad_header");
  EXPECT_EQ(frame->data()[22], 64);
}

TEST_F(RouterTest, SurvivesRandomFrames) {
  std::mt19937 random(9);
  for (int i = 0; i < 20'000; ++i) {
    MbufPtr frame = i % 2 == 0 ? ipv4({10, 1, 0, 1}) : ipv6({0x20, 1, 0x0D, 0xB8});
    for (int change = 0; change < 3; ++change)
      frame->data()[14 + random() % (frame->length() - 14)] = static_cast<std::uint8_t>(random());
    ASSERT_TRUE(frame->trim(static_cast<std::uint32_t>(random() % frame->length())));
    static_cast<void>(drop_of(frame));
  }
}

TEST(RoutesTest, RejectsBadRoutesAndChangesNothing) {
  Routes routes(2);
  const auto rejected = [&](const std::string& line, const char* part) {
    const auto added = routes.add(line);
    ASSERT_FALSE(added) << line;
    EXPECT_NE(added.error().message().find(part), std::string::npos) << added.error().message();
  };
  rejected("", "is not a prefix, a port and a MAC address");
  rejected("10.0.0.0/8 1", "is not a prefix");
  rejected("10.0.0.0/8 1 02:00:00:00:00:01 more", "is not a prefix");
  rejected("10.0.0/8 1 02:00:00:00:00:01", "'10.0.0/8' is not a prefix");
  rejected("10.0.0.0 1 02:00:00:00:00:01", "'10.0.0.0' is not a prefix");
  rejected("10.0.0.0/ 1 02:00:00:00:00:01", "no length from 0 to 32");
  rejected("10.0.0.0/8x 1 02:00:00:00:00:01", "no length from 0 to 32");
  rejected("::/129 1 02:00:00:00:00:01", "no length from 0 to 128");
  rejected("10.0.0.1/31 1 02:00:00:00:00:01", "bits beyond its length");
  rejected("10.0.0.0/8 2 02:00:00:00:00:01", "'2' is not a port from 0 to 1");
  rejected("10.0.0.0/8 -1 02:00:00:00:00:01", "'-1' is not a port");
  rejected("10.0.0.0/8 1 02:00:00:00:00", "not a MAC address");
  rejected("10.0.0.0/8 1 ff:ff:ff:ff:ff:ff", "not a MAC address of one station");
  EXPECT_EQ(routes.size(), 0U);
  EXPECT_TRUE(routes.add("10.0.0.0/8 1 02:00:00:00:00:01"));
  rejected("10.0.0.0/8 0 02:00:00:00:00:01", "already");
  EXPECT_EQ(routes.find(Bytes{10, 0, 0, 1})->port, 1U);
}

}  // namespace
}  // namespace pollux::examples
