// SPDX-License-Identifier: BSD-3-Clause
#include "support/header_shapes.hpp"

#include <algorithm>
#include <initializer_list>

namespace pollux::test {
namespace {

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kSctp = 132;

void put16(ShapeBytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

/// RFC 1071, byte by byte.
std::uint16_t checksum_of(std::span<const std::uint8_t> bytes, std::size_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::size_t{bytes[i]} << 8 : bytes[i];
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// RFC 9260, appendix A, bit by bit.
std::uint32_t crc_of(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

/// What lies between the MAC addresses and the IP header.
struct Link {
  const char* name;
  ShapeBytes bytes;
  bool has_type = true;  ///< an EtherType follows
  bool can_be_segmented = true;
};
std::vector<Link> links() {
  const auto stack = [](std::initializer_list<std::uint16_t> types) {
    ShapeBytes bytes;
    for (const std::uint16_t type : types) {
      bytes.insert(bytes.end(), {static_cast<std::uint8_t>(type >> 8), static_cast<std::uint8_t>(type), 0x60, 0x05});
    }
    return bytes;
  };
  return {{"no tag", {}},
          {"8100", stack({0x8100})},
          {"8100 8100", stack({0x8100, 0x8100})},
          {"88a8", stack({0x88A8})},
          {"9100", stack({0x9100})},
          {"88a8 8100", stack({0x88A8, 0x8100})},
          {"88a8 88a8", stack({0x88A8, 0x88A8})},
          {"8100 88a8", stack({0x8100, 0x88A8})},
          {"9100 8100", stack({0x9100, 0x8100})},
          {"88a8 8100 8100", stack({0x88A8, 0x8100, 0x8100})},
          {"MPLS", {0x88, 0x47, 0, 0, 0x10, 0x40, 0, 0, 0x21, 0x40}, false},
          {"PPPoE", {0x88, 0x64, 0x11, 0, 0, 1, 0, 0, 0, 0x21}, false, false}};
}

/// An IP header. In extension headers, byte `last_next` is the number of what follows.
struct Network {
  const char* name;
  ShapeBytes bytes;
  std::uint8_t last_next;
  ShapeBytes source;
  ShapeBytes destination;
  bool has_checksum = true;
  bool can_be_segmented = true;
};

const ShapeBytes kFour1{10, 0, 0, 1};
const ShapeBytes kFour2{10, 0, 0, 2};
const ShapeBytes kFour9{10, 0, 0, 9};
ShapeBytes six(std::uint8_t last) {
  ShapeBytes address(16);
  address[0] = 0xFD;
  address[15] = last;
  return address;
}
ShapeBytes joined(std::initializer_list<ShapeBytes> parts) {
  ShapeBytes all;
  for (const ShapeBytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Network four(const char* name, const ShapeBytes& options, const ShapeBytes& destination, std::uint16_t fragment = 0) {
  ShapeBytes bytes{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0};
  bytes[0] = static_cast<std::uint8_t>(bytes[0] + options.size() / 4);
  put16(bytes, 6, fragment);
  return {name, joined({bytes, kFour1, kFour2, options}), 9, kFour1, destination, fragment == 0, fragment == 0};
}

struct Extension {
  std::uint8_t type;
  ShapeBytes bytes;  ///< the first of them is filled in
};
Network six(const char* name, const std::vector<Extension>& extensions, std::uint8_t source = 1,
            std::uint8_t destination = 2) {
  ShapeBytes bytes = joined({{0x60, 0, 0, 0, 0, 0, 0, 64}, six(1), six(2)});
  std::size_t next = 6;
  for (const Extension& extension : extensions) {
    bytes[next] = extension.type;
    next = bytes.size();
    bytes.insert(bytes.end(), extension.bytes.begin(), extension.bytes.end());
  }
  return {name, bytes, static_cast<std::uint8_t>(next), six(source), six(destination)};
}
Network refused(Network network) {
  network.has_checksum = network.can_be_segmented = false;
  return network;
}

std::vector<Network> networks() {
  const ShapeBytes no_operations(8, 1);
  const Extension hop{0, {0, 0, 1, 4, 0, 0, 0, 0}};
  const Extension destination{60, {0, 0, 1, 4, 0, 0, 0, 0}};
  const auto route = [](std::uint8_t type, std::uint8_t left) {
    return Extension{43, joined({{0, 2, type, left, 0, 0, 0, 0}, six(9)})};
  };
  const Extension home{60, joined({{0, 2, 1, 2, 0, 0, 0xC9, 16}, six(7)})};
  const Extension padded_home{60, joined({{0, 3, 1, 2, 0, 0, 0xC9, 16}, six(7), {1, 4, 0, 0, 0, 0, 1, 0}})};
  return {four("IPv4", {}, kFour2),
          six("IPv6", {}),
          six("segment routing", {route(4, 1)}, 1, 9),
          four("IPv4, no operations", no_operations, kFour2),
          four("IPv4, 20 bytes of options", ShapeBytes(20, 1), kFour2),
          four("IPv4, loose source route", {131, 7, 4, 10, 0, 0, 9, 0}, kFour9),
          four("IPv4, strict source route", {1, 137, 7, 4, 10, 0, 0, 9}, kFour9),
          four("IPv4, source route at its end", {131, 7, 8, 10, 0, 0, 9, 0}, kFour2),
          four("IPv4, first fragment", {}, kFour2, 0x2000),
          six("hop-by-hop", {hop}),
          six("destination options", {destination}),
          six("three extension headers", {hop, route(0, 0), destination}),
          six("routing header of type 0", {route(0, 1)}, 1, 9),
          six("routing header of type 2", {route(2, 1)}, 1, 9),
          six("segment routing at its end", {route(4, 0)}),
          six("home address", {home}, 7),
          six("home address, then padding without bytes", {padded_home}, 7),
          six("home address and a route", {route(2, 1), home}, 7, 9),
          six("atomic fragment", {{44, {0, 0, 0, 0, 0, 0, 0, 5}}}),
          refused(six("first fragment", {{44, {0, 0, 0, 1, 0, 0, 0, 5}}})),
          refused(six("unknown route", {route(3, 1)})),
          refused(six("AH", {{51, {0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}})),
          refused(six("mobility", {{135, {0, 0, 0, 0, 0, 0, 0, 0}}})),
          refused(six("HIP", {{139, {0, 0, 0, 0, 0, 0, 0, 0}}})),
          refused(six("an experiment", {{253, {0, 0, 0, 0, 0, 0, 0, 0}}}))};
}

HeaderShape shape_of(const Link& link, const Network& network) {
  const bool is_ipv4 = network.bytes[0] >> 4 == 4;
  HeaderShape shape{.name = std::string(link.name) + ", " + network.name,
                    .bytes = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02, 0x43, 0, 0, 0, 0x02},
                    .l3 = static_cast<std::uint16_t>(network.bytes.size()),
                    .last_next = network.last_next,
                    .addresses = joined({network.source, network.destination}),
                    .has_checksum = network.has_checksum,
                    .can_be_segmented = link.can_be_segmented && network.can_be_segmented};
  shape.bytes.insert(shape.bytes.end(), link.bytes.begin(), link.bytes.end());
  if (link.has_type) {
    shape.bytes.push_back(is_ipv4 ? 0x08 : 0x86);
    shape.bytes.push_back(is_ipv4 ? 0x00 : 0xDD);
  }
  shape.l2 = static_cast<std::uint16_t>(shape.bytes.size());
  shape.bytes.insert(shape.bytes.end(), network.bytes.begin(), network.bytes.end());
  return shape;
}

ShapeBytes transport_of(const ShapePacket& packet, std::span<const std::uint8_t> payload) {
  ShapeBytes bytes(packet.l4());
  put16(bytes, 0, 1000);
  put16(bytes, 2, 2000);
  if (packet.transport == ShapeTransport::tcp) {
    put16(bytes, 4, packet.sequence >> 16);
    put16(bytes, 6, packet.sequence & 0xFFFF);
    bytes[12] = 0x50;
    bytes[13] = packet.tcp_flags;
  }
  if (packet.transport == ShapeTransport::udp) put16(bytes, 4, bytes.size() + payload.size());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

std::uint8_t number_of(ShapeTransport transport) {
  return transport == ShapeTransport::tcp ? kTcp : transport == ShapeTransport::udp ? kUdp : kSctp;
}

void put_checksum(ShapeBytes& transport, const ShapePacket& packet, const HeaderShape& shape) {
  const std::size_t at = packet.checksum_at();
  if (packet.transport == ShapeTransport::sctp) {
    const std::uint32_t crc = crc_of(transport);
    for (std::size_t i = 0; i < 4; ++i) transport[at + i] = static_cast<std::uint8_t>(crc >> 8 * i);
    return;
  }
  // The sum of the pseudo-header: checksum_of returns it inverted.
  const std::size_t start = ~std::size_t{checksum_of(shape.addresses)} & 0xFFFF;
  const std::uint16_t sum = checksum_of(transport, start + number_of(packet.transport) + transport.size());
  put16(transport, at, sum == 0 && packet.transport == ShapeTransport::udp ? 0xFFFF : sum);
}

}  // namespace

std::vector<HeaderShape> header_shapes() {
  constexpr std::size_t kFew = 3;
  const auto all_links = links();
  const auto all_networks = networks();
  std::vector<HeaderShape> shapes;
  for (std::size_t i = 0; i < all_links.size(); ++i) {
    for (std::size_t k = 0; k < all_networks.size(); ++k) {
      if (i < kFew || k < kFew) shapes.push_back(shape_of(all_links[i], all_networks[k]));
    }
  }
  return shapes;
}

std::uint16_t ShapePacket::l4() const {
  return transport == ShapeTransport::tcp ? 20 : transport == ShapeTransport::udp ? 8 : 12;
}

std::uint32_t ShapePacket::checksum_flag() const {
  return transport == ShapeTransport::tcp   ? TxOffload::tcp_checksum
         : transport == ShapeTransport::udp ? TxOffload::udp_checksum
                                            : TxOffload::sctp_checksum;
}

std::size_t ShapePacket::checksum_at() const {
  return transport == ShapeTransport::tcp ? 16 : transport == ShapeTransport::udp ? 6 : 8;
}

ShapeBytes ShapePacket::bytes(const HeaderShape& shape, std::span<const std::uint8_t> payload) const {
  ShapeBytes inside = transport_of(*this, payload);
  put_checksum(inside, *this, shape);
  inside.resize(inside.size() + surplus, 0x5C);
  ShapeBytes frame = shape.bytes;
  frame[shape.l2 + std::size_t{shape.last_next}] = number_of(transport);
  if (shape.is_ipv4()) {
    put16(frame, shape.l2 + 2U, shape.l3 + inside.size());
    put16(frame, shape.l2 + 4U, identification);
    put16(frame, shape.l2 + 10U, checksum_of(std::span(frame).subspan(shape.l2, shape.l3)));
  } else {
    put16(frame, shape.l2 + 4U, shape.l3 - 40 + inside.size());
  }
  frame.insert(frame.end(), inside.begin(), inside.end());
  return frame;
}

std::vector<ShapeBytes> ShapePacket::segments(const HeaderShape& shape, std::span<const std::uint8_t> payload,
                                              std::size_t segment_size) const {
  constexpr std::uint8_t kCwr = 0x80;
  std::vector<ShapeBytes> all;
  for (std::size_t at = 0; at < payload.size(); at += segment_size) {
    ShapePacket one = *this;
    one.identification = static_cast<std::uint16_t>(identification + all.size());
    one.sequence = static_cast<std::uint32_t>(sequence + at);
    if (at != 0) one.tcp_flags = static_cast<std::uint8_t>(tcp_flags & ~kCwr);  // RFC 3168, 6.1.2
    all.push_back(one.bytes(shape, payload.subspan(at, std::min(segment_size, payload.size() - at))));
  }
  return all;
}

ShapeBytes ShapePacket::unsummed(const HeaderShape& shape, std::span<const std::uint8_t> payload,
                                 const TxOffload& request) const {
  ShapeBytes frame = bytes(shape, payload);
  const std::size_t at = request.l4_offset() + checksum_at();
  std::fill_n(&frame.at(at), transport == ShapeTransport::sctp ? 4 : 2, std::uint8_t{0xA5});
  if ((request.flags & TxOffload::ipv4_checksum) != 0) std::fill_n(&frame.at(request.l2 + 10U), 2, std::uint8_t{0xA5});
  return frame;
}

ShapeBytes with_tag(ShapeBytes frame, std::uint16_t type, std::uint16_t tag) {
  ShapeBytes bytes(4);
  put16(bytes, 0, type);
  put16(bytes, 2, tag);
  frame.insert(frame.begin() + 12, bytes.begin(), bytes.end());
  return frame;
}

}  // namespace pollux::test
