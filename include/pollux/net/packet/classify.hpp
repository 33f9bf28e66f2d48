// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/rx_metadata.hpp"

// What a card finds out about a received frame, in software and in the card's terms. For each function `layout` is what
// `parse` said of the same frame; a frame is all its bytes, in one piece or a chain of mbufs, and is not changed.
namespace pollux::packet {

/// Which flows are told apart by their ports; all others by their addresses alone. As the igb driver sets its card: UDP
/// is left out, since the fragments of a datagram have no ports and would go another way.
struct RssFields {
  bool tcp_ports = true;
  bool udp_ports = false;
};

/// The receive-side scaling hash; nothing where the frame is no IP. Bytes of the home address option and of the routing
/// header do not count: the addresses are those of the IP header.
[[nodiscard]] POLLUX_API std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash,
                                                               std::span<const std::uint8_t> frame,
                                                               const Layout& layout, RssFields fields = {}) noexcept;
[[nodiscard]] POLLUX_API std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, const Mbuf& frame,
                                                               const Layout& layout, RssFields fields = {}) noexcept;

/// Whether the IPv4 header's checksum is right; unknown where there is none.
[[nodiscard]] POLLUX_API ChecksumStatus ip_checksum(std::span<const std::uint8_t> frame, const Layout& layout) noexcept;
[[nodiscard]] POLLUX_API ChecksumStatus ip_checksum(const Mbuf& frame, const Layout& layout) noexcept;
/// Whether that of TCP, UDP or SCTP is right; unknown for all else, for fragments, for UDP without one, and where the
/// IP packet is not whole.
[[nodiscard]] POLLUX_API ChecksumStatus l4_checksum(std::span<const std::uint8_t> frame, const Layout& layout) noexcept;
[[nodiscard]] POLLUX_API ChecksumStatus l4_checksum(const Mbuf& frame, const Layout& layout) noexcept;

/// All of it, to be attached to the frame's mbuf (`SoftwareRxMetadata::attach_to`), such as for one from a port that is
/// no card. No tag is stripped, so `vlan` is left out.
[[nodiscard]] POLLUX_API SoftwareRxMetadata classify(const ToeplitzHash& hash, const Mbuf& frame, const Layout& layout,
                                                     RssFields fields = {}) noexcept;

}  // namespace pollux::packet
