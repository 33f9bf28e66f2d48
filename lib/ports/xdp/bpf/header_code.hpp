// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/bpf.h>

#include <cstdint>

#include "ports/xdp/bpf/code.hpp"

/// The first part of the XDP program: it finds a frame's headers as packet::parse does, and saves them on the stack at
/// fixed places, where rules compare them.
namespace pollux::xdp {

/// Registers that keep their values through the program.
namespace reg {
inline constexpr unsigned kContext = BPF_REG_6;
inline constexpr unsigned kData = BPF_REG_7;
inline constexpr unsigned kDataEnd = BPF_REG_8;
inline constexpr unsigned kFound = BPF_REG_9;  ///< bits of `found`
}  // namespace reg

/// Where the headers are, relative to BPF_REG_10. Words of them are aligned.
namespace saved {
inline constexpr int kEthernet = -16;   ///< 14 bytes
inline constexpr int kTags = -24;       ///< two tags of 4 bytes
inline constexpr int kNetwork = -64;    ///< 40 bytes
inline constexpr int kTransport = -88;  ///< 20 bytes
inline constexpr int kType = -96;       ///< the EtherType after all tags
inline constexpr int kCardType = -94;   ///< the EtherType after one tag of type 0x8100, if there is one
inline constexpr int kEnd = -96;
}  // namespace saved

namespace found {
inline constexpr std::uint32_t kEthernet = 1, kTag = 2, kSecondTag = 4;
/// Other tags than one of type 0x8100: a rule without vlan items finds no headers behind them. See FlowRule.
inline constexpr std::uint32_t kOtherTags = 8;
inline constexpr std::uint32_t kIpv4 = 16, kIpv6 = 32;
inline constexpr std::uint32_t kTcp = 64, kUdp = 128, kSctp = 256;  ///< not of fragments
}  // namespace found

/// The headers that any rule needs.
struct HeadersWanted {
  bool ethernet = false;
  bool ipv4 = false;
  bool ipv6 = false;
};

/// Begins the program.
void write_headers(BpfCode& code, const HeadersWanted& wanted);

}  // namespace pollux::xdp
