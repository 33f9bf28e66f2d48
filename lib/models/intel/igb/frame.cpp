// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/frame.hpp"

#include <algorithm>
#include <cstdint>

namespace pollux::models::igb {
namespace {

constexpr std::size_t kEtherTypeAt = 12;
constexpr std::size_t kTagBytes = 4;
constexpr std::uint16_t kTypeIpv4 = 0x0800;
constexpr std::uint16_t kTypeIpv6 = 0x86DD;

std::uint8_t byte_at(std::span<const std::byte> frame, std::size_t offset) noexcept {
  return offset < frame.size() ? std::to_integer<std::uint8_t>(frame[offset]) : std::uint8_t{0};
}

void set_layer4(Headers& headers, std::uint8_t protocol, std::size_t offset, std::size_t size) noexcept {
  if (protocol == kProtocolTcp && offset + 20 <= size) headers.tcp = offset;
  if (protocol == kProtocolUdp && offset + 8 <= size) headers.udp = offset;
  if (protocol == kProtocolSctp && offset + 12 <= size) headers.sctp = offset;
}

/// Whether IPv4 options from `at` to `end` have a source route that is not at its end, or cannot be read.
bool has_source_route(std::span<const std::byte> frame, std::size_t at, std::size_t end) noexcept {
  bool found = false;
  while (at < end && byte_at(frame, at) != 0) {
    const std::uint8_t kind = byte_at(frame, at);
    if (kind == 1) {
      ++at;
      continue;
    }
    const std::size_t bytes = at + 1 < end ? byte_at(frame, at + 1) : std::size_t{0};
    if (bytes < 2 || bytes > end - at) return true;
    if (kind == 131 || kind == 137) {
      if (found || bytes % 4 != 3 || byte_at(frame, at + 2) <= bytes) return true;
      found = true;
    }
    at += bytes;
  }
  return false;
}

/// Whether IPv6 destination options from `at` to `end` have a home address, or cannot be read.
bool has_home_address(std::span<const std::byte> frame, std::size_t at, std::size_t end) noexcept {
  while (at < end) {
    const std::uint8_t kind = byte_at(frame, at);
    if (kind == 0xC9) return true;
    const std::size_t bytes = kind == 0 ? 1 : at + 1 < end ? byte_at(frame, at + 1) + std::size_t{2} : SIZE_MAX;
    if (bytes > end - at) return true;
    at += bytes;
  }
  return false;
}

void parse_ipv4(std::span<const std::byte> frame, std::size_t at, Headers& headers) noexcept {
  const std::size_t header_bytes = (byte_at(frame, at) & 0x0FU) * std::size_t{4};
  if (byte_at(frame, at) >> 4 != 4 || header_bytes < 20 || at + header_bytes > frame.size()) return;
  headers.ipv4 = at;
  headers.ip_end = at + header_bytes;
  headers.ip_options = header_bytes > 20;
  headers.fragment = (read_big16(frame, at + 6) & 0x3FFF) != 0;
  headers.rerouted = has_source_route(frame, at + 20, headers.ip_end);
  if (!headers.fragment) set_layer4(headers, byte_at(frame, at + 9), at + header_bytes, frame.size());
}

/// Skips the extension headers hop-by-hop, routing and destination options.
void parse_ipv6(std::span<const std::byte> frame, std::size_t at, Headers& headers) noexcept {
  if (byte_at(frame, at) >> 4 != 6 || at + 40 > frame.size()) return;
  headers.ipv6 = at;
  std::uint8_t next = byte_at(frame, at + 6);
  std::size_t offset = at + 40;
  while ((next == 0 || next == 43 || next == 60) && offset + 8 <= frame.size()) {
    const std::size_t end = offset + (byte_at(frame, offset + 1) + std::size_t{1}) * 8;
    headers.ip_options = true;
    headers.rerouted = headers.rerouted || (next == 43 && byte_at(frame, offset + 3) != 0) ||
                       (next == 60 && has_home_address(frame, offset + 2, end));
    next = byte_at(frame, offset);
    offset = end;
  }
  headers.ip_end = std::min(offset, frame.size());
  if (next == 44) {
    headers.ip_options = true;
    headers.fragment = true;
    return;
  }
  set_layer4(headers, next, offset, frame.size());
}

}  // namespace

std::uint16_t read_big16(std::span<const std::byte> frame, std::size_t offset) noexcept {
  return static_cast<std::uint16_t>(byte_at(frame, offset) << 8 | byte_at(frame, offset + 1));
}

bool is_multicast(std::span<const std::byte> frame) noexcept { return (byte_at(frame, 0) & 1) != 0; }

bool is_broadcast(std::span<const std::byte> frame) noexcept {
  return frame.size() >= 6 &&
         std::all_of(frame.begin(), frame.begin() + 6, [](std::byte byte) { return byte == std::byte{0xFF}; });
}

// [I-EXTVLAN]
Headers parse(std::span<const std::byte> frame, TagTypes types) noexcept {
  Headers headers;
  std::size_t type_at = kEtherTypeAt;
  if (types.outer) {
    if (read_big16(frame, type_at) != *types.outer) return headers;
    type_at += kTagBytes;
  }
  if (read_big16(frame, type_at) == types.inner && frame.size() >= type_at + kTagBytes + 2) {
    headers.tagged = true;
    headers.tag = type_at;
    headers.vlan = read_big16(frame, type_at + 2);
    type_at += kTagBytes;
  }
  headers.tag_bytes = type_at - kEtherTypeAt;
  headers.ether_type = read_big16(frame, type_at);
  const std::size_t at = type_at + 2;
  if (headers.ether_type == kTypeIpv4) parse_ipv4(frame, at, headers);
  if (headers.ether_type == kTypeIpv6) parse_ipv6(frame, at, headers);
  return headers;
}

std::uint32_t frame_check_sequence(std::span<const std::byte> frame) noexcept {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : frame) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

}  // namespace pollux::models::igb
