// SPDX-License-Identifier: BSD-3-Clause
#include "models/virtio/net/packet.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace pollux::models::virtio {
namespace {

constexpr std::uint16_t kIpv4Type = 0x0800;
constexpr std::uint16_t kIpv6Type = 0x86DD;
/// [I-V-SEGMENTS] 16 bytes each of the longest packet, so that one frame costs a limited time.
constexpr std::size_t kMaxSegments = 4096;
/// The protocol of a fragment, whose transport header may be in another one: that of IPv6's fragment header.
constexpr std::uint8_t kFragment = 44;
constexpr std::size_t kUdpChecksum = 6;
constexpr std::size_t kTcpChecksum = 16;

std::uint16_t get16(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes[at]) << 8 |
                                    std::to_integer<unsigned>(bytes[at + 1]));
}
std::uint32_t get32(std::span<const std::byte> bytes, std::size_t at) {
  return std::uint32_t{get16(bytes, at)} << 16 | get16(bytes, at + 2);
}
void put16(std::span<std::byte> bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xFF);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}

bool is_tag(std::uint16_t type) { return type == 0x8100 || type == 0x88A8; }

/// Offset of the EtherType that says what follows the tags.
std::size_t type_at(std::span<const std::byte> frame) {
  std::size_t at = 12;
  for (int tags = 0; tags < 2 && at + 6 <= frame.size() && is_tag(get16(frame, at)); ++tags) at += 4;
  return at;
}

std::optional<Headers> parse_ipv4(std::span<const std::byte> frame, std::size_t ip) {
  if (ip + 20 > frame.size()) return std::nullopt;
  const std::size_t header = (std::to_integer<std::size_t>(frame[ip]) & 0xF) * 4;
  const std::size_t length = get16(frame, ip + 2);
  const bool fragment = (get16(frame, ip + 6) & 0x3FFF) != 0;
  if (std::to_integer<unsigned>(frame[ip]) >> 4 != 4 || header < 20 || length < header) return std::nullopt;
  if (ip + header > frame.size()) return std::nullopt;
  const auto protocol = fragment ? kFragment : std::to_integer<std::uint8_t>(frame[ip + 9]);
  return Headers{ip, ip + header, ip + length, false, protocol};
}

// RFC 8200: hop-by-hop options, routing and destination options may precede the transport header.
std::optional<Headers> parse_ipv6(std::span<const std::byte> frame, std::size_t ip) {
  if (ip + 40 > frame.size() || std::to_integer<unsigned>(frame[ip]) >> 4 != 6) return std::nullopt;
  Headers headers{ip, ip + 40, ip + 40 + get16(frame, ip + 4), true, std::to_integer<std::uint8_t>(frame[ip + 6])};
  while (headers.protocol == 0 || headers.protocol == 43 || headers.protocol == 60) {
    if (headers.l4 + 8 > frame.size()) return std::nullopt;
    headers.protocol = std::to_integer<std::uint8_t>(frame[headers.l4]);
    headers.l4 += (std::to_integer<std::size_t>(frame[headers.l4 + 1]) + 1) * 8;
  }
  if (headers.l4 > frame.size()) return std::nullopt;
  return headers;
}

std::span<const std::byte> addresses(std::span<const std::byte> frame, const Headers& headers) {
  return headers.is_ipv6 ? frame.subspan(headers.ip + 8, 32) : frame.subspan(headers.ip + 12, 8);
}

void write_ipv4_checksum(std::span<std::byte> frame, const Headers& headers) {
  put16(frame, headers.ip + 10, 0);
  put16(frame, headers.ip + 10, static_cast<std::uint16_t>(~sum(frame.subspan(headers.ip, headers.l4 - headers.ip))));
}

/// The end of the TCP or UDP header, which begins within the frame.
std::size_t payload_at(std::span<const std::byte> frame, const Headers& headers) {
  const bool has_length = headers.protocol == kTcp && headers.l4 + 12 < frame.size();
  return headers.l4 + (has_length ? std::to_integer<std::size_t>(frame[headers.l4 + 12]) / 16 * 4 : 8);
}

}  // namespace

std::optional<Headers> parse(std::span<const std::byte> frame) {
  const std::size_t at = type_at(frame);
  if (at + 2 > frame.size()) return std::nullopt;
  const std::uint16_t type = get16(frame, at);
  if (type == kIpv4Type) return parse_ipv4(frame, at + 2);
  return type == kIpv6Type ? parse_ipv6(frame, at + 2) : std::nullopt;
}

std::optional<std::uint16_t> vlan_of(std::span<const std::byte> frame) {
  if (frame.size() < 18 || !is_tag(get16(frame, 12))) return std::nullopt;
  return static_cast<std::uint16_t>(get16(frame, 14) & 0xFFF);
}

std::uint16_t sum(std::span<const std::byte> bytes, std::uint32_t start) noexcept {
  std::uint64_t total = start;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) total += get16(bytes, i);
  if (bytes.size() % 2 != 0) total += std::to_integer<std::uint64_t>(bytes.back()) << 8;
  while (total > 0xFFFF) total = (total & 0xFFFF) + (total >> 16);
  return static_cast<std::uint16_t>(total);
}

std::uint16_t pseudo_sum(std::span<const std::byte> frame, const Headers& headers, std::size_t length) {
  const auto parts = static_cast<std::uint32_t>((length >> 16) + (length & 0xFFFF) + headers.protocol);
  return sum(addresses(frame, headers), parts);
}

bool checksums_are_right(std::span<const std::byte> frame) {
  const auto headers = parse(frame);
  if (!headers || !headers->has_ports(frame) || headers->end > frame.size() || headers->end < headers->l4 + 8)
    return false;
  if (!headers->is_ipv6 && sum(frame.subspan(headers->ip, headers->l4 - headers->ip)) != 0xFFFF) return false;
  const bool udp = headers->protocol == kUdp;
  const std::size_t length = udp ? get16(frame, headers->l4 + 4) : headers->end - headers->l4;
  if (length < 8 || headers->l4 + length > headers->end) return false;
  if (udp && get16(frame, headers->l4 + kUdpChecksum) == 0) return false;
  return sum(frame.subspan(headers->l4, length), pseudo_sum(frame, *headers, length)) == 0xFFFF;
}

hw::Features host_bits(hw::Features features) noexcept {
  using namespace hw::feature;
  constexpr std::array<std::array<hw::Features, 2>, 6> kPairs{{{kGuestCsum, kCsum},
                                                               {kGuestTso4, kHostTso4},
                                                               {kGuestTso6, kHostTso6},
                                                               {kGuestEcn, kHostEcn},
                                                               {kGuestUso4, kHostUso},
                                                               {kGuestUso6, kHostUso}}};
  hw::Features host = 0;
  for (const auto& [guest, same] : kPairs) {
    if ((features & guest) != 0) host |= same;
  }
  // One bit of the sender stands for two of the receiver.
  if ((features & kGuestUso4) == 0 || (features & kGuestUso6) == 0) host &= ~kHostUso;
  return host;
}

bool is_valid(const hw::NetHeader& header, std::span<const std::byte> frame, hw::Features features) {
  using namespace hw::feature;
  const bool partial = (header.flags & kNeedsChecksum) != 0;
  if (partial &&
      ((features & kCsum) == 0 || std::size_t{header.checksum_start} + header.checksum_offset + 2 > frame.size()))
    return false;
  const std::uint8_t kind = header.gso_type & static_cast<std::uint8_t>(~kGsoEcn);
  const bool ecn = (header.gso_type & kGsoEcn) != 0;
  if (kind == kGsoNone) return !ecn;
  if (!partial || header.gso_size == 0 || (ecn && (features & kHostEcn) == 0)) return false;
  const auto headers = parse(frame);
  if (!headers || headers->l4 != header.checksum_start || !headers->has_ports(frame)) return false;
  const std::size_t payload = payload_at(frame, *headers);
  if (payload < frame.size() && frame.size() - payload > std::size_t{header.gso_size} * kMaxSegments) return false;
  if (kind == kGsoUdp) {
    return (features & kHostUso) != 0 && headers->protocol == kUdp && header.checksum_offset == kUdpChecksum;
  }
  const bool version = kind == kGsoTcp4 ? !headers->is_ipv6 && (features & kHostTso4) != 0
                                        : kind == kGsoTcp6 && headers->is_ipv6 && (features & kHostTso6) != 0;
  if (!version || headers->protocol != kTcp || header.checksum_offset != kTcpChecksum) return false;
  return payload >= headers->l4 + 20 && payload <= frame.size();
}

// A header's checksum field has the sum of the pseudo-header, which is part of the sum of the bytes.
void Completion::start(const hw::NetHeader& header, std::vector<std::byte>& frame) {
  std::swap(frame_, frame);
  number_ = segment_size_ = 0;
  left_ = 1;
  if ((header.flags & kNeedsChecksum) == 0) return;
  if (const auto headers = parse(frame_); headers && header.gso_type != kGsoNone) {
    headers_ = *headers;
    payload_ = payload_at(frame_, headers_);
    segment_size_ = header.gso_size;
    left_ = std::max<std::size_t>((frame_.size() - payload_ + segment_size_ - 1) / segment_size_, 1);
    return;
  }
  const std::size_t field = std::size_t{header.checksum_start} + header.checksum_offset;
  const auto result =
      static_cast<std::uint16_t>(~sum(std::span<const std::byte>(frame_).subspan(header.checksum_start)));
  put16(frame_, field, result == 0 ? 0xFFFF : result);
}

std::span<const std::byte> Completion::next() {
  --left_;
  if (segment_size_ == 0) return frame_;
  make_segment();
  ++number_;
  return segment_;
}

// The headers of the whole frame, and a part of its payload.
void Completion::make_segment() {
  const std::size_t offset = number_ * segment_size_;
  const std::size_t size = std::min(segment_size_, frame_.size() - payload_ - offset);
  const auto data = std::span<const std::byte>(frame_).subspan(payload_ + offset, size);
  segment_.assign(frame_.begin(), frame_.begin() + static_cast<std::ptrdiff_t>(payload_));
  segment_.insert(segment_.end(), data.begin(), data.end());
  const std::size_t l4_bytes = segment_.size() - headers_.l4;
  std::size_t checksum = headers_.l4 + kTcpChecksum;
  if (headers_.protocol == kUdp) {
    put16(segment_, headers_.l4 + 4, l4_bytes);
    checksum = headers_.l4 + kUdpChecksum;
  } else {
    const std::uint32_t sequence = get32(frame_, headers_.l4 + 4) + static_cast<std::uint32_t>(offset);
    put16(segment_, headers_.l4 + 4, sequence >> 16);
    put16(segment_, headers_.l4 + 6, sequence & 0xFFFF);
    // FIN and PSH belong to the last segment, CWR to the first (RFC 3168, 6.1.2; Linux, tcp_gso_segment).
    if (!finished()) segment_[headers_.l4 + 13] &= std::byte{0xF6};
    if (number_ != 0) segment_[headers_.l4 + 13] &= std::byte{0x7F};
  }
  if (headers_.is_ipv6) {
    put16(segment_, headers_.ip + 4, segment_.size() - headers_.ip - 40);
  } else {
    put16(segment_, headers_.ip + 2, segment_.size() - headers_.ip);
    put16(segment_, headers_.ip + 4, get16(frame_, headers_.ip + 4) + number_);
    write_ipv4_checksum(segment_, headers_);
  }
  put16(segment_, checksum, 0);
  const auto result = static_cast<std::uint16_t>(
      ~sum(std::span<const std::byte>(segment_).subspan(headers_.l4), pseudo_sum(segment_, headers_, l4_bytes)));
  put16(segment_, checksum, result == 0 ? 0xFFFF : result);
}

// 5.1.6.4.3 "Hash calculation for incoming packets": Toeplitz, over addresses and ports as they are in the packet.
Hash hash_of(std::span<const std::byte> frame, std::uint32_t types, std::span<const std::uint8_t> key) {
  const auto headers = parse(frame);
  if (!headers || types == 0) return {};
  const unsigned base = headers->is_ipv6 ? 3 : 0;  // the types of IPv6 follow those of IPv4
  const bool has_ports = headers->has_ports(frame);
  unsigned type = base;
  if (has_ports && headers->protocol == kTcp && (types & 1U << (base + 1)) != 0) type = base + 1;
  if (has_ports && headers->protocol == kUdp && (types & 1U << (base + 2)) != 0) type = base + 2;
  if ((types & 1U << type) == 0) return {};
  const auto source = addresses(frame, *headers);
  std::vector<std::byte> input(source.begin(), source.end());
  if (type != base) {
    const auto ports = frame.subspan(headers->l4, 4);
    input.insert(input.end(), ports.begin(), ports.end());
  }
  const auto key_bit = [&](std::size_t at) {
    return at / 8 < key.size() ? static_cast<std::uint32_t>(key[at / 8] >> (7 - at % 8) & 1) : 0U;
  };
  std::uint32_t window = 0;
  for (std::size_t bit = 0; bit < 32; ++bit) window = window << 1 | key_bit(bit);
  Hash hash{0, static_cast<std::uint16_t>(type + 1)};
  for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
    if ((std::to_integer<unsigned>(input[bit / 8]) >> (7 - bit % 8) & 1) != 0) hash.value ^= window;
    window = window << 1 | key_bit(bit + 32);
  }
  return hash;
}

std::uint32_t flow_of(std::span<const std::byte> frame) {
  const auto headers = parse(frame);
  if (!headers) return 0;
  std::uint32_t mixed = headers->protocol;
  const auto pair = addresses(frame, *headers);
  for (std::size_t i = 0; i < pair.size(); i += 4) mixed += get32(pair, i) * 0x9E3779B1U;
  if (headers->has_ports(frame))
    mixed += (std::uint32_t{get16(frame, headers->l4)} + get16(frame, headers->l4 + 2)) * 0x85EBCA6BU;
  return mixed ^ mixed >> 15;
}

}  // namespace pollux::models::virtio
