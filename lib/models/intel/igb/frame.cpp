// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/frame.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/crc_tables.hpp"

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

std::uint32_t read_little(std::span<const std::byte> frame, std::size_t at, std::size_t bytes) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::uint32_t{byte_at(frame, at + i)} << 8 * i;
  return value;
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

namespace {

constexpr std::size_t kSctpChecksumAt = 8;
constexpr std::size_t kSctpChecksumBytes = 4;

using Bytes = std::span<const std::byte>;

/// Adds 16-bit words in memory order, several words per step. Byte order does not matter, because the sum of
/// byte-swapped words is the byte-swapped sum (RFC 1071, 2). An odd last byte counts as the first byte of a word.
std::uint64_t add_words(std::uint64_t sum, Bytes bytes) noexcept {
  const auto add = [&]<class Word>(Word word) {
    std::memcpy(&word, bytes.data(), sizeof word);
    bytes = bytes.subspan(sizeof word);
    sum += (std::uint64_t{word} & 0xFFFFFFFF) + (std::uint64_t{word} >> 32);
  };
  while (bytes.size() >= sizeof(std::uint64_t)) add(std::uint64_t{});
  if (bytes.size() >= sizeof(std::uint32_t)) add(std::uint32_t{});
  if (bytes.size() >= sizeof(std::uint16_t)) add(std::uint16_t{});
  if (!bytes.empty()) sum += ntohs(static_cast<std::uint16_t>(std::to_integer<unsigned>(bytes.front()) << 8));
  return sum;
}

std::uint16_t folded(std::uint64_t sum) noexcept {
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// True if the sum over data and checksum shows that the checksum is correct.
bool is_valid_sum(std::uint64_t sum) noexcept { return folded(sum) == 0xFFFF; }

Bytes ipv4_header(Bytes frame, const Headers& headers) noexcept {
  return frame.subspan(headers.ipv4, (std::to_integer<std::size_t>(frame[headers.ipv4]) & 0xF) * 4);
}

/// The bytes of layer 4; the IP header gives their length. std::nullopt if the frame is shorter.
std::optional<Bytes> layer4(Bytes frame, const Headers& headers) noexcept {
  const std::size_t start = headers.tcp + headers.udp + headers.sctp;  // at most one is not 0
  const std::size_t end = headers.ipv4 != 0 ? headers.ipv4 + read_big16(frame, headers.ipv4 + 2)
                                            : headers.ipv6 + 40 + read_big16(frame, headers.ipv6 + 4);
  if (start == 0 || end < start || end > frame.size()) return std::nullopt;
  return frame.subspan(start, end - start);
}

/// The bytes of a UDP datagram; its header gives their length. std::nullopt if the packet is shorter.
std::optional<Bytes> datagram(Bytes packet) noexcept {
  const std::size_t length = packet.size() < 8 ? 0 : read_big16(packet, 4);
  if (length < 8 || length > packet.size()) return std::nullopt;
  return packet.first(length);
}

std::uint64_t pseudo_header(Bytes frame, const Headers& headers, std::uint8_t protocol, std::size_t length) noexcept {
  const Bytes addresses = headers.ipv4 != 0 ? frame.subspan(headers.ipv4 + 12, 8) : frame.subspan(headers.ipv6 + 8, 32);
  return add_words(std::uint64_t{htons(protocol)} + htons(static_cast<std::uint16_t>(length)), addresses);
}

/// Eight bytes in each step, since others wait for the server of a card whose driver sends long frames all the time.
template <std::uint32_t kPolynomial>
std::uint32_t reflected_crc(Bytes bytes) noexcept {
  static constexpr CrcTables kTables = make_crc_tables(kPolynomial);
  std::uint32_t crc = ~std::uint32_t{0};
  for (; bytes.size() >= kTables.size(); bytes = bytes.subspan(kTables.size())) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < kTables.size(); ++i) crc ^= kTables[kTables.size() - 1 - i][word >> 8 * i & 0xFF];
  }
  for (const std::byte byte : bytes) crc = crc >> 8 ^ kTables[0][(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFF];
  return ~crc;
}

bool sctp_is_good(Bytes packet) noexcept {
  std::array<std::byte, 10 * 1024> copy{};
  if (packet.size() > copy.size()) return false;
  std::copy(packet.begin(), packet.end(), copy.begin());
  std::uint32_t written = 0;
  for (std::size_t i = 0; i < kSctpChecksumBytes; ++i) {
    std::byte& byte = copy[kSctpChecksumAt + i];
    written |= std::to_integer<std::uint32_t>(byte) << 8 * i;
    byte = std::byte{0};
  }
  return crc32c(Bytes(copy).first(packet.size())) == written;
}

std::uint64_t layer4_checksum_status(Bytes frame, const Headers& headers, hw::RXCSUM::Value control) noexcept {
  const bool sctp = headers.sctp != 0;
  if (!control.has(sctp ? hw::RXCSUM::CRCOFL : hw::RXCSUM::TUOFL)) return 0;
  const std::optional<Bytes> packet = layer4(frame, headers);
  if (!packet) return 0;
  if (sctp) return intel::rx::kL4Checked | (sctp_is_good(*packet) ? 0 : intel::rx::kL4Error);
  if (headers.rerouted) return 0;
  const bool udp = headers.udp != 0;
  const std::optional<Bytes> covered = udp ? datagram(*packet) : packet;
  if (!covered || (udp && read_big16(*covered, kUdpChecksumAt) == 0)) return 0;
  const std::uint64_t start = pseudo_header(frame, headers, udp ? kProtocolUdp : kProtocolTcp, covered->size());
  const bool good = is_valid_sum(add_words(start, *covered));
  return intel::rx::kL4Checked | (udp ? intel::rx::kUdpChecked : 0) | (good ? 0 : intel::rx::kL4Error);
}

}  // namespace

std::uint32_t frame_check_sequence(Bytes frame) noexcept { return reflected_crc<0xEDB88320U>(frame); }

std::uint32_t crc32c(Bytes bytes) noexcept { return reflected_crc<0x82F63B78U>(bytes); }

void insert_checksum(std::span<std::byte> bytes, std::size_t at, std::size_t add, bool zero_means_none) noexcept {
  const std::uint64_t sum = add_words(htons(static_cast<std::uint16_t>(add)), bytes);
  auto checksum = static_cast<std::uint16_t>(~folded(sum));
  if (checksum == 0 && zero_means_none) checksum = 0xFFFF;
  std::memcpy(bytes.data() + at, &checksum, sizeof checksum);
}

void insert_sctp_checksum(std::span<std::byte> packet) noexcept {
  const std::span<std::byte> field = packet.subspan(kSctpChecksumAt, kSctpChecksumBytes);
  std::fill(field.begin(), field.end(), std::byte{0});
  const std::uint32_t checksum = crc32c(packet);
  for (std::size_t i = 0; i < kSctpChecksumBytes; ++i) field[i] = static_cast<std::byte>(checksum >> 8 * i & 0xFF);
}

std::uint64_t checksum_status(Bytes frame, const Headers& headers, hw::RXCSUM::Value control,
                              hw::RFCTL::Value filter) noexcept {
  std::uint64_t status = 0;
  if (headers.ipv4 == 0 && headers.ipv6 == 0) return status;
  if (headers.ipv6 != 0 && filter.has(hw::RFCTL::IPV6_XSUM_DIS)) return status;
  if (headers.ipv4 != 0 && control.has(hw::RXCSUM::IPOFL)) {
    const bool good = is_valid_sum(add_words(0, ipv4_header(frame, headers)));
    status |= intel::rx::kIpChecked | (good ? 0 : intel::rx::kIpError);
  }
  return status | (headers.fragment ? 0 : layer4_checksum_status(frame, headers, control));
}

namespace {

constexpr std::uint16_t kNfsPort = 2049;
constexpr std::size_t kUdpHeaderBytes = 8;

// [I-M-HDRSPLIT] A frame with NFS's port is of another type, which the model does not have.
bool is_nfs(std::span<const std::byte> frame, std::size_t layer4) noexcept {
  return read_big16(frame, layer4) == kNfsPort || read_big16(frame, layer4 + 2) == kNfsPort;
}

// 0: the TCP header is not whole.
std::size_t tcp_end(std::span<const std::byte> frame, std::size_t tcp) noexcept {
  const std::size_t bytes = (std::to_integer<std::size_t>(frame[tcp + 12]) >> 4) * 4;
  return bytes >= 20 && tcp + bytes <= frame.size() ? tcp + bytes : 0;
}

std::size_t end_of_headers(std::span<const std::byte> frame, const Headers& headers, hw::PSRTYPE::Value types,
                           hw::RFCTL::Value control) noexcept {
  const bool ipv4 = headers.ipv4 != 0;
  if (headers.fragment) {
    const bool splits = types.has(ipv4 ? hw::PSRTYPE::IPV4_FRAGMENT : hw::PSRTYPE::IPV6_FRAGMENT);
    return splits && !control.has(hw::RFCTL::IPFRSP_DIS) ? headers.ip_end : 0;
  }
  if (headers.tcp != 0 && types.has(ipv4 ? hw::PSRTYPE::IPV4_TCP : hw::PSRTYPE::IPV6_TCP)) {
    return is_nfs(frame, headers.tcp) ? 0 : tcp_end(frame, headers.tcp);
  }
  if (headers.udp != 0 && types.has(ipv4 ? hw::PSRTYPE::IPV4_UDP : hw::PSRTYPE::IPV6_UDP)) {
    return is_nfs(frame, headers.udp) ? 0 : headers.udp + kUdpHeaderBytes;
  }
  return 0;
}

}  // namespace

std::uint16_t split_point(std::span<const std::byte> frame, const Headers& headers, hw::PSRTYPE::Value types,
                          hw::RFCTL::Value control) noexcept {
  const std::size_t end = end_of_headers(frame, headers, types, control);
  return end <= intel::rx::kHeaderLengthMask ? static_cast<std::uint16_t>(end) : std::uint16_t{0};
}

SplitFrame split_frame(std::size_t frame_bytes, std::uint16_t header, std::size_t room, bool always) noexcept {
  const auto at = [](std::size_t bytes) {
    return SplitFrame{.header_bytes = bytes, .payload_start = bytes, .reported = static_cast<std::uint16_t>(bytes)};
  };
  if (always && frame_bytes <= room) return at(frame_bytes);
  if (header == 0) return always ? at(room) : SplitFrame{};
  SplitFrame split = at(header <= room ? header : always ? room : 0);
  split.reported = header;
  split.found = true;
  split.overflows = header > room;
  return split;
}

// [I-M-HDRCOPY]
SplitFrame copy_headers(std::size_t frame_bytes, std::uint16_t header, std::size_t room, bool large_only) noexcept {
  if (header == 0) return {};
  return {.header_bytes = std::min(frame_bytes, room),
          .payload_start = large_only && frame_bytes <= room ? frame_bytes : 0,
          .reported = header,
          .found = true,
          .overflows = header > room};
}

}  // namespace pollux::models::igb
