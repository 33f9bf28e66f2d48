// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/header_split.hpp"

#include <algorithm>

namespace pollux::models::igb {
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
