// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::models::igb {

namespace hw = pollux::hw::igb;
namespace intel = pollux::hw::intel;

/// The headers that the card's parser finds in a frame (without FCS). Offsets are in bytes from the frame's start. An
/// offset of 0 means that the header is absent.
struct Headers {
  bool tagged = false;           ///< it has a VLAN tag that is filtered and stripped: the inner one of two
  std::uint16_t vlan = 0;        ///< this tag, priority included
  std::size_t tag = 0;           ///< where it lies
  std::size_t tag_bytes = 0;     ///< the length of all tags
  std::uint16_t ether_type = 0;  ///< after the tags
  std::size_t ipv4 = 0;
  std::size_t ipv6 = 0;
  std::size_t tcp = 0;
  std::size_t udp = 0;
  std::size_t sctp = 0;
  bool ip_options = false;  ///< IPv4 options, or IPv6 extension headers
  bool fragment = false;    ///< an IP fragment, so layer 4 is not parsed
  bool rerouted = false;    ///< the pseudo-header's addresses may not be those of the IP header
  std::size_t ip_end = 0;   ///< of the IP header with options or extension headers; a fragment header lies behind it
};

inline constexpr std::size_t kMacHeaderBytes = 14;
// IANA's protocol numbers.
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolSctp = 132;
/// Offset of the checksum in a UDP header.
inline constexpr std::size_t kUdpChecksumAt = 6;

[[nodiscard]] std::uint16_t read_big16(std::span<const std::byte> frame, std::size_t offset) noexcept;
/// Up to four bytes, the first one least significant, as software writes ports and addresses to the filters.
[[nodiscard]] std::uint32_t read_little(std::span<const std::byte> frame, std::size_t at, std::size_t bytes) noexcept;
[[nodiscard]] bool is_multicast(std::span<const std::byte> frame) noexcept;  ///< broadcast included
[[nodiscard]] bool is_broadcast(std::span<const std::byte> frame) noexcept;
/// The EtherTypes of VLAN tags.
struct TagTypes {
  std::uint16_t inner = 0;
  std::optional<std::uint16_t> outer = {};  ///< if CTRL_EXT.EXT_VLAN is set
};
/// Parses a frame. Never reads beyond it.
[[nodiscard]] Headers parse(std::span<const std::byte> frame, TagTypes types) noexcept;
/// The work of a CRC: a byte of it takes as long as copying so many (WorkBudget).
inline constexpr std::size_t kCrcWork = 4;
/// The Ethernet FCS in wire order, least significant byte first.
[[nodiscard]] std::uint32_t frame_check_sequence(std::span<const std::byte> frame) noexcept;

/// The checksum bits in a write-back's status and errors, as RXCSUM and RFCTL enable them.
/// [I-M-CHECKSUM] No bits for fragments, for UDP without a checksum, for a header whose length exceeds the frame, and
/// for TCP and UDP whose pseudo-header has other addresses than the IP header: routing headers with segments left, the
/// home address option, IPv4 source routes. The checks and their bits follow QEMU, igb_core.c, igb_verify_csum_in_sw.
[[nodiscard]] std::uint64_t checksum_status(std::span<const std::byte> frame, const Headers& headers,
                                            hw::RXCSUM::Value control, hw::RFCTL::Value filter) noexcept;

/// SCTP's checksum (RFC 9260, appendix A), least significant byte first on the wire.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept;

/// Writes the Internet checksum (RFC 1071) of `bytes` at offset `at`. The earlier value of that field is part of the
/// sum, so software may store a pseudo-header's sum there. `add` is added in host byte order. A result of 0 is written
/// as 0xFFFF if `zero_means_none`, as in UDP. Precondition: two bytes from `at` on exist.
void insert_checksum(std::span<std::byte> bytes, std::size_t at, std::size_t add, bool zero_means_none) noexcept;

/// Writes SCTP's checksum of `packet` into its header. Precondition: the packet has 12 bytes.
void insert_sctp_checksum(std::span<std::byte> packet) noexcept;

/// Where the headers of a frame end that a queue with header splitting splits: bytes from the frame's start. 0: the
/// frame is of no type that `types` has, or its headers are longer than the write-back can say.
[[nodiscard]] std::uint16_t split_point(std::span<const std::byte> frame, const Headers& headers,
                                        hw::PSRTYPE::Value types, hw::RFCTL::Value control) noexcept;

/// What becomes of a frame in a queue whose descriptors have a buffer for headers.
struct SplitFrame {
  std::size_t header_bytes = 0;   ///< that go to the header buffer
  std::size_t payload_start = 0;  ///< the first byte of the frame that goes to the packet buffers
  std::uint16_t reported = 0;     ///< the length of the headers in the write-back
  bool found = false;             ///< the headers' end was found (SPH)
  bool overflows = false;         ///< but the headers are longer than their buffer (HBO)
};

/// `frame_bytes`: of the whole frame. `header`: from `split_point`. `room`: of the header buffer. `always`: the header
/// buffer is used for frames that are not split, too (SRRCTL.DESCTYPE 5). 82575 manual, table 33.
[[nodiscard]] SplitFrame split_frame(std::size_t frame_bytes, std::uint16_t header, std::size_t room,
                                     bool always) noexcept;

/// The same if the headers are copied (SRRCTL.DESCTYPE 3). The copy fills its buffer. `large_only`: a frame that fits
/// the header buffer is written there alone (SRRCTL.DESCTYPE 4). 82575 manual, 5.3.4.10 and 5.5; I210 datasheet, p.
/// 271.
[[nodiscard]] SplitFrame copy_headers(std::size_t frame_bytes, std::uint16_t header, std::size_t room,
                                      bool large_only) noexcept;

}  // namespace pollux::models::igb
