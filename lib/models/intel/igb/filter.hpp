// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "models/intel/igb/frame.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// The MAC's receive filters: addresses, hash tables, VLANs and lengths.
class Filter {
 public:
  Filter(RegisterFile& registers, std::uint32_t exact_addresses);
  void reset();
  void set_mac(std::array<std::uint8_t, 6> mac);

  enum class Match {
    rejected,  ///< not for this card
    exact,     ///< accepted: a broadcast, promiscuous mode or one of the exact addresses
    inexact,   ///< accepted: a hash table matched
  };
  [[nodiscard]] Match address(std::span<const std::byte> frame) const;
  /// The pools of the exact addresses that equal the six bytes at `offset`: the destination or the source.
  [[nodiscard]] std::uint32_t exact_pools(std::span<const std::byte> frame, std::size_t offset) const;
  /// Whether the table of unicast or multicast addresses has the frame's hash.
  [[nodiscard]] bool in_table(std::span<const std::byte> frame) const;
  [[nodiscard]] bool vlan(const Headers& headers) const;
  /// The EtherType filter (ETQF) that the frame matches.
  [[nodiscard]] std::optional<std::uint32_t> ether_type(const Headers& headers) const;
  enum class Length { good, short_frame, long_frame };
  [[nodiscard]] Length length(std::size_t bytes_without_crc, const Headers& headers) const;

 private:
  /// Calls `matched` with each exact address that equals the six bytes at `offset`, until it returns true.
  template <class Matched>
  bool for_each_match(std::span<const std::byte> frame, std::size_t offset, Matched matched) const;
  [[nodiscard]] bool matches_exactly(std::span<const std::byte> frame) const;
  [[nodiscard]] std::uint32_t hash(std::span<const std::byte> frame) const;

  RegisterFile& registers_;
  std::uint32_t exact_addresses_;
};

}  // namespace pollux::models::igb
