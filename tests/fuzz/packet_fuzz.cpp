// SPDX-License-Identifier: BSD-3-Clause
// Parses arbitrary frames. No byte beyond a frame may be read, offsets must be in order, and packet type and checksum
// status must be those of the in-process card's parser. A truncated frame must not give a type bit that the whole
// frame does not give.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fuzz/require.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/ip.hpp"
#include "pollux/net/packet/transport.hpp"
#include "support/card_view.hpp"

namespace {

using namespace pollux;

void headers(std::span<const std::uint8_t> bytes) {
  std::array<std::uint8_t, 64> memory;
  if (const auto ip = packet::Ipv4Header::read(bytes))
    test::require(ip->write(memory) == ip->length(), "IPv4 can be written again");
  if (const auto tcp = packet::TcpHeader::read(bytes))
    test::require(tcp->write(memory) == tcp->length(), "TCP can be written again");
  if (const auto ip = packet::Ipv6Header::read(bytes)) {
    test::require(ip->write(memory) == ip->kLength, "IPv6 can be written again");
    test::require(packet::Ipv6Header::read(memory) == ip, "IPv6 stays the same");
  }
  if (const auto arp = packet::ArpHeader::read(bytes))
    test::require(arp->write(memory) == arp->kLength, "ARP can be written again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // The first byte is the length at which the frame is cut.
  const std::vector<std::uint8_t> frame(data + 1, data + size);
  const std::string why = test::disagreement(frame);
  test::require(why.empty(), why);

  const std::size_t cut = data[0] < frame.size() ? data[0] : frame.size();
  const std::vector<std::uint8_t> first(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(cut));
  const packet::Layout whole = packet::parse(frame);
  const packet::Layout layout = packet::parse(first, frame.size());
  test::require(layout.payload <= cut && layout.end <= frame.size(),
                "offsets of a frame's first bytes are within them");
  test::require((layout.type.bits & ~whole.type.bits) == 0,
                "a truncated frame has no type bit that the whole frame lacks");
  test::require(layout.truncated || layout.type.bits == whole.type.bits,
                "a frame that is not truncated has the same type");

  static const packet::ToeplitzHash hash;
  const auto value = packet::rss_hash(hash, frame, whole, {.udp_ports = true});
  test::require(value.has_value() == whole.is_ip(), "IP has a hash, and nothing else has");
  headers(frame);
  if (whole.l3 != 0) headers(std::span(frame).subspan(whole.l3));
  return 0;
}
