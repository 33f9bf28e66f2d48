// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Writes the pcapng format: draft-ietf-opsawg-pcapng, which Wireshark, tcpdump and libpcap read. libpcap cannot write
/// it. Blocks are in the machine's byte order. Text options of more than 65,535 bytes are cut off.
namespace pollux::observe::pcapng {

/// A Section Header Block, the first block of a file.
struct Section {
  std::string hardware = {};  ///< what the section was captured on
  std::string os = {};
  std::string application = {};  ///< that wrote the section
  std::string comment = {};
};

/// An Interface Description Block, for Ethernet. The first one is interface 0 of its section.
struct Interface {
  std::string name = {};
  std::string description = {};
  std::uint32_t snaplen = 0;  ///< bytes; 0: no limit
  std::optional<std::array<std::uint8_t, 6>> mac = {};
  std::uint64_t speed = 0;                     ///< bits a second; 0: unknown
  std::string filter = {};                     ///< libpcap's expression; empty: none
  std::optional<std::uint8_t> fcs_bytes = {};  ///< of the frame check sequence in captured frames
  std::string hardware = {};
};

enum class Direction : std::uint8_t { unknown = 0, inbound = 1, outbound = 2 };

/// An Enhanced Packet Block.
struct Packet {
  std::uint32_t interface = 0;
  std::uint64_t time = 0;    ///< nanoseconds since 1970
  std::uint32_t length = 0;  ///< of the frame, of which fewer bytes may be captured
  Direction direction = Direction::unknown;
  std::uint8_t fcs_bytes = 0;
  std::optional<std::uint32_t> queue = {};
  std::uint64_t lost = 0;  ///< frames between the interface's previous packet and this one
  std::string_view comment = {};
};

/// An Interface Statistics Block.
struct Statistics {
  std::uint32_t interface = 0;
  std::uint64_t time = 0;  ///< nanoseconds since 1970, as the next two
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t received = 0;                 ///< frames that passed the interface (isb_ifrecv)
  std::optional<std::uint64_t> dropped = {};  ///< frames that the interface had no room for (isb_ifdrop)
  std::uint64_t accepted = 0;                 ///< by the filter (isb_filteraccept)
  std::uint64_t lost = 0;                     ///< accepted frames that were not captured (isb_osdrop)
  std::uint64_t delivered = 0;                ///< accepted frames that were (isb_usrdeliv)
  std::string comment = {};
};

using Bytes = std::vector<std::byte>;

/// Each appends one block to `out`.
void append(Bytes& out, const Section& section);
void append(Bytes& out, const Interface& interface);
void append(Bytes& out, const Packet& packet, std::span<const std::uint8_t> captured);
void append(Bytes& out, const Statistics& statistics);

}  // namespace pollux::observe::pcapng
