// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

namespace pollux::test {

/// A frame, and whether its checksums are right.
struct SequenceFrame {
  std::vector<std::uint8_t> bytes;
  bool has_good_checksums = true;
};

/// What the frames of a sequence are.
enum class SequenceKind : std::uint8_t { tcp, udp_and_tcp, vxlan, vlan };

/// A batch of 1 to 64 frames: TCP segments or UDP datagrams of some flows over IPv4 and IPv6, most of them in order,
/// with deviations in every field that GRO looks at, and frames of other kinds; `vxlan`: all in tunnels; `vlan`: TCP,
/// most with a VLAN tag, and only with deviations that all kernels treat alike. The same seed makes the same frames.
[[nodiscard]] std::vector<SequenceFrame> fuzzed_sequence(std::uint64_t seed, SequenceKind kind);

}  // namespace pollux::test
