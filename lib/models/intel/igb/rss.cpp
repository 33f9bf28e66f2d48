// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/rss.hpp"

#include <algorithm>
#include <array>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/queueing.hpp"

namespace pollux::models::igb {
namespace {

using intel::rx::RssType;

bool with_ports(RssType type) noexcept {
  return type == RssType::tcp_ipv4 || type == RssType::udp_ipv4 || type == RssType::tcp_ipv6 ||
         type == RssType::tcp_ipv6_ex || type == RssType::udp_ipv6 || type == RssType::udp_ipv6_ex;
}

}  // namespace

/// [I-M-RSSEX] The "ex" types use the addresses of the base header, not those of home address options and routing
/// headers. QEMU (igb_core.c, igb_rss_get_hash_type) hashes TCP over IPv6 only with TCP_IPV6_EX. This model also
/// supports TCP_IPV6. With RFCTL.IPV6_EX_DIS a packet with extension headers counts as IPv6 without layer 4 (QEMU, same
/// function).
RssType Rss::type(const Headers& headers) const {
  const hw::MRQC::Value fields = registers_.get<hw::MRQC>();
  if (headers.ipv4 != 0) {
    if (headers.tcp != 0 && fields.has(hw::MRQC::TCP_IPV4)) return RssType::tcp_ipv4;
    if (headers.udp != 0 && fields.has(hw::MRQC::UDP_IPV4)) return RssType::udp_ipv4;
    return fields.has(hw::MRQC::IPV4) ? RssType::ipv4 : RssType::none;
  }
  if (headers.ipv6 == 0) return RssType::none;
  const RssType ipv6 = fields.has(hw::MRQC::IPV6) ? RssType::ipv6 : RssType::none;
  if (headers.ip_options && registers_.get<hw::RFCTL>().has(hw::RFCTL::IPV6_EX_DIS)) return ipv6;
  if (headers.tcp != 0 && fields.has(hw::MRQC::TCP_IPV6_EX)) return RssType::tcp_ipv6_ex;
  if (headers.tcp != 0 && fields.has(hw::MRQC::TCP_IPV6)) return RssType::tcp_ipv6;
  if (headers.udp != 0 && fields.has(hw::MRQC::UDP_IPV6_EX)) return RssType::udp_ipv6_ex;
  if (headers.udp != 0 && fields.has(hw::MRQC::UDP_IPV6)) return RssType::udp_ipv6;
  return fields.has(hw::MRQC::IPV6_EX) ? RssType::ipv6_ex : ipv6;
}

/// Microsoft's Toeplitz hash: the XOR, over all set bits of the input, of the 32 key bits that start at the bit's
/// position.
std::uint32_t Rss::toeplitz(std::span<const std::byte> input) const {
  std::uint32_t hash = 0;
  const auto key_bit = [this](std::size_t number) {
    const std::size_t byte = number / 8;
    const std::uint32_t word = registers_.get<hw::RSSRK>(static_cast<std::uint32_t>(byte / 4)).raw();
    return word >> (byte % 4 * 8 + (7 - number % 8)) & 1;
  };
  std::uint32_t window = 0;
  for (std::size_t i = 0; i < 32; ++i) window = window << 1 | key_bit(i);
  for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
    if ((std::to_integer<unsigned>(input[bit / 8]) >> (7 - bit % 8) & 1) != 0) hash ^= window;
    const std::size_t next = bit + 32;
    window = window << 1 | (next < hw::kRssKeyWords * 32 ? key_bit(next) : 0);
  }
  return hash;
}

Rss::Choice Rss::choose(std::span<const std::byte> frame, const Headers& headers) const {
  Choice choice;
  // The write-back's field holds the hash only if RXCSUM.PCSD disables the packet checksum in it. So RSS depends on
  // PCSD (QEMU, igb_core.c, igb_rss_enabled).
  choice.enabled = has_rss(registers_.get<hw::MRQC>()) && registers_.get<hw::RXCSUM>().has(hw::RXCSUM::PCSD);
  if (!choice.enabled) return choice;
  choice.type = type(headers);
  if (choice.type == RssType::none) return choice;
  std::array<std::byte, 36> input{};
  const std::size_t source = headers.ipv4 != 0 ? headers.ipv4 + 12 : headers.ipv6 + 8;
  std::size_t size = headers.ipv4 != 0 ? 8 : 32;
  const auto take = [&](std::size_t from, std::size_t bytes, std::size_t to) {
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(from), bytes,
                input.begin() + static_cast<std::ptrdiff_t>(to));
  };
  take(source, size, 0);
  if (with_ports(choice.type)) {
    take(headers.tcp != 0 ? headers.tcp : headers.udp, 4, size);
    size += 4;
  }
  choice.hash = toeplitz(std::span<const std::byte>(input).first(size));
  const std::uint32_t entry = choice.hash % hw::kRedirectionEntries;
  choice.queue = registers_.get<hw::RETA>(entry / 4).raw() >> entry % 4 * 8 & 0xF;
  return choice;
}

}  // namespace pollux::models::igb
