// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "pollux/net/packet/byte_order.hpp"

namespace pollux::packet {

/// RFC 768.
struct UdpHeader {
  static constexpr std::size_t kLength = 8;      ///< bytes
  static constexpr std::size_t kChecksumAt = 6;  ///< offset of the checksum

  std::uint16_t source_port = 0;       ///< 0: none
  std::uint16_t destination_port = 0;  ///< 0 is not a port
  std::uint16_t length = 0;            ///< bytes, this header included
  std::uint16_t checksum = 0;          ///< as it is on the wire, 0: none; `write` computes none, `Builder` does

  /// As those of EthernetHeader; `read` accepts any checksum.
  ///@{
  [[nodiscard]] static std::optional<UdpHeader> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength) return std::nullopt;
    return UdpHeader{.source_port = load16(bytes.data()),
                     .destination_port = load16(&bytes[2]),
                     .length = load16(&bytes[4]),
                     .checksum = load16(&bytes[kChecksumAt])};
  }
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (bytes.size() < kLength) return 0;
    store16(bytes.data(), source_port);
    store16(&bytes[2], destination_port);
    store16(&bytes[4], length);
    store16(&bytes[kChecksumAt], checksum);
    return kLength;
  }
  ///@}
  [[nodiscard]] bool operator==(const UdpHeader&) const noexcept = default;
};

/// RFC 9293, 3.1.
struct TcpHeader {
  static constexpr std::size_t kLength = 20;      ///< without options
  static constexpr std::size_t kMaxLength = 60;   ///< with as many options as there may be
  static constexpr std::size_t kChecksumAt = 16;  ///< offset of the checksum
  /// Bits of `flags`.
  enum Flag : std::uint8_t { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ece = 64, cwr = 128 };

  /// Of the sender and of the receiver.
  ///@{
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  ///@}
  std::uint32_t sequence = 0;        ///< of the first byte of the payload; of SYN itself if it is set
  std::uint32_t acknowledgment = 0;  ///< the next byte that the sender expects; valid with `ack`
  std::uint8_t flags = 0;            ///< bits of Flag
  std::uint16_t window = 0;          ///< bytes, before the connection's scale
  std::uint16_t checksum = 0;        ///< as it is on the wire; `write` computes none, `Builder` does
  std::uint16_t urgent = 0;          ///< valid with `urg`
  /// At most 40 bytes, a multiple of 4. After `read` it refers to the bytes that were read.
  std::span<const std::uint8_t> options{};

  /// Bytes with options.
  [[nodiscard]] std::size_t length() const noexcept { return kLength + options.size(); }
  /// As those of EthernetHeader; `read` accepts any checksum.
  ///@{
  [[nodiscard]] static std::optional<TcpHeader> read(std::span<const std::uint8_t> bytes) noexcept {
    if (bytes.size() < kLength) return std::nullopt;
    const std::size_t length = (bytes[12] >> 4) * std::size_t{4};
    if (length < kLength || length > bytes.size()) return std::nullopt;
    return TcpHeader{.source_port = load16(bytes.data()),
                     .destination_port = load16(&bytes[2]),
                     .sequence = load32(&bytes[4]),
                     .acknowledgment = load32(&bytes[8]),
                     .flags = bytes[13],
                     .window = load16(&bytes[14]),
                     .checksum = load16(&bytes[kChecksumAt]),
                     .urgent = load16(&bytes[18]),
                     .options = bytes.subspan(kLength, length - kLength)};
  }
  std::size_t write(std::span<std::uint8_t> bytes) const noexcept {
    if (length() > kMaxLength || length() % 4 != 0 || bytes.size() < length()) return 0;
    store16(bytes.data(), source_port);
    store16(&bytes[2], destination_port);
    store32(&bytes[4], sequence);
    store32(&bytes[8], acknowledgment);
    bytes[12] = static_cast<std::uint8_t>(length() / 4 << 4);
    bytes[13] = flags;
    store16(&bytes[14], window);
    store16(&bytes[kChecksumAt], checksum);
    store16(&bytes[18], urgent);
    std::copy_n(options.begin(), options.size(), bytes.begin() + kLength);
    return length();
  }
  ///@}
};

}  // namespace pollux::packet
