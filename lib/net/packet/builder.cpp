// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/builder.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "net/packet/ip_headers.hpp"
#include "pollux/net/packet/sums.hpp"

namespace pollux::packet {
namespace {

constexpr std::size_t kMaxIpLength = 65535;
constexpr std::size_t kIcmpv6ChecksumAt = 2;  // RFC 4443, 2.1
constexpr std::size_t kIcmpv6Header = 4;

template <class Header>
std::size_t length_of(const Header& header) noexcept {
  if constexpr (requires { header.options; }) {
    return header.length();
  } else {
    return Header::kLength;
  }
}

}  // namespace

/// Writes `header` if the current stage is between `from` and `to`, and moves on to stage `next`.
template <class Header>
bool Builder::put(const Header& header, const char* name, Stage from, Stage to, Stage next) noexcept {
  if (failed_ != nullptr) return false;
  const std::size_t length = stage_ >= from && stage_ <= to ? header.write(memory_.subspan(size_)) : std::size_t{0};
  if (length == 0) {
    failed_ = name;
    failed_for_room_ = memory_.size() - size_ < length_of(header);
    return false;
  }
  size_ += length;
  stage_ = next;
  return true;
}

void Builder::set_ether_type(std::uint16_t type) noexcept { store16(&memory_[ether_type_at_], type); }

Builder& Builder::ethernet(const EthernetHeader& header) noexcept {
  if (put(header, "an Ethernet header", Stage::nothing, Stage::nothing, Stage::ethernet)) ether_type_at_ = size_ - 2;
  return *this;
}

Builder& Builder::vlan(const VlanHeader& header, std::uint16_t kind) noexcept {
  if (put(header, "a VLAN tag", Stage::ethernet, Stage::ethernet, Stage::ethernet)) {
    set_ether_type(kind);
    ether_type_at_ = size_ - 2;
  }
  return *this;
}

Builder& Builder::arp(const ArpHeader& header) noexcept {
  if (put(header, "ARP", Stage::ethernet, Stage::ethernet, Stage::payload)) set_ether_type(ether_type::kArp);
  return *this;
}

Builder& Builder::ipv4(const Ipv4Header& header) noexcept {
  const std::size_t at = size_;
  if (put(header, "an IPv4 header", Stage::ethernet, Stage::ethernet, Stage::ip)) {
    set_ether_type(ether_type::kIpv4);
    ip_at_ = at;
  }
  return *this;
}

Builder& Builder::ipv6(const Ipv6Header& header) noexcept {
  const std::size_t at = size_;
  if (put(header, "an IPv6 header", Stage::ethernet, Stage::ethernet, Stage::ip)) {
    set_ether_type(ether_type::kIpv6);
    ip_at_ = at;
    if (header.next_header == ip_protocol::kIcmpv6) {
      protocol_ = header.next_header;
      transport_at_ = size_;
    }
  }
  return *this;
}

template <class Header>
void Builder::put_transport(const Header& header, const char* name, std::uint8_t protocol) noexcept {
  const std::size_t at = size_;
  if (!put(header, name, Stage::ip, Stage::ip, Stage::transport)) return;
  transport_at_ = at;
  protocol_ = protocol;
  const bool is_ipv4 = memory_[ip_at_] >> 4 == 4;
  memory_[ip_at_ + (is_ipv4 ? 9 : 6)] = protocol;
}

Builder& Builder::udp(const UdpHeader& header) noexcept {
  put_transport(header, "a UDP header", ip_protocol::kUdp);
  return *this;
}

Builder& Builder::tcp(const TcpHeader& header) noexcept {
  put_transport(header, "a TCP header", ip_protocol::kTcp);
  return *this;
}

Builder& Builder::payload(std::span<const std::uint8_t> bytes) noexcept {
  if (failed_ != nullptr) return *this;
  if (stage_ == Stage::nothing || bytes.size() > memory_.size() - size_) {
    failed_ = "the payload";
    failed_for_room_ = stage_ != Stage::nothing;
    return *this;
  }
  std::copy_n(bytes.begin(), bytes.size(), memory_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += bytes.size();
  stage_ = Stage::payload;
  return *this;
}

void Builder::fill_ip() noexcept {
  std::uint8_t* const ip = &memory_[ip_at_];
  const std::size_t length = size_ - ip_at_;
  if (ip[0] >> 4 == 6) return store16(ip + 4, static_cast<std::uint16_t>(length - Ipv6Header::kLength));
  store16(ip + 2, static_cast<std::uint16_t>(length));
  store16(ip + 10, 0);
  store16(ip + 10, internet_checksum({ip, (ip[0] & 0x0FU) * std::size_t{4}}));
}

void Builder::fill_transport() noexcept {
  const std::span<std::uint8_t> bytes = memory_.subspan(transport_at_, size_ - transport_at_);
  const bool is_udp = protocol_ == ip_protocol::kUdp;
  const bool is_fragment = memory_[ip_at_] >> 4 == 4 && (load16(&memory_[ip_at_ + 6]) & 0x3FFF) != 0;
  if (is_udp && !(is_fragment && load16(&bytes[4]) != 0)) store16(&bytes[4], static_cast<std::uint16_t>(bytes.size()));
  if (protocol_ == ip_protocol::kIcmpv6 && bytes.size() < kIcmpv6Header) return;
  const std::size_t at = is_udp                           ? UdpHeader::kChecksumAt
                         : protocol_ == ip_protocol::kTcp ? TcpHeader::kChecksumAt
                                                          : kIcmpv6ChecksumAt;
  store16(&bytes[at], 0);
  const auto headers = read_ip_headers(memory_.subspan(ip_at_, transport_at_ - ip_at_));
  if (is_fragment || !headers) return;
  InternetSum sum;
  sum.add(memory_.subspan(ip_at_ + headers->addresses.source, headers->addresses.bytes));
  sum.add(memory_.subspan(ip_at_ + headers->addresses.destination, headers->addresses.bytes));
  sum.add(std::uint32_t{protocol_});
  sum.add(static_cast<std::uint32_t>(bytes.size()));
  sum.add(bytes);
  store16(&bytes[at], is_udp ? udp_checksum(sum.checksum()) : sum.checksum());
}

tl::unexpected<Error> Builder::failure() const {
  if (failed_for_room_) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("packet::Builder: no room for {} at byte {} of {}", failed_, size_, memory_.size()),
                "give it more memory");
  }
  return fail(ErrorCode::invalid_argument, fmt::format("packet::Builder: cannot write {} at byte {}", failed_, size_),
              "add headers in order (Ethernet, tags, IPv4 or IPv6 or ARP, TCP or UDP, payload), with options of "
              "at most 40 bytes, a multiple of 4, and fields within their ranges");
}

Result<std::span<std::uint8_t>> Builder::finish(std::size_t min_length) {
  if (failed_ == nullptr && stage_ == Stage::nothing) failed_ = "a frame without an Ethernet header";
  if (failed_ == nullptr && ip_at_ != kNowhere && size_ - ip_at_ > kMaxIpLength) {
    failed_ = "an IP packet of over 65,535 bytes";
  }
  if (failed_ == nullptr && min_length > memory_.size()) {
    failed_ = "the padding";
    failed_for_room_ = true;
  }
  if (failed_ != nullptr) return failure();
  if (ip_at_ != kNowhere) fill_ip();
  if (transport_at_ != kNowhere) fill_transport();
  if (size_ < min_length) {
    std::fill(memory_.begin() + static_cast<std::ptrdiff_t>(size_),
              memory_.begin() + static_cast<std::ptrdiff_t>(min_length), std::uint8_t{0});
    size_ = min_length;
  }
  return memory_.first(size_);
}

}  // namespace pollux::packet
