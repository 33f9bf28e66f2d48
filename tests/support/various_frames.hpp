// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pollux::test {

struct NamedFrame {
  std::string name;
  std::vector<std::uint8_t> bytes;
};

/// Broadcast frames of at least 60 bytes, without FCS: VLAN tags, IPv4 with options and fragments, IPv6 with extension
/// headers, TCP, UDP, SCTP, ICMP and ARP, with correct lengths and checksums. Frames whose names begin with "odd " have
/// contradictory headers, or are truncated.
[[nodiscard]] std::vector<NamedFrame> various_frames();

}  // namespace pollux::test
