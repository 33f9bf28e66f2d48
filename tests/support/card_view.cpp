// SPDX-License-Identifier: BSD-3-Clause
#include "support/card_view.hpp"

#include <fmt/format.h>

#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/frame.hpp"
#include "pollux/net/packet/classify.hpp"
#include "pollux/net/packet/parse.hpp"

namespace pollux::test {
namespace {

namespace card = models::igb;
namespace rx = hw::intel::rx;

std::uint32_t type_of(const card::Headers& headers) {
  std::uint32_t bits = 0;
  if (headers.ipv4 != 0) bits |= PacketType::ipv4 | (headers.ip_options ? PacketType::ipv4_options : 0U);
  if (headers.ipv6 != 0) bits |= PacketType::ipv6 | (headers.ip_options ? PacketType::ipv6_extensions : 0U);
  if (headers.tcp != 0) bits |= PacketType::tcp;
  if (headers.udp != 0) bits |= PacketType::udp;
  if (headers.sctp != 0) bits |= PacketType::sctp;
  return bits;
}

ChecksumStatus checksum_status(std::uint64_t status, std::uint64_t checked, std::uint64_t error) {
  if ((status & checked) == 0) return ChecksumStatus::unknown;
  return (status & error) != 0 ? ChecksumStatus::bad : ChecksumStatus::good;
}

/// Whether the card parses the headers after all VLAN tags: it skips at most one tag.
bool sees_the_same(const packet::Layout& layout, const card::Headers& headers) {
  return layout.vlan_count == (headers.tagged ? 1 : 0);
}

std::string impossible(const packet::Layout& layout, std::size_t size) {
  if (layout.l3 > layout.payload || layout.payload > layout.end || layout.end > size) return "offsets out of order";
  if (layout.l4 != 0 && (layout.l4 < layout.l3 || layout.l4 > layout.payload)) return "layer 4 out of order";
  const auto needs = [&](PacketType::Bit bit, std::size_t at, std::size_t bytes) {
    return layout.type.has(bit) && at + bytes > size;
  };
  if (needs(PacketType::ipv4, layout.l3, 20) || needs(PacketType::ipv6, layout.l3, 40))
    return "an IP header beyond the end";
  if (needs(PacketType::tcp, layout.l4, 20) || needs(PacketType::udp, layout.l4, 8) ||
      needs(PacketType::sctp, layout.l4, 12)) {
    return "a header of layer 4 beyond the end";
  }
  return {};
}

}  // namespace

std::string disagreement(std::span<const std::uint8_t> frame) {
  const packet::Layout layout = packet::parse(frame);
  if (std::string why = impossible(layout, frame.size()); !why.empty()) return why;
  const ChecksumStatus ip = packet::ip_checksum(frame, layout);
  const ChecksumStatus l4 = packet::l4_checksum(frame, layout);
  const auto bytes = std::as_bytes(frame);
  const card::Headers headers = card::parse(bytes, {.inner = 0x8100});
  if (!sees_the_same(layout, headers)) return {};
  if (layout.type.bits != type_of(headers)) {
    return fmt::format("packet type {:#x}, the card's is {:#x}", layout.type.bits, type_of(headers));
  }
  const auto all = card::hw::RXCSUM::IPOFL | card::hw::RXCSUM::TUOFL | card::hw::RXCSUM::CRCOFL;
  const std::uint64_t status = card::checksum_status(bytes, headers, all, {});
  const ChecksumStatus card_ip = checksum_status(status, rx::kIpChecked, rx::kIpError);
  const ChecksumStatus card_l4 = checksum_status(status, rx::kL4Checked, rx::kL4Error);
  if (ip != card_ip) return fmt::format("IP checksum {}, the card reports {}", int(ip), int(card_ip));
  // For SCTP, the card's checksum status is not defined for packets without room for a checksum, and it is always bad
  // for packets over 10 KiB.
  if (layout.type.has(PacketType::sctp) && (layout.malformed || frame.size() > 10240)) return {};
  // The card does not check what lies behind a route; software may.
  if (headers.rerouted && card_l4 == ChecksumStatus::unknown) return {};
  if (l4 != card_l4) return fmt::format("layer-4 checksum {}, the card reports {}", int(l4), int(card_l4));
  return {};
}

}  // namespace pollux::test
