// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::bench {

/// IPv4 packets with consecutive TCP segments of 1,400 bytes of one flow.
class TcpSegments {
 public:
  static constexpr std::uint16_t kHeaders = 14 + 20 + 32;
  static constexpr std::uint16_t kFrame = kHeaders + 1400;

  /// `checked`: somebody has found the TCP checksum good, so none is written. Otherwise it is right.
  explicit TcpSegments(bool checked) : checked_(checked) {}

  /// `frame` has room for `kFrame` bytes.
  void write_next(std::uint8_t* frame) {
    std::memset(frame, 0, checked_ ? kHeaders : kFrame);
    packet::store16(frame + 12, 0x0800);
    std::uint8_t* const ip = frame + 14;
    ip[0] = 0x45;
    packet::store16(ip + 2, kFrame - 14);
    packet::store16(ip + 4, id_++);
    packet::store16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 6;
    ip[15] = ip[19] = 1;
    packet::store16(ip + 10, packet::internet_checksum(std::span(ip, 20)));
    std::uint8_t* const tcp = ip + 20;
    packet::store16(tcp + 2, 80);
    packet::store32(tcp + 4, sequence_);
    tcp[12] = 0x80;
    tcp[13] = 16;
    packet::store32(tcp + 20, 0x0101080A);
    sequence_ += kFrame - kHeaders;
    if (!checked_) write_checksum(tcp);
  }

 private:
  static void write_checksum(std::uint8_t* tcp) {
    const std::uint32_t bytes = kFrame - 34;
    packet::InternetSum sum = packet::pseudo_header(packet::Ipv4Address{0, 0, 0, 1}, {0, 0, 0, 1}, 6, bytes);
    sum.add(std::span<const std::uint8_t>(tcp, bytes));
    packet::store16(tcp + 16, sum.checksum());
  }

  bool checked_;
  std::uint16_t id_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace pollux::bench
