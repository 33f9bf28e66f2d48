// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/wake.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace pollux::models::igb {
namespace {

constexpr std::size_t kAddressBytes = 6;
/// A magic packet has six bytes of ones, then the address 16 times, anywhere in the frame.
constexpr std::size_t kMagicRepeats = 16;
constexpr std::size_t kMagicBytes = kAddressBytes * (kMagicRepeats + 1);
constexpr std::size_t kKeptBytes = std::size_t{hw::WUPM::kCount} * 4;

bool is_magic(std::span<const std::byte> frame, const std::array<std::byte, kAddressBytes>& mac) {
  for (std::size_t start = 0; start + kMagicBytes <= frame.size(); ++start) {
    const auto pattern = frame.subspan(start, kMagicBytes);
    const auto ones = pattern.first(kAddressBytes);
    if (!std::ranges::all_of(ones, [](std::byte b) { return b == std::byte{0xFF}; })) continue;
    bool repeats = true;
    for (std::size_t at = kAddressBytes; at < kMagicBytes && repeats; ++at) {
      repeats = pattern[at] == mac[at % kAddressBytes];
    }
    if (repeats) return true;
  }
  return false;
}

}  // namespace

Wake::Address Wake::own_address() const {
  Address mac{};
  const std::uint64_t own =
      registers_.get<hw::RAL>(0).raw() | std::uint64_t{registers_.get<hw::RAH>(0).get(hw::RAH::ADDRESS)} << 32;
  for (std::size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<std::byte>(own >> 8 * i & 0xFF);
  return mac;
}

hw::WUS::Value Wake::reasons(std::span<const std::byte> frame) const {
  const auto wanted = registers_.get<hw::WUFC>();
  const auto to = frame.first(kAddressBytes);
  const bool broadcast = std::ranges::all_of(to, [](std::byte b) { return b == std::byte{0xFF}; });
  const bool group = (to[0] & std::byte{1}) != std::byte{0};
  hw::WUS::Value found;
  if (wanted.has(hw::WUFC::MAG) && is_magic(frame, own_address())) found = found.with(hw::WUS::MAG);
  if (wanted.has(hw::WUFC::EX) && std::ranges::equal(to, own_address())) found = found.with(hw::WUS::EX);
  if (wanted.has(hw::WUFC::MC) && group && !broadcast) found = found.with(hw::WUS::MC);
  if (wanted.has(hw::WUFC::BC) && broadcast) found = found.with(hw::WUS::BC);
  return found;
}

void Wake::frame(std::span<const std::byte> frame) {
  if (!armed() || frame.size() < kAddressBytes) return;
  const hw::WUS::Value found = reasons(frame);
  if (found == hw::WUS::Value()) return;
  if (registers_.get<hw::WUS>() == hw::WUS::Value()) {
    registers_.set<hw::WUPL>(hw::WUPL::Value(static_cast<std::uint32_t>(frame.size() + 4)));
    for (std::size_t at = 0; at < std::min(frame.size(), kKeptBytes); ++at) {
      const auto word = static_cast<std::uint32_t>(at / 4);
      const auto byte = std::to_integer<std::uint32_t>(frame[at]) << 8 * (at % 4);
      registers_.set<hw::WUPM>(word, hw::WUPM::Value((at % 4 == 0 ? 0 : registers_.get<hw::WUPM>(word).raw()) | byte));
    }
  }
  request(found);
}

void Wake::link_is(bool up) {
  if (std::exchange(link_up_, up) == up) return;
  if (armed() && registers_.get<hw::WUFC>().has(hw::WUFC::LNKC)) request(hw::WUS::Value(hw::WUS::LNKC));
}

void Wake::request(hw::WUS::Value reasons) {
  registers_.set<hw::WUS>(hw::WUS::Value(registers_.get<hw::WUS>().raw() | reasons.raw()));
  registers_.change<hw::WUC>(0, hw::WUC::PME_STATUS);
}

}  // namespace pollux::models::igb
