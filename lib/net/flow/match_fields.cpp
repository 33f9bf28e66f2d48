// SPDX-License-Identifier: BSD-3-Clause
#include "net/flow/match_fields.hpp"

namespace pollux {
namespace {

// Names and default masks are those of DPDK, lib/ethdev/rte_flow.h (rte_flow_item_eth and the others).
constexpr std::array<MatchField, 3> kEth{{{"destination", 0, 6}, {"source", 6, 6}, {"type", 12, 2}}};
constexpr std::array<MatchField, 2> kVlan{{{"tci", 0, 2}, {"inner_type", 2, 2}}};
constexpr std::array<MatchField, 10> kIpv4{{{"version_ihl", 0, 1},
                                            {"type_of_service", 1, 1},
                                            {"total_length", 2, 2},
                                            {"packet_id", 4, 2},
                                            {"fragment_offset", 6, 2},
                                            {"time_to_live", 8, 1},
                                            {"protocol", 9, 1},
                                            {"checksum", 10, 2},
                                            {"source", 12, 4},
                                            {"destination", 16, 4}}};
constexpr std::array<MatchField, 6> kIpv6{{{"vtc_flow", 0, 4},
                                           {"payload_length", 4, 2},
                                           {"protocol", 6, 1},
                                           {"hop_limit", 7, 1},
                                           {"source", 8, 16},
                                           {"destination", 24, 16}}};
constexpr std::array<MatchField, 9> kTcp{{{"source_port", 0, 2},
                                          {"destination_port", 2, 2},
                                          {"sequence", 4, 4},
                                          {"acknowledgment", 8, 4},
                                          {"data_offset", 12, 1},
                                          {"flags", 13, 1},
                                          {"window", 14, 2},
                                          {"checksum", 16, 2},
                                          {"urgent", 18, 2}}};
constexpr std::array<MatchField, 4> kUdp{
    {{"source_port", 0, 2}, {"destination_port", 2, 2}, {"length", 4, 2}, {"checksum", 6, 2}}};
constexpr std::array<MatchField, 4> kSctp{
    {{"source_port", 0, 2}, {"destination_port", 2, 2}, {"tag", 4, 4}, {"checksum", 8, 4}}};

/// A mask of a header of N bytes with all bits of the first to last-but-one byte set.
template <std::size_t N>
constexpr std::array<std::uint8_t, N> ones(std::size_t from, std::size_t to) {
  std::array<std::uint8_t, N> mask{};
  for (std::size_t i = from; i < to; ++i) mask[i] = 0xFF;
  return mask;
}
constexpr auto kEthMask = ones<14>(0, 12);
constexpr std::array<std::uint8_t, 4> kVlanMask{0x0F, 0xFF, 0, 0};
constexpr auto kIpv4Mask = ones<20>(12, 20);
constexpr auto kIpv6Mask = ones<40>(8, 40);
constexpr auto kTcpMask = ones<20>(0, 4);
constexpr auto kUdpMask = ones<8>(0, 4);
constexpr auto kSctpMask = ones<12>(0, 4);

constexpr std::array<MatchHeader, 8> kHeaders{{{"eth", 14, kEth, kEthMask},
                                               {"vlan", 4, kVlan, kVlanMask},
                                               {"ipv4", 20, kIpv4, kIpv4Mask},
                                               {"ipv6", 40, kIpv6, kIpv6Mask},
                                               {"tcp", 20, kTcp, kTcpMask},
                                               {"udp", 8, kUdp, kUdpMask},
                                               {"sctp", 12, kSctp, kSctpMask},
                                               {"raw", 0, {}, {}}}};
constexpr MatchHeader kInvalid{"an unknown protocol", 0, {}, {}};

}  // namespace

const MatchHeader& match_header(MatchProtocol protocol) noexcept {
  const auto index = static_cast<std::size_t>(protocol);
  return index < kHeaders.size() ? kHeaders[index] : kInvalid;
}

std::span<const std::uint8_t> effective_mask(const MatchItem& item) noexcept {
  return item.mask.empty() ? match_header(item.protocol).default_mask : std::span<const std::uint8_t>(item.mask);
}

}  // namespace pollux
