// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "pollux/net/flow/match.hpp"
#include "pollux/net/packet/builder.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::test {

using Octets = std::vector<std::uint8_t>;

/// A pool, and mbufs that hold given frames.
class FlowFixture : public testing::Test {
 protected:
  /// The frame in mbufs of `piece` bytes each.
  [[nodiscard]] MbufPtr mbuf_of(std::span<const std::uint8_t> bytes, std::size_t piece = 2048) {
    MbufPtr first = segment(bytes.first(std::min(piece, bytes.size())));
    for (std::size_t at = piece; at < bytes.size(); at += piece) {
      MbufPtr more = segment(bytes.subspan(at, std::min(piece, bytes.size() - at)));
      EXPECT_TRUE(first->chain(more));
    }
    return first;
  }
  [[nodiscard]] bool rule_matches(const FlowRule& rule, std::span<const std::uint8_t> frame, std::size_t piece = 2048) {
    return matches(rule, *mbuf_of(frame, piece));
  }

  PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 512, .data_room = 2048, .headroom = 0});

 private:
  [[nodiscard]] MbufPtr segment(std::span<const std::uint8_t> bytes) {
    MbufPtr mbuf = pool_.allocate();
    if (!bytes.empty()) std::memcpy(mbuf->append(static_cast<std::uint32_t>(bytes.size())), bytes.data(), bytes.size());
    return mbuf;
  }
};

inline constexpr MacAddress kHere{2, 0, 0, 0, 0, 1};
inline constexpr MacAddress kThere{2, 0, 0, 0, 0, 2};

/// From 10.1.2.3, port 1000, to 10.9.8.7, port `port`, with `tags` VLAN tags: 100, then 101, priority 5.
template <class Transport>
[[nodiscard]] Octets flow_frame(const Transport& add_transport, unsigned tags = 0, bool version6 = false) {
  Octets memory(200);
  packet::Builder builder(memory);
  builder.ethernet({.destination = kThere, .source = kHere});
  for (unsigned i = 0; i < tags; ++i) builder.vlan({.id = static_cast<std::uint16_t>(100 + i), .priority = 5});
  if (version6) {
    packet::Ipv6Header header{.next_header = 59};
    header.source = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
    header.destination = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    builder.ipv6(header);
  } else {
    packet::Ipv4Header header{.protocol = 1};
    header.source = {10, 1, 2, 3};
    header.destination = {10, 9, 8, 7};
    builder.ipv4(header);
  }
  add_transport(builder);
  const auto frame = builder.payload(Octets{'G', 'E', 'T', ' ', 'x', 'y', 'z', 'x', 'y'}).finish();
  EXPECT_TRUE(frame);
  return frame ? Octets(frame->begin(), frame->end()) : Octets();
}
[[nodiscard]] inline Octets udp_frame(std::uint16_t port, unsigned tags = 0, bool version6 = false) {
  return flow_frame([port](auto& builder) { builder.udp({.source_port = 1000, .destination_port = port}); }, tags,
                    version6);
}
[[nodiscard]] inline Octets tcp_frame(std::uint16_t port, std::uint8_t flags = 0, unsigned tags = 0,
                                      bool version6 = false) {
  return flow_frame(
      [&](auto& builder) { builder.tcp({.source_port = 1000, .destination_port = port, .flags = flags}); }, tags,
      version6);
}

}  // namespace pollux::test
