// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

#include "unit/models/virtio/fixture.hpp"

/// TCP and UDP packets with their checksums, made and judged without the device's code.
namespace pollux::models::virtio {

inline void put16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xFF);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}
inline unsigned get16(const Bytes& bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]) << 8 | std::to_integer<unsigned>(bytes[at + 1]);
}
/// RFC 1071, one byte after the other.
inline unsigned folded(const Bytes& bytes, std::size_t from, std::size_t to, unsigned long start = 0) {
  unsigned long total = start;
  for (std::size_t i = from; i < to; ++i)
    total += std::to_integer<unsigned long>(bytes[i]) << ((i - from) % 2 == 0 ? 8 : 0);
  while (total > 0xFFFF) total = total % 0x10000 + total / 0x10000;
  return static_cast<unsigned>(total);
}

struct PacketKind {
  bool ipv6 = false;
  bool udp = false;
  bool tagged = false;
  [[nodiscard]] std::size_t ip() const { return tagged ? 18 : 14; }
  [[nodiscard]] std::size_t l4() const { return ip() + (ipv6 ? 40 : 20); }
  [[nodiscard]] std::size_t payload() const { return l4() + (udp ? 8 : 20); }
  [[nodiscard]] std::size_t checksum() const { return l4() + (udp ? 6 : 16); }
  [[nodiscard]] unsigned long pseudo(const Bytes& frame) const {
    const std::size_t addresses = ip() + (ipv6 ? 8 : 12);
    return folded(frame, addresses, addresses + (ipv6 ? 32 : 8)) + (udp ? 17 : 6) + (frame.size() - l4());
  }
  [[nodiscard]] bool checksums_are_right(const Bytes& frame) const {
    return (ipv6 || folded(frame, ip(), ip() + 20) == 0xFFFF) &&
           folded(frame, l4(), frame.size(), pseudo(frame)) == 0xFFFF;
  }
  /// What a driver says of a frame with a partial checksum.
  [[nodiscard]] hw::NetHeader header(std::uint8_t gso_type = 0, std::uint16_t gso_size = 0) const {
    return {1,
            gso_type,
            static_cast<std::uint16_t>(payload()),
            gso_size,
            static_cast<std::uint16_t>(l4()),
            static_cast<std::uint16_t>(checksum() - l4()),
            0};
  }
};

/// A packet with so many bytes of payload; the checksum of its transport is right, or that of the pseudo-header alone.
inline Bytes packet(const PacketKind& kind, std::size_t payload, bool partial, std::uint16_t port = 1000) {
  Bytes frame(kind.payload() + payload);
  std::memset(frame.data(), 0xFF, 6);
  frame[6] = std::byte{2};
  if (kind.tagged) put16(frame, 12, 0x8100), put16(frame, 14, 42);
  put16(frame, kind.ip() - 2, kind.ipv6 ? 0x86DD : 0x0800);
  if (kind.ipv6) {
    frame[kind.ip()] = std::byte{0x60};
    put16(frame, kind.ip() + 4, static_cast<unsigned>(frame.size() - kind.l4()));
    frame[kind.ip() + 6] = std::byte{kind.udp ? std::uint8_t{17} : std::uint8_t{6}};
    for (std::size_t i = 0; i < 32; ++i) frame[kind.ip() + 8 + i] = static_cast<std::byte>(i * 3 + 1);
  } else {
    frame[kind.ip()] = std::byte{0x45};
    put16(frame, kind.ip() + 2, static_cast<unsigned>(frame.size() - kind.ip()));
    put16(frame, kind.ip() + 4, 0xFFFE);  // the identification wraps
    frame[kind.ip() + 9] = std::byte{kind.udp ? std::uint8_t{17} : std::uint8_t{6}};
    put16(frame, kind.ip() + 12, 0x0A00), put16(frame, kind.ip() + 14, 1);
    put16(frame, kind.ip() + 16, 0x0A00), put16(frame, kind.ip() + 18, 2);
    put16(frame, kind.ip() + 10, ~folded(frame, kind.ip(), kind.ip() + 20) & 0xFFFF);
  }
  put16(frame, kind.l4(), port);
  put16(frame, kind.l4() + 2, 80);
  if (kind.udp) {
    put16(frame, kind.l4() + 4, static_cast<unsigned>(frame.size() - kind.l4()));
  } else {
    put16(frame, kind.l4() + 6, 100);                    // sequence number
    put16(frame, kind.l4() + 12, 0x5000 | 0x80 | 0x19);  // CWR, ACK, PSH, FIN
  }
  for (std::size_t i = 0; i < payload; ++i) frame[kind.payload() + i] = static_cast<std::byte>(i * 11 & 0xFF);
  put16(frame, kind.checksum(), folded(frame, 0, 0, kind.pseudo(frame)));
  if (!partial) put16(frame, kind.checksum(), ~folded(frame, kind.l4(), frame.size()) & 0xFFFF);
  return frame;
}

}  // namespace pollux::models::virtio
