// SPDX-License-Identifier: BSD-3-Clause
#include "support/flows.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <string_view>

#include "support/hex.hpp"

namespace pollux::test {
namespace {

using Bytes = std::vector<std::uint8_t>;
using enum ChecksumStatus;

constexpr std::size_t kPayload = 32;
constexpr std::size_t kIpAt = 14;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

/// A test vector for RSS. Source: "Verifying the RSS Hash Calculation", Microsoft's Windows driver documentation.
struct Flow {
  const char* source;
  const char* destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;
  std::uint32_t hash_of_addresses;
  std::uint32_t hash_with_ports;
};
constexpr std::array<Flow, 8> kSuite{
    {{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x323e8fc2, 0x51ccc178},
     {"199.92.111.2", "65.69.140.83", 14230, 4739, 0xd718262a, 0xc626b0ea},
     {"24.19.198.95", "12.22.207.184", 12898, 38024, 0xd2d0a5de, 0x5c2b394a},
     {"38.27.205.30", "209.142.163.6", 48228, 2217, 0x82989176, 0xafc7327f},
     {"153.39.163.191", "202.188.127.2", 44251, 1303, 0x5d1809c5, 0x10e828a2},
     {"3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1", 2794, 1766, 0x2cc18cd5, 0x40207d3d},
     {"3ffe:501:8::260:97ff:fe40:efab", "ff02::1", 14230, 4739, 0x0f0c461c, 0xdde51bbf},
     {"3ffe:1900:4545:3:200:f8ff:fe21:67cf", "fe80::200:f8ff:fe21:67cf", 44251, 38024, 0x4b61e985, 0x02d1feef}}};

void append(Bytes& bytes, std::span<const std::uint8_t> more) { bytes.insert(bytes.end(), more.begin(), more.end()); }
void append16(Bytes& bytes, std::size_t value) {
  append(bytes, std::array{static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)});
}

/// The Internet checksum (RFC 1071), added up in words of 16 bits.
std::uint16_t checksum(const Bytes& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
  }
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}
void put16(Bytes& bytes, std::size_t at, std::uint16_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

Bytes address(const char* text) {
  const bool version6 = std::string_view(text).find(':') != std::string_view::npos;
  Bytes bytes(version6 ? 16 : 4);
  EXPECT_EQ(::inet_pton(version6 ? AF_INET6 : AF_INET, text, bytes.data()), 1);
  return bytes;
}

/// The offset of the checksum in a layer 4 header.
std::size_t checksum_at(std::uint8_t protocol) { return protocol == kTcp ? 16 : protocol == kUdp ? 6 : 2; }

Bytes layer4(const Flow& flow, std::uint8_t protocol, const Bytes& addresses) {
  Bytes bytes;
  if (protocol == kIcmp) {
    append(bytes, std::array<std::uint8_t, 8>{8, 0});
  } else {
    append16(bytes, flow.source_port);
    append16(bytes, flow.destination_port);
  }
  if (protocol == kTcp) append(bytes, std::array<std::uint8_t, 16>{0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0x20, 0});
  if (protocol == kUdp) {
    append16(bytes, 8 + kPayload);
    append16(bytes, 0);
  }
  for (std::size_t i = 0; i < kPayload; ++i) bytes.push_back(static_cast<std::uint8_t>(i * 37 + protocol));
  Bytes summed = bytes;
  if (protocol != kIcmp) {
    append(summed, addresses);
    append16(summed, protocol);
    append16(summed, bytes.size());
  }
  const std::uint16_t sum = checksum(summed);
  put16(bytes, checksum_at(protocol), sum == 0 && protocol == kUdp ? 0xFFFF : sum);
  return bytes;
}

struct Built {
  Bytes bytes;
  std::size_t layer4_at;
};

Built build(const Flow& flow, std::uint8_t protocol) {
  const Bytes source = address(flow.source);
  Bytes addresses = source;
  append(addresses, address(flow.destination));
  const Bytes carried = layer4(flow, protocol, addresses);
  Bytes frame(6, 0xFF);
  append(frame, std::array<std::uint8_t, 6>{0x02, 0, 0, 0, 0, 1});
  if (source.size() == 4) {
    append16(frame, 0x0800);
    Bytes header{0x45, 0};
    append16(header, 20 + carried.size());
    append(header, std::array<std::uint8_t, 8>{0, 7, 0, 0, 64, protocol});
    append(header, addresses);
    put16(header, 10, checksum(header));
    append(frame, header);
  } else {
    append16(frame, 0x86DD);
    append(frame, std::array<std::uint8_t, 4>{0x60});
    append16(frame, carried.size());
    append(frame, std::array<std::uint8_t, 2>{protocol, 64});
    append(frame, addresses);
  }
  const std::size_t at = frame.size();
  append(frame, carried);
  return {frame, at};
}

KnownFrame known(const std::string& name, const Bytes& bytes, std::optional<std::uint32_t> hash, std::uint32_t type,
                 ChecksumStatus ip, ChecksumStatus l4) {
  KnownFrame frame{name, std::vector<std::byte>(bytes.size()), hash, {type}, ip, l4};
  std::memcpy(frame.bytes.data(), bytes.data(), bytes.size());
  return frame;
}

void add_flow(std::vector<KnownFrame>& frames, const Flow& flow, std::uint8_t protocol) {
  const std::size_t first = frames.size();
  const Built good = build(flow, protocol);
  const bool version6 = good.bytes[12] == 0x86;
  const bool checked = protocol != kIcmp;
  const std::uint32_t hash = protocol == kTcp ? flow.hash_with_ports : flow.hash_of_addresses;
  const std::uint32_t type = (version6 ? PacketType::ipv6 : PacketType::ipv4) | (protocol == kTcp   ? PacketType::tcp
                                                                                 : protocol == kUdp ? PacketType::udp
                                                                                                    : 0U);
  const ChecksumStatus ip_good = version6 ? unknown : ChecksumStatus::good;
  const ChecksumStatus l4_good = checked ? ChecksumStatus::good : unknown;
  const std::string name = std::string(flow.source) + " protocol " + std::to_string(protocol);
  frames.push_back(known(name, good.bytes, hash, type, ip_good, l4_good));
  Bytes corrupted = good.bytes;
  corrupted.back() ^= 0x40;
  frames.push_back(known(name + ", payload corrupted", corrupted, hash, type, ip_good, checked ? bad : unknown));
  if (!version6) {
    corrupted = good.bytes;
    corrupted[kIpAt + 8] ^= 1;  // the TTL, which only the IPv4 header's checksum covers
    frames.push_back(known(name + ", header corrupted", corrupted, hash, type, bad, l4_good));
  }
  if (protocol == kUdp && !version6) {
    corrupted = good.bytes;
    put16(corrupted, good.layer4_at + 6, 0);
    frames.push_back(known(name + ", without a checksum", corrupted, hash, type, ip_good, unknown));
  }
  const std::uint32_t full_hash = protocol == kIcmp ? flow.hash_of_addresses : flow.hash_with_ports;
  for (std::size_t i = first; i < frames.size(); ++i) frames[i].full_hash = full_hash;
}

}  // namespace

std::vector<KnownFrame> known_frames() {
  std::vector<KnownFrame> frames;
  for (const Flow& flow : kSuite) {
    for (const std::uint8_t protocol : {kTcp, kUdp}) add_flow(frames, flow, protocol);
    if (std::string_view(flow.source).find(':') == std::string_view::npos) add_flow(frames, flow, kIcmp);
  }
  Bytes other(64, 0x11);
  std::fill_n(other.begin(), 6, std::uint8_t{0xFF});
  put16(other, 12, 0x88B5);  // the EtherType for local experiments
  frames.push_back(known("not IP", other, std::nullopt, 0, unknown, unknown));
  return frames;
}

// scapy 2.5.0 generated the headers and checksums, for a payload of "x". The hash was calculated by hand with the
// suite's key.
std::vector<KnownFrame> known_sctp_frames() {
  constexpr std::uint32_t kHash = 0x02b7c9b1;
  constexpr std::uint32_t kType = PacketType::ipv4 | PacketType::sctp;
  Bytes of60 =
      bytes_of_hex("ffffffffffff02000000000108004500002e00010000408466490a0000010a00000203e807d00000000554a13d54");
  Bytes of64 =
      bytes_of_hex("ffffffffffff02000000000108004500003200010000408466450a0000010a00000203e807d0000000055355157c");
  of60.resize(60, 'x');
  of64.resize(64, 'x');
  Bytes bad60 = of60;
  bad60.back() ^= 1;
  Bytes bad64 = of64;
  bad64.back() ^= 1;
  return {known("SCTP of 60 bytes", of60, kHash, kType, good, good),
          known("SCTP of 60 bytes, corrupted", bad60, kHash, kType, good, unknown),
          known("SCTP of 64 bytes", of64, kHash, kType, good, good),
          known("SCTP of 64 bytes, corrupted", bad64, kHash, kType, good, bad)};
}

bool holds(const Mbuf& mbuf, const KnownFrame& frame) {
  return mbuf.length() == frame.bytes.size() && std::memcmp(mbuf.data(), frame.bytes.data(), frame.bytes.size()) == 0;
}

void expect_metadata(const Mbuf& mbuf, const KnownFrame& frame) {
  const RxMetadata metadata(mbuf);
  EXPECT_EQ(metadata.rss_hash(), frame.hash) << frame.name;
  EXPECT_EQ(metadata.packet_type().bits, frame.type.bits) << frame.name;
  EXPECT_EQ(metadata.ip_checksum(), frame.ip) << frame.name;
  EXPECT_EQ(metadata.l4_checksum(), frame.l4) << frame.name;
}

}  // namespace pollux::test
