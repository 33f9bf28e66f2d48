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

/// Frames of at least 60 bytes to everybody, without FCS: what networks carry (tags, IPv4 with options and in
/// fragments, IPv6 with extension headers, TCP, UDP, SCTP, ICMP, ARP) with right lengths and checksums. Those whose
/// names begin with "odd " contradict themselves, or end too early.
[[nodiscard]] std::vector<NamedFrame> various_frames();

}  // namespace pollux::test
