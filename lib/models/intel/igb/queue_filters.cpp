// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/queue_filters.hpp"

#include <algorithm>

namespace pollux::models::igb {
namespace {

constexpr std::size_t kFlagsOffset = 13;
constexpr std::size_t kFlagsEnd = 14;
constexpr unsigned kSynFlag = 2;

/// Numbers in these registers have the byte order of the wire in memory order.
std::uint32_t wire_number(std::span<const std::byte> frame, std::size_t at, std::size_t bytes) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < bytes; ++i) number |= std::to_integer<std::uint32_t>(frame[at + i]) << 8 * i;
  return number;
}

std::uint32_t protocol_of(const Headers& headers) noexcept {
  return headers.tcp != 0 ? kProtocolTcp : headers.udp != 0 ? kProtocolUdp : kProtocolSctp;
}

unsigned tcp_flags(std::span<const std::byte> frame, const Headers& headers) {
  const std::size_t at = headers.tcp + kFlagsOffset;
  return headers.tcp != 0 && headers.tcp + kFlagsEnd <= frame.size() ? std::to_integer<unsigned>(frame[at]) : 0U;
}

}  // namespace

std::optional<std::uint32_t> QueueFilters::queue(std::span<const std::byte> frame, const Headers& headers) const {
  const auto by_flag = syn(frame, headers);
  if (by_flag && registers_.get<hw::RFCTL>().has(hw::RFCTL::SYNQFP)) return by_flag;
  const auto by_tuple = five_tuple(frame, headers);
  return by_tuple ? by_tuple : by_flag;
}

std::optional<std::uint32_t> QueueFilters::syn(std::span<const std::byte> frame, const Headers& headers) const {
  const hw::SYNQF::Value filter = registers_.get<hw::SYNQF>();
  if (!filter.has(hw::SYNQF::QUEUE_ENABLE) || (tcp_flags(frame, headers) & kSynFlag) == 0) return std::nullopt;
  return filter.get(hw::SYNQF::QUEUE);
}

// I210 datasheet, 8.11.2: of several filters the one with the highest priority decides, then the lowest number. DPDK,
// e1000_ethdev.h, struct e1000_5tuple_filter_info: 7 is the highest priority, and any of the TCP flags matches.
std::optional<std::uint32_t> QueueFilters::five_tuple(std::span<const std::byte> frame, const Headers& headers) const {
  if (headers.ipv4 == 0 || (headers.tcp == 0 && headers.udp == 0 && headers.sctp == 0)) return std::nullopt;
  std::optional<std::uint32_t> queue;
  std::uint32_t best = 0;
  for (std::uint32_t i = 0; i < hw::FTQF::kCount; ++i) {
    const hw::FTQF::Value filter = registers_.get<hw::FTQF>(i);
    const std::uint32_t priority = registers_.get<hw::IMIR>(i).get(hw::IMIR::PRIORITY);
    if (!filter.has(hw::FTQF::QUEUE_ENABLE) || (queue && priority <= best) || !matches(i, frame, headers)) continue;
    queue = filter.get(hw::FTQF::QUEUE);
    best = priority;
  }
  return queue;
}

bool QueueFilters::matches(std::uint32_t index, std::span<const std::byte> frame, const Headers& headers) const {
  const hw::FTQF::Value filter = registers_.get<hw::FTQF>(index);
  const hw::IMIR::Value port = registers_.get<hw::IMIR>(index);
  const hw::IMIREXT::Value more = registers_.get<hw::IMIREXT>(index);
  const std::size_t ports = std::max({headers.tcp, headers.udp, headers.sctp});
  const bool flags_match = more.has(hw::IMIREXT::CTRL_BP) || [&] {
    constexpr std::uint32_t kShift = hw::IMIREXT::URG.lo();
    std::uint32_t reversed = 0;  // the register has URG first, TCP FIN
    for (unsigned i = 0; i < 6; ++i) reversed |= (more.raw() >> (kShift + i) & 1U) << (5 - i);
    return (tcp_flags(frame, headers) & reversed) != 0;
  }();
  return flags_match && (filter.has(hw::FTQF::PROTOCOL_BP) || filter.get(hw::FTQF::PROTOCOL) == protocol_of(headers)) &&
         (filter.has(hw::FTQF::SOURCE_ADDRESS_BP) ||
          registers_.get<hw::SAQF>(index).raw() == wire_number(frame, headers.ipv4 + 12, 4)) &&
         (filter.has(hw::FTQF::DESTINATION_ADDRESS_BP) ||
          registers_.get<hw::DAQF>(index).raw() == wire_number(frame, headers.ipv4 + 16, 4)) &&
         (filter.has(hw::FTQF::SOURCE_PORT_BP) ||
          registers_.get<hw::SPQF>(index).get(hw::SPQF::PORT) == wire_number(frame, ports, 2)) &&
         (port.has(hw::IMIR::PORT_BP) || port.get(hw::IMIR::PORT) == wire_number(frame, ports + 2, 2)) &&
         (more.has(hw::IMIREXT::SIZE_BP) || frame.size() < more.get(hw::IMIREXT::SIZE_THRESHOLD));
}

}  // namespace pollux::models::igb
