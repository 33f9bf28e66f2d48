// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/checksum.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "hw/intel/descriptors.hpp"

namespace pollux::models::igb {

namespace intel = pollux::hw::intel;
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

std::uint32_t crc32c(Bytes bytes) noexcept {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

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

}  // namespace pollux::models::igb
