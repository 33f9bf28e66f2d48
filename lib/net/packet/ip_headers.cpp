// SPDX-License-Identifier: BSD-3-Clause
// Which addresses and bytes the checksum of a transport covers. All code that checks or computes one asks here.
#include "net/packet/ip_headers.hpp"

#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::packet {
namespace {

/// Reads headers whose bytes exist. Offsets count from their start.
class IpReader {
 public:
  IpReader(const FrameBytes& frame, std::size_t at, std::size_t length) noexcept
      : frame_(frame), at_(at), length_(length) {}

  [[nodiscard]] std::optional<IpHeaders> run() noexcept {
    const unsigned version = byte(0) >> 4;
    const bool is_understood = version == 4 ? ipv4() : version == 6 && ipv6();
    return is_understood ? std::optional(headers_) : std::nullopt;
  }

 private:
  [[nodiscard]] std::uint8_t byte(std::size_t offset) const noexcept { return frame_.read8(at_ + offset); }
  [[nodiscard]] std::uint16_t word(std::size_t offset) const noexcept { return frame_.read16(at_ + offset); }
  /// The address at `offset` takes the place of the fixed header's.
  bool replace(std::size_t& address, std::size_t offset) noexcept {
    address = at_ + offset;
    headers_.is_common = false;
    return true;
  }

  bool ipv4() noexcept {
    if (length_ != (byte(0) & 0x0FU) * std::size_t{4}) return false;
    headers_ = {.addresses = {.source = at_ + 12, .destination = at_ + 16, .bytes = 4},
                .protocol = byte(9),
                .is_fragment = (word(6) & 0x3FFF) != 0};
    return length_ == Ipv4Header::kLength || ipv4_options();
  }
  bool ipv4_options() noexcept {
    bool is_routed = false;
    for (std::size_t at = Ipv4Header::kLength; at < length_;) {
      const std::uint8_t kind = byte(at);
      if (kind == kEndOfOptions) return true;
      if (kind == kNoOperation) {
        ++at;
        continue;
      }
      const std::size_t bytes = at + 2 <= length_ ? byte(at + 1) : std::size_t{0};
      if (bytes < 2 || at + bytes > length_) return false;
      if (kind == kLooseSourceRoute || kind == kStrictSourceRoute) {
        if (is_routed || !source_route(at, bytes)) return false;
        is_routed = true;
      }
      at += bytes;
    }
    return true;
  }
  /// RFC 791, 3.1: until the pointer is behind the last address, that one is the destination (RFC 1122, 3.2.1.8).
  bool source_route(std::size_t at, std::size_t bytes) noexcept {
    constexpr std::size_t kFirstAddress = 4;  // the least pointer
    if (bytes % 4 != 3) return false;
    const std::size_t pointer = byte(at + 2);
    if (pointer > bytes) return true;
    return pointer >= kFirstAddress && replace(headers_.addresses.destination, at + bytes - 4);
  }

  bool ipv6() noexcept {
    if (length_ < Ipv6Header::kLength) return false;
    headers_ = {.addresses = {.source = at_ + 8, .destination = at_ + 24, .bytes = 16}, .protocol = byte(6)};
    std::size_t at = Ipv6Header::kLength;
    while (at < length_) {
      const bool is_fragment = headers_.protocol == ip_protocol::kFragment;
      const std::size_t bytes = at + 8 > length_ || is_fragment ? 8 : (byte(at + 1) + std::size_t{1}) * 8;
      if (at + bytes > length_ || !extension(headers_.protocol, at, bytes)) return false;
      headers_.protocol = byte(at);
      at += bytes;
    }
    return true;
  }
  bool extension(std::uint8_t kind, std::size_t at, std::size_t bytes) noexcept {
    switch (kind) {
      case ip_protocol::kHopByHop: return true;
      case ip_protocol::kRouting: return byte(at + 3) == 0 || segments_left(at, bytes);
      case ip_protocol::kDestinationOptions: return home_address(at, at + bytes);
      case ip_protocol::kFragment:
        headers_.is_fragment = headers_.is_fragment || (word(at + 2) & 0xFFF9) != 0;  // not atomic: RFC 6946
        headers_.is_common = false;
        return true;
      default: return false;
    }
  }
  /// RFC 8200, 8.1: the destination is the last address of the route.
  bool segments_left(std::size_t at, std::size_t bytes) noexcept {
    constexpr std::size_t kFirst = 8;
    const std::size_t addresses = (bytes - kFirst) / 16;
    const std::size_t left = byte(at + 3);
    const std::uint8_t type = byte(at + 2);
    if (type == kSegmentRouting) {  // RFC 8754, 2: the segments are in reverse order, and may be followed by TLVs
      const std::size_t last_entry = byte(at + 4);
      return last_entry < addresses && left <= last_entry + 1 && replace(headers_.addresses.destination, at + kFirst);
    }
    return (type == kSourceRouting || type == kHomeRouting) && left <= addresses && bytes == kFirst + addresses * 16 &&
           replace(headers_.addresses.destination, at + kFirst + (addresses - 1) * 16);
  }
  /// RFC 6275, 6.3: the source is the home address, if there is one.
  bool home_address(std::size_t at, std::size_t end) noexcept {
    for (at += 2; at < end;) {
      const std::uint8_t kind = byte(at);
      if (kind == kPad1) {
        ++at;
        continue;
      }
      const std::size_t bytes = at + 2 <= end ? byte(at + 1) + std::size_t{2} : end;
      if (at + bytes > end) return false;
      if (kind == kHomeAddress) {
        if (bytes != 18 || has_home_) return false;
        has_home_ = replace(headers_.addresses.source, at + 2);
      }
      at += bytes;
    }
    return true;
  }

  // Kinds of IPv4 options, of IPv6 destination options, and of routing headers (IANA).
  static constexpr std::uint8_t kEndOfOptions = 0;
  static constexpr std::uint8_t kNoOperation = 1;
  static constexpr std::uint8_t kLooseSourceRoute = 131;
  static constexpr std::uint8_t kStrictSourceRoute = 137;
  static constexpr std::uint8_t kPad1 = 0;
  static constexpr std::uint8_t kHomeAddress = 0xC9;
  static constexpr std::uint8_t kSourceRouting = 0;  // RFC 5095 deprecates it
  static constexpr std::uint8_t kHomeRouting = 2;    // RFC 6275, 6.4
  static constexpr std::uint8_t kSegmentRouting = 4;

  const FrameBytes& frame_;
  std::size_t at_;
  std::size_t length_;
  bool has_home_ = false;
  IpHeaders headers_;
};

}  // namespace

std::optional<IpHeaders> read_ip_headers(const FrameBytes& frame, std::size_t at, std::size_t length) noexcept {
  if (length < Ipv4Header::kLength || at + length > frame.size()) return std::nullopt;
  return IpReader(frame, at, length).run();
}

std::optional<IpHeaders> read_ip_headers(std::span<const std::uint8_t> headers) noexcept {
  return read_ip_headers(FrameBytes::to_read(headers), 0, headers.size());
}

std::optional<std::size_t> covered_end(const FrameBytes& frame, std::size_t l4, std::size_t end,
                                       std::uint8_t protocol) noexcept {
  if (protocol != ip_protocol::kUdp) return end;
  if (end - l4 < UdpHeader::kLength) return std::nullopt;
  const std::size_t length = frame.read16(l4 + 4);
  if (length < UdpHeader::kLength || length > end - l4) return std::nullopt;
  return l4 + length;
}

std::optional<PseudoHeaderPlaces> pseudo_header_places(std::span<const std::uint8_t> frame,
                                                       const Layout& layout) noexcept {
  if (!layout.is_ip() || layout.l4 == 0) return std::nullopt;
  const auto headers = read_ip_headers(FrameBytes::to_read(frame), layout.l3, layout.l3_length());
  return headers ? std::optional(headers->addresses) : std::nullopt;
}

}  // namespace pollux::packet
