// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/filter.hpp"

#include <algorithm>
#include <bit>

#include "hw/intel/igb/limits.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::size_t kUntaggedMax = 1518;

std::uint32_t wide_byte_at(std::span<const std::byte> frame, std::size_t offset) noexcept {
  return std::to_integer<std::uint32_t>(frame[offset]);
}

}  // namespace

std::array<std::byte, 6> own_address(const RegisterFile& registers) noexcept {
  std::array<std::byte, 6> address{};
  const std::uint64_t own =
      registers.get<hw::RAL>(0).raw() | std::uint64_t{registers.get<hw::RAH>(0).get(hw::RAH::ADDRESS)} << 32;
  for (std::size_t i = 0; i < address.size(); ++i) address[i] = static_cast<std::byte>(own >> 8 * i & 0xFF);
  return address;
}

Filter::Filter(RegisterFile& registers, std::uint32_t exact_addresses)
    : registers_(registers), exact_addresses_(std::min(exact_addresses, hw::RAL::kCount)) {
  if (registers_.traits().errata.vlan_table_writes == 1) return;
  registers_.on_write<hw::VFTA>([this](std::uint32_t index, std::uint32_t value) { write_vlans(index, value); });
}

// [E-VFTA] A word holds once it was written often enough, with nothing to another word of the table in between.
void Filter::write_vlans(std::uint32_t index, std::uint32_t value) {
  vlan_writes_ = index == vlan_word_ ? vlan_writes_ + 1 : 1;
  vlan_word_ = index;
  if (vlan_writes_ >= registers_.traits().errata.vlan_table_writes) {
    registers_.set<hw::VFTA>(index, hw::VFTA::Value(value));
  }
}

void Filter::set_mac(std::array<std::uint8_t, 6> mac) {
  const auto byte = [&mac](std::size_t i) { return static_cast<std::uint32_t>(mac[i]); };
  registers_.set<hw::RAL>(0, hw::RAL::Value(byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24));
  registers_.set<hw::RAH>(0, hw::RAH::ADDRESS(byte(4) | byte(5) << 8) | hw::RAH::AV);
}

void Filter::reset() {
  registers_.set<hw::RLPML>(hw::RLPML::LENGTH(hw::kMaxFrameBytes));
  registers_.set<hw::VET>(hw::VET::TYPE(0x8100) | hw::VET::OUTER_TYPE(0x8100));
}

template <class Matched>
bool Filter::for_each_match(std::span<const std::byte> frame, std::size_t offset, Matched matched) const {
  const std::span<const std::byte> wanted = frame.subspan(offset, 6);
  const std::uint32_t low = wide_byte_at(wanted, 0) | wide_byte_at(wanted, 1) << 8 | wide_byte_at(wanted, 2) << 16 |
                            wide_byte_at(wanted, 3) << 24;
  const std::uint32_t high = wide_byte_at(wanted, 4) | wide_byte_at(wanted, 5) << 8;
  for (std::uint32_t i = 0; i < exact_addresses_; ++i) {
    const hw::RAH::Value entry = registers_.get<hw::RAH>(i);
    const bool equal = entry.get(hw::RAH::ADDRESS) == high && registers_.get<hw::RAL>(i).raw() == low;
    if (equal && entry.has(hw::RAH::AV) && matched(entry)) return true;
  }
  return false;
}

bool Filter::matches_exactly(std::span<const std::byte> frame) const {
  return for_each_match(frame, 0, [](hw::RAH::Value) { return true; });
}

std::uint32_t Filter::exact_pools(std::span<const std::byte> frame, std::size_t offset) const {
  std::uint32_t pools = 0;
  for_each_match(frame, offset, [&pools](hw::RAH::Value entry) {
    pools |= entry.get(hw::RAH::POOLSEL);
    return false;
  });
  return pools;
}

/// Twelve bits of the last two address bytes, selected by RCTL.MO (QEMU, e1000x_common.c, e1000x_rx_group_filter).
std::uint32_t Filter::hash(std::span<const std::byte> frame) const {
  constexpr std::array<std::uint32_t, 4> kShift{4, 3, 2, 0};
  const std::uint32_t last = wide_byte_at(frame, 5) << 8 | wide_byte_at(frame, 4);
  return last >> kShift[registers_.get<hw::RCTL>().get(hw::RCTL::MO)] & 0xFFF;
}

Filter::Match Filter::address(std::span<const std::byte> frame) const {
  const hw::RCTL::Value control = registers_.get<hw::RCTL>();
  const bool broadcast = is_broadcast(frame);
  const bool multicast = is_multicast(frame);
  if (broadcast ? control.has(hw::RCTL::BAM) : control.has(multicast ? hw::RCTL::MPE : hw::RCTL::UPE)) {
    return Match::exact;
  }
  if (matches_exactly(frame)) return Match::exact;
  // [I-UTA]
  if (!multicast && !has_pools(registers_.get<hw::MRQC>())) return Match::rejected;
  return in_table(frame) ? Match::inexact : Match::rejected;
}

bool Filter::in_table(std::span<const std::byte> frame) const {
  const std::uint32_t number = hash(frame);
  const std::uint32_t word =
      is_multicast(frame) ? registers_.get<hw::MTA>(number / 32).raw() : registers_.get<hw::UTA>(number / 32).raw();
  return (word >> number % 32 & 1) != 0;
}

bool Filter::vlan(const Headers& headers) const {
  if (!headers.tagged || !registers_.get<hw::RCTL>().has(hw::RCTL::VFE)) return true;
  const std::uint32_t id = headers.vlan & 0xFFF;
  return (registers_.get<hw::VFTA>(id / 32).raw() >> id % 32 & 1) != 0;
}

std::optional<std::uint32_t> Filter::ether_type(const Headers& headers) const {
  for (std::uint32_t i = 0; i < hw::ETQF::kCount; ++i) {
    const hw::ETQF::Value filter = registers_.get<hw::ETQF>(i);
    if (filter.has(hw::ETQF::FILTER_ENABLE) && filter.get(hw::ETQF::ETYPE) == headers.ether_type) return i;
  }
  return std::nullopt;
}

// [I-LPE] The longest frame has 1518 bytes, and four more for each tag, or RLPML bytes if RCTL.LPE is set. 82575
// manual, 14.9.34 and 14.9.35.
Filter::Length Filter::length(std::size_t bytes_without_crc, const Headers& headers) const {
  const std::size_t bytes = bytes_without_crc + hw::kCrcBytes;
  if (bytes < hw::kMinFrameBytes) return Length::short_frame;
  const std::size_t fixed = kUntaggedMax + headers.tag_bytes;
  const bool large = registers_.get<hw::RCTL>().has(hw::RCTL::LPE);
  const std::size_t limit = large ? registers_.get<hw::RLPML>().get(hw::RLPML::LENGTH) : fixed;
  return bytes > limit ? Length::long_frame : Length::good;
}

namespace {

constexpr std::size_t kFlagsOffset = 13;
constexpr std::size_t kFlagsEnd = 14;
constexpr unsigned kSynFlag = 2;

std::uint32_t protocol_of(const Headers& headers) noexcept {
  return headers.tcp != 0 ? kProtocolTcp : headers.udp != 0 ? kProtocolUdp : kProtocolSctp;
}

unsigned tcp_flags(std::span<const std::byte> frame, const Headers& headers) {
  const std::size_t at = headers.tcp + kFlagsOffset;
  return headers.tcp != 0 && headers.tcp + kFlagsEnd <= frame.size() ? std::to_integer<unsigned>(frame[at]) : 0U;
}

std::optional<std::uint32_t> queue_by_syn(const RegisterFile& registers, std::span<const std::byte> frame,
                                          const Headers& headers) {
  const hw::SYNQF::Value filter = registers.get<hw::SYNQF>();
  if (!filter.has(hw::SYNQF::QUEUE_ENABLE) || (tcp_flags(frame, headers) & kSynFlag) == 0) return std::nullopt;
  return filter.get(hw::SYNQF::QUEUE);
}

bool flags_and_size_match(const RegisterFile& registers, std::uint32_t index, std::span<const std::byte> frame,
                          const Headers& headers) {
  const hw::IMIREXT::Value more = registers.get<hw::IMIREXT>(index);
  if (!more.has(hw::IMIREXT::SIZE_BP) && frame.size() >= more.get(hw::IMIREXT::SIZE_THRESHOLD)) return false;
  if (more.has(hw::IMIREXT::CTRL_BP)) return true;
  constexpr std::uint32_t kShift = hw::IMIREXT::URG.lo();
  std::uint32_t reversed = 0;  // the register has URG first, TCP FIN
  for (unsigned i = 0; i < 6; ++i) reversed |= (more.raw() >> (kShift + i) & 1U) << (5 - i);
  return (tcp_flags(frame, headers) & reversed) != 0;
}

// I210 datasheet, 8.11.2: of several filters the one with the highest priority decides, then the lowest number. DPDK,
// e1000_ethdev.h, struct e1000_5tuple_filter_info: 7 is the highest priority, and any of the TCP flags matches.
std::optional<std::uint32_t> queue_by_tuple(const RegisterFile& registers, std::span<const std::byte> frame,
                                            const Headers& headers) {
  if (headers.ipv4 == 0 || (headers.tcp == 0 && headers.udp == 0 && headers.sctp == 0)) return std::nullopt;
  std::optional<std::uint32_t> queue;
  std::uint32_t best = 0;
  for (std::uint32_t i = 0; i < hw::FTQF::kCount; ++i) {
    const hw::FTQF::Value filter = registers.get<hw::FTQF>(i);
    const std::uint32_t priority = registers.get<hw::IMIR>(i).get(hw::IMIR::PRIORITY);
    if (!filter.has(hw::FTQF::QUEUE_ENABLE) || (queue && priority <= best) ||
        !tuple_matches(registers, i, frame, headers) || !flags_and_size_match(registers, i, frame, headers))
      continue;
    queue = filter.get(hw::FTQF::QUEUE);
    best = priority;
  }
  return queue;
}

}  // namespace

bool tuple_matches(const RegisterFile& registers, std::uint32_t index, std::span<const std::byte> frame,
                   const Headers& headers) {
  const hw::FTQF::Value filter = registers.get<hw::FTQF>(index);
  const hw::IMIR::Value port = registers.get<hw::IMIR>(index);
  const std::size_t ports = std::max({headers.tcp, headers.udp, headers.sctp});
  const auto has_address = [&](std::size_t at, std::uint32_t address) {
    return headers.ipv4 != 0 && read_little(frame, headers.ipv4 + at, 4) == address;
  };
  const bool two = !registers.traits().filters.tuples_have_sources;
  return (filter.has(hw::FTQF::PROTOCOL_BP) || filter.get(hw::FTQF::PROTOCOL) == protocol_of(headers)) &&
         (two || filter.has(hw::FTQF::SOURCE_ADDRESS_BP) || has_address(12, registers.get<hw::SAQF>(index).raw())) &&
         (two || filter.has(hw::FTQF::DESTINATION_ADDRESS_BP) ||
          has_address(16, registers.get<hw::DAQF>(index).raw())) &&
         (two || filter.has(hw::FTQF::SOURCE_PORT_BP) ||
          registers.get<hw::SPQF>(index).get(hw::SPQF::PORT) == read_little(frame, ports, 2)) &&
         (port.has(hw::IMIR::PORT_BP) || port.get(hw::IMIR::PORT) == read_little(frame, ports + 2, 2));
}

std::optional<std::uint32_t> filtered_queue(const RegisterFile& registers, std::span<const std::byte> frame,
                                            const Headers& headers) {
  const auto by_flag = queue_by_syn(registers, frame, headers);
  if (by_flag && registers.get<hw::RFCTL>().has(hw::RFCTL::SYNQFP)) return by_flag;
  const auto by_tuple = queue_by_tuple(registers, frame, headers);
  return by_tuple ? by_tuple : by_flag;
}

namespace {

using intel::rx::RssType;

bool with_ports(RssType type) noexcept {
  return type == RssType::tcp_ipv4 || type == RssType::udp_ipv4 || type == RssType::tcp_ipv6 ||
         type == RssType::tcp_ipv6_ex || type == RssType::udp_ipv6 || type == RssType::udp_ipv6_ex;
}

/// [I-M-RSSEX] The "ex" types use the addresses of the base header, not those of home address options and routing
/// headers. QEMU (igb_core.c, igb_rss_get_hash_type) hashes TCP over IPv6 only with TCP_IPV6_EX. This model also
/// supports TCP_IPV6. With RFCTL.IPV6_EX_DIS a packet with extension headers counts as IPv6 without layer 4 (QEMU, same
/// function).
RssType rss_type(const RegisterFile& registers, const Headers& headers) {
  const hw::MRQC::Value fields = registers.get<hw::MRQC>();
  if (headers.ipv4 != 0) {
    if (headers.tcp != 0 && fields.has(hw::MRQC::TCP_IPV4)) return RssType::tcp_ipv4;
    if (headers.udp != 0 && fields.has(hw::MRQC::UDP_IPV4)) return RssType::udp_ipv4;
    return fields.has(hw::MRQC::IPV4) ? RssType::ipv4 : RssType::none;
  }
  if (headers.ipv6 == 0) return RssType::none;
  const RssType ipv6 = fields.has(hw::MRQC::IPV6) ? RssType::ipv6 : RssType::none;
  if (headers.ip_options && registers.get<hw::RFCTL>().has(hw::RFCTL::IPV6_EX_DIS)) return ipv6;
  if (headers.tcp != 0 && fields.has(hw::MRQC::TCP_IPV6_EX)) return RssType::tcp_ipv6_ex;
  if (headers.tcp != 0 && fields.has(hw::MRQC::TCP_IPV6)) return RssType::tcp_ipv6;
  if (headers.udp != 0 && fields.has(hw::MRQC::UDP_IPV6_EX)) return RssType::udp_ipv6_ex;
  if (headers.udp != 0 && fields.has(hw::MRQC::UDP_IPV6)) return RssType::udp_ipv6;
  return fields.has(hw::MRQC::IPV6_EX) ? RssType::ipv6_ex : ipv6;
}

/// Microsoft's Toeplitz hash: the XOR, over all set bits of the input, of the 32 key bits that start at the bit's
/// position.
std::uint32_t toeplitz(const RegisterFile& registers, std::span<const std::byte> input) {
  std::uint32_t hash = 0;
  const auto key_bit = [&registers](std::size_t number) {
    const std::size_t byte = number / 8;
    const std::uint32_t word = registers.get<hw::RSSRK>(static_cast<std::uint32_t>(byte / 4)).raw();
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

}  // namespace

RssChoice rss_choice(const RegisterFile& registers, std::span<const std::byte> frame, const Headers& headers) {
  RssChoice choice;
  // The write-back's field holds the hash only if RXCSUM.PCSD disables the packet checksum in it. So RSS depends on
  // PCSD (QEMU, igb_core.c, igb_rss_enabled).
  choice.enabled = has_rss(registers.get<hw::MRQC>()) && registers.get<hw::RXCSUM>().has(hw::RXCSUM::PCSD);
  if (!choice.enabled) return choice;
  choice.type = rss_type(registers, headers);
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
  choice.hash = toeplitz(registers, std::span<const std::byte>(input).first(size));
  const std::uint32_t entry = choice.hash % hw::kRedirectionEntries;
  choice.queue = registers.get<hw::RETA>(entry / 4).raw() >> entry % 4 * 8 & 0xF;
  return choice;
}

}  // namespace pollux::models::igb
