// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/link.hpp"
#include "pollux/net/packet/ethernet.hpp"

/// Builds the items of a flow rule by name:
///
///     FlowRule dns{match::ipv4().udp().destination_port(53), to_queue(3)};
///     FlowRule own{match::ipv4().source({10, 0, 0, 0}, 8).tcp().destination_port(1000, 1999), to_drop()};
///
/// A function that sets a field applies to the header named last. Numbers are in host byte order. A field that is not
/// set is not compared.
namespace pollux::match {

class Eth;
class Vlan;
class Ipv4;
class Ipv6;
class Tcp;
class Udp;
class Sctp;
class Raw;

/// The items so far.
class Items {
 public:
  /// What FlowRule::match takes.
  ///@{
  // NOLINTNEXTLINE(google-explicit-constructor): a builder is what FlowRule::match takes
  operator std::vector<MatchItem>() const& { return items_; }
  // NOLINTNEXTLINE(google-explicit-constructor)
  operator std::vector<MatchItem>() && { return std::move(items_); }
  ///@}

 protected:
  /// For the builders of headers, which derive from this class: the items, and the fields of the last one.
  ///@{
  Items(std::vector<MatchItem> items, MatchProtocol protocol) : items_(std::move(items)) {
    items_.push_back({.protocol = protocol});
  }
  /// Sets the field of `bytes` bytes at `at` of a header of `header` bytes.
  void set(std::size_t header, std::size_t at, std::span<const std::uint8_t> bytes,
           std::span<const std::uint8_t> mask) {
    MatchItem& item = items_.back();
    item.spec.resize(header);
    item.mask.resize(header);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      item.spec[at + i] = bytes[i];
      item.mask[at + i] = mask[i];
    }
  }
  void set8(std::size_t header, std::size_t at, std::uint8_t value, std::uint8_t mask) {
    set(header, at, {&value, 1}, {&mask, 1});
  }
  void set16(std::size_t header, std::size_t at, std::uint16_t value, std::uint16_t mask = 0xFFFF) {
    const std::uint8_t bytes[]{static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
    const std::uint8_t bits[]{static_cast<std::uint8_t>(mask >> 8), static_cast<std::uint8_t>(mask)};
    set(header, at, bytes, bits);
  }
  void range16(std::size_t header, std::size_t at, std::uint16_t first, std::uint16_t last) {
    set16(header, at, first);
    items_.back().last.resize(header);
    items_.back().last[at] = static_cast<std::uint8_t>(last >> 8);
    items_.back().last[at + 1] = static_cast<std::uint8_t>(last);
  }
  /// The first `prefix` bits of an address.
  template <std::size_t N>
  void set_address(std::size_t header, std::size_t at, const std::array<std::uint8_t, N>& address, unsigned prefix) {
    std::array<std::uint8_t, N> bits{};
    for (std::size_t i = 0; i < N * 8 && i < prefix; ++i)
      bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | 0x80 >> i % 8);
    set(header, at, address, bits);
  }

  std::vector<MatchItem> items_;
  ///@}
};

/// Bytes at any position.
class Raw : public Items {
 public:
  /// What `match::raw` and the members `raw` return.
  Raw(std::vector<MatchItem> items, std::vector<std::uint8_t> bytes, std::int32_t offset, bool relative)
      : Items(std::move(items), MatchProtocol::raw) {
    items_.back().spec = std::move(bytes);
    items_.back().offset = offset;
    items_.back().relative = relative;
  }
  /// As MatchItem::mask: which bits of the bytes are compared, as many bytes as there are to find.
  Raw mask(std::vector<std::uint8_t> bits) && {
    items_.back().mask = std::move(bits);
    return std::move(*this);
  }
  /// Anywhere from the offset on, at the first `positions` positions; 0: at all.
  Raw search(std::uint16_t positions = 0) && {
    items_.back().search = true;
    items_.back().limit = positions;
    return std::move(*this);
  }
  /// More bytes, `offset` bytes after the end of these.
  Raw raw(std::vector<std::uint8_t> bytes, std::int32_t offset = 0) && {
    return {std::move(items_), std::move(bytes), offset, true};
  }
};

/// What all headers have in common. `Self` is the class of the header.
template <class Self>
class Header : public Items {
 public:
  /// Bytes, `offset` bytes after the end of this header.
  Raw raw(std::vector<std::uint8_t> bytes, std::int32_t offset = 0) && {
    return {std::move(items_), std::move(bytes), offset, true};
  }

 protected:
  /// For the builders of headers.
  using Items::Items;
  /// For the builders of headers: what their functions return.
  Self&& self() { return static_cast<Self&&>(*this); }
};

/// A header with ports.
template <class Self, MatchProtocol kProtocol, std::size_t kBytes>
class Ports : public Header<Self> {
 public:
  /// Any ports.
  explicit Ports(std::vector<MatchItem> items = {}) : Header<Self>(std::move(items), kProtocol) {}
  /// One port.
  Self source_port(std::uint16_t port) && { return this->set16(kBytes, 0, port), this->self(); }
  /// A range, both ends included.
  Self source_port(std::uint16_t first, std::uint16_t last) && {
    return this->range16(kBytes, 0, first, last), this->self();
  }
  /// One port.
  Self destination_port(std::uint16_t port) && { return this->set16(kBytes, 2, port), this->self(); }
  /// A range, both ends included.
  Self destination_port(std::uint16_t first, std::uint16_t last) && {
    return this->range16(kBytes, 2, first, last), this->self();
  }
};
/// A header of UDP.
class Udp : public Ports<Udp, MatchProtocol::udp, 8> {
  using Ports::Ports;
};
/// A header of SCTP.
class Sctp : public Ports<Sctp, MatchProtocol::sctp, 12> {
  using Ports::Ports;
};
/// A header of TCP.
class Tcp : public Ports<Tcp, MatchProtocol::tcp, 20> {
 public:
  /// As Ports.
  using Ports::Ports;
  /// The bits of `mask` (packet::TcpHeader::Flag) are as in `value`.
  Tcp flags(std::uint8_t value, std::uint8_t mask) && { return set8(20, 13, value, mask), self(); }
};

/// A header of IP. `prefix`: how many bits of the address are compared.
template <class Self, MatchProtocol kVersion, std::size_t kBytes, std::size_t kSource, class Address>
class Ip : public Header<Self> {
 public:
  static constexpr unsigned kAddressBits = 8 * sizeof(Address);  ///< the whole address as a `prefix`
  /// Any addresses.
  explicit Ip(std::vector<MatchItem> items = {}) : Header<Self>(std::move(items), kVersion) {}
  /// The network of the sender.
  Self source(const Address& address, unsigned prefix = kAddressBits) && {
    return this->set_address(kBytes, kSource, address, prefix), this->self();
  }
  /// The network of the receiver.
  Self destination(const Address& address, unsigned prefix = kAddressBits) && {
    return this->set_address(kBytes, kSource + sizeof(Address), address, prefix), this->self();
  }
  /// The number of the protocol (IPv4) or of the next header (IPv6).
  Self protocol(std::uint8_t number) && {
    return this->set8(kBytes, kVersion == MatchProtocol::ipv4 ? 9 : 6, number, 0xFF), this->self();
  }
  /// The header that follows; later fields are its own.
  Tcp tcp() && { return Tcp(std::move(this->items_)); }
  /// As `tcp`.
  Udp udp() && { return Udp(std::move(this->items_)); }
  /// As `tcp`.
  Sctp sctp() && { return Sctp(std::move(this->items_)); }
};
/// A header of IPv4.
class Ipv4 : public Ip<Ipv4, MatchProtocol::ipv4, 20, 12, packet::Ipv4Address> {
  using Ip::Ip;
};
/// A header of IPv6, without extension headers.
class Ipv6 : public Ip<Ipv6, MatchProtocol::ipv6, 40, 8, packet::Ipv6Address> {
  using Ip::Ip;
};

/// A VLAN tag.
class Vlan : public Header<Vlan> {
 public:
  /// A tag, its VLAN (0 to 4,095) and its priority (0 to 7).
  ///@{
  explicit Vlan(std::vector<MatchItem> items = {}) : Header(std::move(items), MatchProtocol::vlan) {}
  Vlan id(std::uint16_t number) && { return add_tci(number, 0x0FFF), self(); }
  Vlan priority(std::uint8_t number) && { return add_tci(static_cast<std::uint16_t>(number << 13), 0xE000), self(); }
  ///@}
  /// The EtherType after the tag.
  Vlan inner_type(std::uint16_t type) && { return set16(4, 2, type), self(); }
  /// The header that follows; later fields are its own.
  ///@{
  Vlan vlan() && { return Vlan(std::move(items_)); }
  Ipv4 ipv4() && { return Ipv4(std::move(items_)); }
  Ipv6 ipv6() && { return Ipv6(std::move(items_)); }
  ///@}

 private:
  void add_tci(std::uint16_t value, std::uint16_t mask) {
    const MatchItem& item = items_.back();
    const auto word = [](const std::vector<std::uint8_t>& bytes) {
      return bytes.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
    };
    set16(4, 0, static_cast<std::uint16_t>((word(item.spec) & ~mask) | (value & mask)),
          static_cast<std::uint16_t>(word(item.mask) | mask));
  }
};

/// The Ethernet header.
class Eth : public Header<Eth> {
 public:
  explicit Eth() : Header({}, MatchProtocol::eth) {}
  /// The whole address is compared.
  ///@{
  Eth destination(const MacAddress& address) && { return set_address(14, 0, address, 48), self(); }
  Eth source(const MacAddress& address) && { return set_address(14, 6, address, 48), self(); }
  ///@}
  /// See FlowRule for which type this is.
  Eth type(std::uint16_t ether_type) && { return set16(14, 12, ether_type), self(); }
  /// The header that follows; later fields are its own.
  ///@{
  Vlan vlan() && { return Vlan(std::move(items_)); }
  Ipv4 ipv4() && { return Ipv4(std::move(items_)); }
  Ipv6 ipv6() && { return Ipv6(std::move(items_)); }
  ///@}
};

/// The first header of a rule. Those before it are not compared.
///@{
[[nodiscard]] inline Eth eth() { return Eth(); }
[[nodiscard]] inline Vlan vlan() { return Vlan(); }
[[nodiscard]] inline Ipv4 ipv4() { return Ipv4(); }
[[nodiscard]] inline Ipv6 ipv6() { return Ipv6(); }
[[nodiscard]] inline Tcp tcp() { return Tcp(); }
[[nodiscard]] inline Udp udp() { return Udp(); }
[[nodiscard]] inline Sctp sctp() { return Sctp(); }
///@}
/// Bytes at an offset from the frame's start.
[[nodiscard]] inline Raw raw(std::vector<std::uint8_t> bytes, std::int32_t offset = 0) {
  return {{}, std::move(bytes), offset, false};
}

}  // namespace pollux::match
