// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/classify.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/packet/transport.hpp"

namespace pollux::packet {
namespace {

/// The 32 bits of the key from bit `first` on, which span at most 5 bytes.
std::uint32_t key_window(const RssKey& key, std::size_t first) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    const std::size_t byte = first / 8 + i;
    bits = bits << 8 | (byte < key.size() ? key[byte] : 0U);
  }
  return static_cast<std::uint32_t>(bits >> (8 - first % 8));
}

constexpr std::size_t kSctpChecksumAt = 8;
constexpr std::size_t kSctpChecksumBytes = 4;

/// Access to a frame's bytes by offset, for a contiguous frame and for a chain. The caller guarantees that the bytes
/// exist.
class FlatFrame {
 public:
  explicit FlatFrame(std::span<const std::uint8_t> bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
  [[nodiscard]] FrameBytes all() const noexcept { return FrameBytes::to_read(bytes_); }
  void copy(std::size_t from, std::span<std::uint8_t> to) const noexcept {
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(from), to.size(), to.begin());
  }
  template <class Sum>
  void add_to(Sum& sum, std::size_t from, std::size_t to) const noexcept {
    sum.add(bytes_.subspan(from, to - from));
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

class ChainedFrame {
 public:
  explicit ChainedFrame(const Mbuf& frame) noexcept : frame_(frame) {}
  [[nodiscard]] std::size_t size() const noexcept { return frame_.packet_length(); }
  [[nodiscard]] FrameBytes all() const noexcept { return FrameBytes::to_read(frame_); }
  void copy(std::size_t from, std::span<std::uint8_t> to) const noexcept {
    static_cast<void>(frame_.copy_out(from, to));
  }
  template <class Sum>
  void add_to(Sum& sum, std::size_t from, std::size_t to) const noexcept {
    std::size_t start = 0;
    for (const Mbuf* segment = &frame_; segment != nullptr && start < to; segment = segment->next()) {
      const std::size_t end = start + segment->length();
      const std::size_t first = std::max(from, start);
      const std::size_t last = std::min(to, end);
      if (first < last) sum.add(segment->bytes().subspan(first - start, last - first));
      start = end;
    }
  }

 private:
  const Mbuf& frame_;
};

template <class Frame>
std::uint16_t number_at(const Frame& frame, std::size_t at) noexcept {
  std::array<std::uint8_t, 2> bytes{};
  frame.copy(at, bytes);
  return load16(bytes.data());
}

/// The position of both IP addresses.
struct Addresses {
  std::size_t at;
  std::size_t bytes;
};
Addresses addresses_of(const Layout& layout) noexcept {
  if (layout.type.has(PacketType::ipv4)) return {.at = layout.l3 + std::size_t{12}, .bytes = 8};
  return {.at = layout.l3 + std::size_t{8}, .bytes = 32};
}

/// The end of the IP packet according to its header.
template <class Frame>
std::size_t ip_end(const Frame& frame, const Layout& layout) noexcept {
  if (layout.type.has(PacketType::ipv4)) return std::size_t{layout.l3} + number_at(frame, layout.l3 + 2U);
  return layout.l3 + Ipv6Header::kLength + number_at(frame, layout.l3 + 4U);
}

/// The layout is of an IP packet, and has TCP or UDP if `with_ports`.
template <class Frame>
std::uint32_t hash_of(const ToeplitzHash& hash, const Frame& frame, const Layout& layout, bool with_ports) noexcept {
  std::array<std::uint8_t, ToeplitzHash::kMaxInput> input{};
  const Addresses addresses = addresses_of(layout);
  std::size_t size = addresses.bytes;
  frame.copy(addresses.at, std::span(input).first(size));
  if (with_ports) {
    frame.copy(layout.l4, std::span(input).subspan(size, 4));
    size += 4;
  }
  return hash(std::span(input).first(size));
}

template <class Frame>
std::optional<std::uint32_t> hash_of(const ToeplitzHash& hash, const Frame& frame, const Layout& layout,
                                     RssFields fields) noexcept {
  if (!layout.is_ip()) return std::nullopt;
  return hash_of(
      hash, frame, layout,
      (fields.tcp_ports && layout.type.has(PacketType::tcp)) || (fields.udp_ports && layout.type.has(PacketType::udp)));
}

/// The bits of RssTypes that apply to a frame: with ports and without.
struct ApplicableTypes {
  std::uint32_t with_ports = 0;
  std::uint32_t addresses = 0;
};
ApplicableTypes applicable_types(PacketType type) noexcept {
  const bool tcp = type.has(PacketType::tcp);
  const bool udp = type.has(PacketType::udp);
  if (type.has(PacketType::ipv4)) {
    return {.with_ports = tcp ? RssTypes::tcp_ipv4 : udp ? RssTypes::udp_ipv4 : 0U, .addresses = RssTypes::ipv4};
  }
  if (!type.has(PacketType::ipv6)) return {};
  if (type.has(PacketType::ipv6_extensions)) return {.addresses = RssTypes::ipv6};
  constexpr std::uint32_t kTcpTypes = RssTypes::tcp_ipv6 | RssTypes::tcp_ipv6_ex;
  constexpr std::uint32_t kUdpTypes = RssTypes::udp_ipv6 | RssTypes::udp_ipv6_ex;
  return {.with_ports = tcp ? kTcpTypes : udp ? kUdpTypes : 0U, .addresses = RssTypes::ipv6 | RssTypes::ipv6_ex};
}

template <class Frame>
std::optional<std::uint32_t> hash_of(const ToeplitzHash& hash, const Frame& frame, const Layout& layout,
                                     RssTypes types) noexcept {
  const ApplicableTypes applicable = applicable_types(layout.type);
  if ((types.bits & applicable.with_ports) != 0) return hash_of(hash, frame, layout, true);
  if ((types.bits & applicable.addresses) != 0) return hash_of(hash, frame, layout, false);
  return std::nullopt;
}

ChecksumStatus good_or_bad(bool is_good) noexcept { return is_good ? ChecksumStatus::good : ChecksumStatus::bad; }

template <class Frame>
ChecksumStatus ip_status(const Frame& frame, const Layout& layout) noexcept {
  if (!layout.type.has(PacketType::ipv4)) return ChecksumStatus::unknown;
  std::array<std::uint8_t, Ipv4Header::kMaxLength> header{};
  frame.copy(layout.l3, std::span(header).first(1));
  InternetSum sum;
  frame.add_to(sum, layout.l3, layout.l3 + (header[0] & 0x0FU) * std::size_t{4});
  return good_or_bad(sum.is_good());
}

template <class Frame>
ChecksumStatus sctp_status(const Frame& frame, std::size_t from, std::size_t to) noexcept {
  if (to - from < kSctpChecksumAt + kSctpChecksumBytes) return ChecksumStatus::unknown;
  const std::size_t at = from + kSctpChecksumAt;
  std::array<std::uint8_t, kSctpChecksumBytes> bytes{};
  Crc32c crc;
  frame.add_to(crc, from, at);
  crc.add(bytes);  // the checksum field counts as zero
  frame.add_to(crc, at + bytes.size(), to);
  frame.copy(at, bytes);
  return good_or_bad(bytes == crc.bytes());
}

template <class Frame>
ChecksumStatus l4_status(const Frame& frame, const Layout& layout) noexcept {
  constexpr std::uint32_t kTransports = PacketType::tcp | PacketType::udp | PacketType::sctp;
  if ((layout.type.bits & kTransports) == 0) return ChecksumStatus::unknown;
  const std::size_t packet_end = ip_end(frame, layout);
  if (packet_end < layout.l4 || packet_end > frame.size()) return ChecksumStatus::unknown;
  if (layout.type.has(PacketType::sctp)) return sctp_status(frame, layout.l4, packet_end);
  const auto end = covered_end(frame.all(), layout.l4, packet_end, layout.protocol);
  const auto headers = read_ip_headers(frame.all(), layout.l3, layout.l3_length());
  if (!end || !headers) return ChecksumStatus::unknown;
  if (layout.type.has(PacketType::udp) && number_at(frame, layout.l4 + UdpHeader::kChecksumAt) == 0) {
    return ChecksumStatus::unknown;
  }
  const PseudoHeaderPlaces& addresses = headers->addresses;
  InternetSum sum;
  frame.add_to(sum, addresses.source, addresses.source + addresses.bytes);
  frame.add_to(sum, addresses.destination, addresses.destination + addresses.bytes);
  sum.add(std::uint32_t{layout.protocol});
  sum.add(static_cast<std::uint32_t>(*end - layout.l4));
  frame.add_to(sum, layout.l4, *end);
  return good_or_bad(sum.is_good());
}

}  // namespace

ToeplitzHash::ToeplitzHash(const RssKey& key) noexcept {
  for (std::size_t half = 0; half < table_.size(); ++half) {
    for (std::uint32_t value = 0; value < 16; ++value) {
      std::uint32_t hash = 0;
      for (std::size_t bit = 0; bit < 4; ++bit) {
        if ((value >> (3 - bit) & 1) != 0) hash ^= key_window(key, half * 4 + bit);
      }
      table_[half][value] = hash;
    }
  }
}

std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, std::span<const std::uint8_t> frame,
                                      const Layout& layout, RssFields fields) noexcept {
  return hash_of(hash, FlatFrame(frame), layout, fields);
}
std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, const Mbuf& frame, const Layout& layout,
                                      RssFields fields) noexcept {
  return hash_of(hash, ChainedFrame(frame), layout, fields);
}

std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, std::span<const std::uint8_t> frame,
                                      const Layout& layout, RssTypes types) noexcept {
  return hash_of(hash, FlatFrame(frame), layout, types);
}
std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, const Mbuf& frame, const Layout& layout,
                                      RssTypes types) noexcept {
  return hash_of(hash, ChainedFrame(frame), layout, types);
}

ChecksumStatus ip_checksum(std::span<const std::uint8_t> frame, const Layout& layout) noexcept {
  return ip_status(FlatFrame(frame), layout);
}
ChecksumStatus ip_checksum(const Mbuf& frame, const Layout& layout) noexcept {
  return ip_status(ChainedFrame(frame), layout);
}
ChecksumStatus l4_checksum(std::span<const std::uint8_t> frame, const Layout& layout) noexcept {
  return l4_status(FlatFrame(frame), layout);
}
ChecksumStatus l4_checksum(const Mbuf& frame, const Layout& layout) noexcept {
  return l4_status(ChainedFrame(frame), layout);
}

SoftwareRxMetadata classify(const ToeplitzHash& hash, const Mbuf& frame, const Layout& layout,
                            RssFields fields) noexcept {
  return {.packet_type = layout.type,
          .rss_hash = rss_hash(hash, frame, layout, fields),
          .ip_checksum = ip_checksum(frame, layout),
          .l4_checksum = l4_checksum(frame, layout)};
}

}  // namespace pollux::packet
