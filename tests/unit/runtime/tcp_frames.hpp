// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::test {

using PacketBytes = std::vector<std::uint8_t>;

/// A TCP segment or UDP datagram with right lengths and checksums.
struct Packet {
  bool ipv6 = false;
  bool udp = false;
  std::uint16_t vlan = 0;  ///< 0: no tag in the frame
  std::uint16_t id = 7;
  std::uint32_t sequence = 1000;
  std::uint8_t flags = 16;  ///< ACK
  std::uint16_t source_port = 5000;
  std::uint16_t destination_port = 80;
  std::uint16_t fragment = 0;  ///< flags and offset in IPv4
  PacketBytes payload = {};

  [[nodiscard]] std::size_t l3() const { return vlan != 0 ? 18 : 14; }
  [[nodiscard]] std::size_t l4() const { return l3() + (ipv6 ? 40 : 20); }
  [[nodiscard]] std::size_t headers() const { return l4() + (udp ? 8 : 20); }

  [[nodiscard]] PacketBytes bytes() const {
    PacketBytes frame(headers());
    frame.insert(frame.end(), payload.begin(), payload.end());
    frame[0] = frame[6] = 2;
    packet::store16(&frame[12], vlan != 0 ? 0x8100 : type());
    packet::store16(&frame[14], vlan);
    packet::store16(&frame[l3() - 2], type());
    write_ip(frame);
    packet::store16(&frame[l4()], source_port);
    packet::store16(&frame[l4() + 2], destination_port);
    udp ? packet::store16(&frame[l4() + 4], static_cast<std::uint16_t>(frame.size() - l4())) : write_tcp(frame);
    packet::InternetSum sum;
    sum.add(std::span<const std::uint8_t>(frame).subspan(l3() + (ipv6 ? 8U : 12U), ipv6 ? 32 : 8));
    sum.add(udp ? 17U : 6U);
    sum.add(static_cast<std::uint32_t>(frame.size() - l4()));
    sum.add(std::span<const std::uint8_t>(frame).subspan(l4()));
    packet::store16(&frame[l4() + (udp ? 6U : 16U)], udp ? packet::udp_checksum(sum.checksum()) : sum.checksum());
    return frame;
  }

 private:
  [[nodiscard]] std::uint16_t type() const { return ipv6 ? 0x86DD : 0x0800; }
  void write_ip(PacketBytes& frame) const {
    std::uint8_t* const ip = &frame[l3()];
    const std::size_t bytes = frame.size() - l3();
    ip[0] = ipv6 ? 0x60 : 0x45;
    packet::store16(ip + (ipv6 ? 4 : 2), static_cast<std::uint16_t>(ipv6 ? bytes - 40 : bytes));
    ip[ipv6 ? 6 : 9] = udp ? 17 : 6;
    ip[ipv6 ? 7 : 8] = 64;
    ip[ipv6 ? 39 : 19] = 9;
    if (ipv6) return;
    packet::store16(ip + 4, id);
    packet::store16(ip + 6, fragment);
    packet::store16(ip + 10, packet::internet_checksum(std::span(ip, 20)));
  }
  void write_tcp(PacketBytes& frame) const {
    packet::store32(&frame[l4() + 4], sequence);
    frame[l4() + 12] = 0x50;
    frame[l4() + 13] = flags;
  }
};

/// `frame` in a VXLAN tunnel (RFC 7348, 5). `outer` says what the headers of the tunnel have.
inline PacketBytes in_vxlan(Packet outer, const PacketBytes& frame, bool has_checksum) {
  outer.udp = true;
  outer.destination_port = 4789;
  outer.payload = {8, 0, 0, 0, 0, 0, 7, 0};
  outer.payload.insert(outer.payload.end(), frame.begin(), frame.end());
  PacketBytes bytes = outer.bytes();
  if (!has_checksum) packet::store16(&bytes[outer.l4() + 6], 0);
  return bytes;
}

/// A Context, a pool with mbufs of 2 KiB, and a cache.
class MergeFixture : public testing::Test {
 protected:
  ~MergeFixture() override {
    for (const std::string& what : misuse_) ADD_FAILURE() << "misuse: " << what;
    EXPECT_EQ(pool_.stats().in_use(), 0U) << "mbufs are lost";
  }

  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  /// A frame in mbufs of at most `limit` bytes.
  [[nodiscard]] MbufPtr mbuf_of(const PacketBytes& bytes, std::size_t limit = 2000) {
    MbufPtr frame;
    for (std::size_t at = 0; at < bytes.size(); at += limit) {
      MbufPtr part = cache_.allocate();
      const std::size_t count = std::min(limit, bytes.size() - at);
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count,
                  part->append(static_cast<std::uint32_t>(count)));
      if (frame == nullptr) {
        frame = std::move(part);
      } else if (!frame->chain(part)) {
        throw std::runtime_error("the chain is too long");
      }
    }
    return frame;
  }
  [[nodiscard]] static PacketBytes bytes_of(const Mbuf& frame) {
    PacketBytes bytes(frame.packet_length());
    EXPECT_EQ(frame.copy_out(0, bytes), bytes.size());
    return bytes;
  }
  void put(Burst<64>& burst, const PacketBytes& bytes) {
    MbufPtr frame = mbuf_of(bytes);
    ASSERT_TRUE(burst.push(frame));
  }
  /// `count` consecutive segments of 100 bytes.
  void put_flow(Burst<64>& burst, std::uint32_t count, Packet packet = {}) {
    packet.payload.resize(100);
    for (std::uint32_t i = 0; i < count; ++i) {
      put(burst, packet.bytes());
      packet.sequence += 100;
      ++packet.id;
    }
  }

  std::vector<std::string> misuse_;
  Context context_{
      {.on_misuse = [this](const Misuse& what) { misuse_.push_back(what.what); }, .huge_pages = HugePages::never}};
  Mempool pool_ = must(Mempool::create(context_, {.count = 1024}));
  MempoolCache cache_{pool_};
  DropCounter seen_{"seen"};
};

}  // namespace pollux::test
