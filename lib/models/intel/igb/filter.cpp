// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/filter.hpp"

#include <algorithm>
#include <array>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/queueing.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::size_t kUntaggedMax = 1518;

std::uint32_t wide_byte_at(std::span<const std::byte> frame, std::size_t offset) noexcept {
  return std::to_integer<std::uint32_t>(frame[offset]);
}

}  // namespace

Filter::Filter(RegisterFile& registers, std::uint32_t exact_addresses)
    : registers_(registers), exact_addresses_(std::min(exact_addresses, hw::RAL::kCount)) {}

void Filter::set_mac(std::array<std::uint8_t, 6> mac) {
  const auto byte = [&mac](std::size_t i) { return static_cast<std::uint32_t>(mac[i]); };
  registers_.set<hw::RAL>(0, hw::RAL::Value(byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24));
  registers_.set<hw::RAH>(0, hw::RAH::ADDRESS(byte(4) | byte(5) << 8) | hw::RAH::AV);
}

void Filter::reset() {
  registers_.set<hw::RLPML>(hw::RLPML::LENGTH(hw::kMaxFrameBytes));
  registers_.set<hw::VET>(hw::VET::TYPE(0x8100) | hw::VET::OUTER_TYPE(0x8100));
}

template <class Matched>
bool Filter::for_each_match(std::span<const std::byte> frame, std::size_t offset, Matched matched) const {
  const std::span<const std::byte> wanted = frame.subspan(offset, 6);
  const std::uint32_t low = wide_byte_at(wanted, 0) | wide_byte_at(wanted, 1) << 8 | wide_byte_at(wanted, 2) << 16 |
                            wide_byte_at(wanted, 3) << 24;
  const std::uint32_t high = wide_byte_at(wanted, 4) | wide_byte_at(wanted, 5) << 8;
  for (std::uint32_t i = 0; i < exact_addresses_; ++i) {
    const hw::RAH::Value entry = registers_.get<hw::RAH>(i);
    const bool equal = entry.get(hw::RAH::ADDRESS) == high && registers_.get<hw::RAL>(i).raw() == low;
    if (equal && entry.has(hw::RAH::AV) && matched(entry)) return true;
  }
  return false;
}

bool Filter::matches_exactly(std::span<const std::byte> frame) const {
  return for_each_match(frame, 0, [](hw::RAH::Value) { return true; });
}

std::uint32_t Filter::exact_pools(std::span<const std::byte> frame, std::size_t offset) const {
  std::uint32_t pools = 0;
  for_each_match(frame, offset, [&pools](hw::RAH::Value entry) {
    pools |= entry.get(hw::RAH::POOLSEL);
    return false;
  });
  return pools;
}

/// Twelve bits of the last two address bytes, selected by RCTL.MO (QEMU, e1000x_common.c, e1000x_rx_group_filter).
std::uint32_t Filter::hash(std::span<const std::byte> frame) const {
  constexpr std::array<std::uint32_t, 4> kShift{4, 3, 2, 0};
  const std::uint32_t last = wide_byte_at(frame, 5) << 8 | wide_byte_at(frame, 4);
  return last >> kShift[registers_.get<hw::RCTL>().get(hw::RCTL::MO)] & 0xFFF;
}

Filter::Match Filter::address(std::span<const std::byte> frame) const {
  const hw::RCTL::Value control = registers_.get<hw::RCTL>();
  const bool broadcast = is_broadcast(frame);
  const bool multicast = is_multicast(frame);
  if (broadcast ? control.has(hw::RCTL::BAM) : control.has(multicast ? hw::RCTL::MPE : hw::RCTL::UPE)) {
    return Match::exact;
  }
  if (matches_exactly(frame)) return Match::exact;
  // [I-UTA]
  if (!multicast && !has_pools(registers_.get<hw::MRQC>())) return Match::rejected;
  return in_table(frame) ? Match::inexact : Match::rejected;
}

bool Filter::in_table(std::span<const std::byte> frame) const {
  const std::uint32_t number = hash(frame);
  const std::uint32_t word =
      is_multicast(frame) ? registers_.get<hw::MTA>(number / 32).raw() : registers_.get<hw::UTA>(number / 32).raw();
  return (word >> number % 32 & 1) != 0;
}

bool Filter::vlan(const Headers& headers) const {
  if (!headers.tagged || !registers_.get<hw::RCTL>().has(hw::RCTL::VFE)) return true;
  const std::uint32_t id = headers.vlan & 0xFFF;
  return (registers_.get<hw::VFTA>(id / 32).raw() >> id % 32 & 1) != 0;
}

std::optional<std::uint32_t> Filter::ether_type(const Headers& headers) const {
  for (std::uint32_t i = 0; i < hw::ETQF::kCount; ++i) {
    const hw::ETQF::Value filter = registers_.get<hw::ETQF>(i);
    if (filter.has(hw::ETQF::FILTER_ENABLE) && filter.get(hw::ETQF::ETYPE) == headers.ether_type) return i;
  }
  return std::nullopt;
}

// [I-LPE] The longest frame has 1518 bytes, and four more for each tag, or RLPML bytes if RCTL.LPE is set. 82575
// manual, 14.9.34 and 14.9.35.
Filter::Length Filter::length(std::size_t bytes_without_crc, const Headers& headers) const {
  const std::size_t bytes = bytes_without_crc + hw::kCrcBytes;
  if (bytes < hw::kMinFrameBytes) return Length::short_frame;
  const std::size_t fixed = kUntaggedMax + headers.tag_bytes;
  const bool large = registers_.get<hw::RCTL>().has(hw::RCTL::LPE);
  const std::size_t limit = large ? registers_.get<hw::RLPML>().get(hw::RLPML::LENGTH) : fixed;
  return bytes > limit ? Length::long_frame : Length::good;
}

}  // namespace pollux::models::igb
