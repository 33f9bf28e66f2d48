// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/mem/mbuf.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/net/packet/toeplitz.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/net/rx_metadata.hpp"

// Computes in software what a card reports about a received frame. `layout` is the result of `parse` for the same
// frame. The frame is complete, contiguous or a chain of mbufs, and is not changed.
namespace pollux::packet {

/// Which protocols include their ports in the RSS hash; all others hash addresses only. The defaults are
/// those of Rss: UDP is left out, since later fragments of a datagram have no ports and would go to another queue.
struct RssFields {
  /// Whether the ports of such frames are hashed, too.
  ///@{
  bool tcp_ports = true;
  bool udp_ports = false;
  ///@}
};

/// The hash for receive-side scaling (RSS); empty if the frame is not IP. The addresses are those of the IP header; the
/// IPv6 home address option and routing header are ignored.
///@{
[[nodiscard]] POLLUX_API std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash,
                                                               std::span<const std::uint8_t> frame,
                                                               const Layout& layout, RssFields fields = {}) noexcept;
[[nodiscard]] POLLUX_API std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, const Mbuf& frame,
                                                               const Layout& layout, RssFields fields = {}) noexcept;
///@}

/// The hash that a card computes with these types enabled (see RssTypes); empty if none of them applies to the frame.
///@{
[[nodiscard]] POLLUX_API std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash,
                                                               std::span<const std::uint8_t> frame,
                                                               const Layout& layout, RssTypes types) noexcept;
[[nodiscard]] POLLUX_API std::optional<std::uint32_t> rss_hash(const ToeplitzHash& hash, const Mbuf& frame,
                                                               const Layout& layout, RssTypes types) noexcept;
///@}

/// Checks the IPv4 header checksum; unknown without an IPv4 header.
///@{
[[nodiscard]] POLLUX_API ChecksumStatus ip_checksum(std::span<const std::uint8_t> frame, const Layout& layout) noexcept;
[[nodiscard]] POLLUX_API ChecksumStatus ip_checksum(const Mbuf& frame, const Layout& layout) noexcept;
///@}
/// Checks the TCP, UDP or SCTP checksum; unknown for other protocols, for fragments, for UDP without a checksum or with
/// an impossible length, for an incomplete IP packet, and for options and routing headers that are not understood
/// (`pseudo_header_places`).
///@{
[[nodiscard]] POLLUX_API ChecksumStatus l4_checksum(std::span<const std::uint8_t> frame, const Layout& layout) noexcept;
[[nodiscard]] POLLUX_API ChecksumStatus l4_checksum(const Mbuf& frame, const Layout& layout) noexcept;
///@}

/// All metadata together, to be stored in the frame's mbuf (`SoftwareRxMetadata::attach_to`), for example for a port
/// without a card. `vlan` stays empty, since no tag is stripped.
[[nodiscard]] POLLUX_API SoftwareRxMetadata classify(const ToeplitzHash& hash, const Mbuf& frame, const Layout& layout,
                                                     RssFields fields = {}) noexcept;

}  // namespace pollux::packet
