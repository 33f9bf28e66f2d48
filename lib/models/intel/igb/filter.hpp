// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "hw/intel/descriptors.hpp"
#include "models/intel/igb/frame.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// The address of the port: the first one of the exact addresses, whether or not it is valid.
[[nodiscard]] std::array<std::byte, 6> own_address(const RegisterFile& registers) noexcept;

/// Whether MRQC selects pools, RSS, or both.
[[nodiscard]] inline bool has_pools(hw::MRQC::Value queueing) noexcept {
  return queueing.has(hw::MRQC::VMDQ) || queueing.has(hw::MRQC::VMDQ_RSS);
}
[[nodiscard]] inline bool has_rss(hw::MRQC::Value queueing) noexcept {
  return queueing.has(hw::MRQC::RSS) || queueing.has(hw::MRQC::VMDQ_RSS);
}

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
  void write_vlans(std::uint32_t index, std::uint32_t value);

  RegisterFile& registers_;
  std::uint32_t exact_addresses_;
  std::uint32_t vlan_word_ = 0;    // the word of VFTA that was written last
  std::uint32_t vlan_writes_ = 0;  // how often
};

/// [I-FTQF] Whether a TCP, UDP or SCTP packet has the addresses, ports and protocol of filter `index` (FTQF, SAQF,
/// DAQF, SPQF, IMIR). Addresses are those of IPv4.
[[nodiscard]] bool tuple_matches(const RegisterFile& registers, std::uint32_t index, std::span<const std::byte> frame,
                                 const Headers& headers);
/// The queue of a TCP, UDP or SCTP packet by the filter that takes precedence: by the five-tuple, the TCP flags and the
/// size (also IMIREXT), or by TCP's SYN flag (SYNQF). nullopt if none matches.
[[nodiscard]] std::optional<std::uint32_t> filtered_queue(const RegisterFile& registers,
                                                          std::span<const std::byte> frame, const Headers& headers);

/// What receive side scaling does with a frame.
struct RssChoice {
  bool enabled = false;
  intel::rx::RssType type = intel::rx::RssType::none;
  std::uint32_t hash = 0;
  std::uint32_t queue = 0;
};
/// Selects the hash type, computes the hash, and looks up the queue in RETA.
[[nodiscard]] RssChoice rss_choice(const RegisterFile& registers, std::span<const std::byte> frame,
                                   const Headers& headers);

/// [I-M-POOLS] The pools of virtual machines (MRQC.VMDQ and VMDQ_RSS): which of them receive a frame, and which may
/// send one. Pool n has the queues n and n + 8. QEMU, igb_core.c, igb_receive_assign.
class Pools {
 public:
  Pools(RegisterFile& registers, const Filter& filter) : registers_(registers), filter_(filter) {}
  void reset();
  [[nodiscard]] bool enabled() const;

  enum class From : std::uint8_t { wire, pool };
  struct Choice {
    std::uint32_t pools = 0;   ///< one bit per pool
    bool too_long = false;     ///< at least one pool was dropped because of its length limit, and none is left
    bool only_inside = false;  ///< a unicast address of a pool: not for the wire
  };
  /// The pools that receive a frame. `source` is the pool that has sent it, for frames that come from one.
  [[nodiscard]] Choice choose(std::span<const std::byte> frame, const Headers& headers, From from,
                              std::uint32_t source = 0) const;
  /// The queue of a pool. `entry` is RSS's entry of the redirection table.
  [[nodiscard]] std::uint32_t queue(std::uint32_t pool, std::uint32_t entry) const;
  /// Whether the tag is removed from a frame for `pool`. `replicated`: it is a multicast or broadcast.
  [[nodiscard]] bool strips_tag(std::uint32_t pool, bool replicated) const;

  [[nodiscard]] bool may_send(std::uint32_t pool) const;
  /// Whether frames of pools are switched inside the card.
  [[nodiscard]] bool switches() const;
  /// Whether a frame of `pool` has a source address that is not the pool's, while that is checked.
  [[nodiscard]] bool forged(std::span<const std::byte> frame, std::uint32_t pool) const;
  /// Whether `pool` is not in the VLAN of a tag that it sends, while that is checked. A priority tag is in no VLAN.
  [[nodiscard]] bool foreign_vlan(std::uint16_t tag, std::uint32_t pool) const;

 private:
  [[nodiscard]] hw::DTXSWC::Value tx_switch() const;
  [[nodiscard]] std::uint32_t with(hw::VMOLR::Setting bit) const;
  [[nodiscard]] std::uint32_t by_address(std::span<const std::byte> frame, bool& exact) const;
  [[nodiscard]] std::uint32_t by_vlan(const Headers& headers) const;
  [[nodiscard]] std::uint32_t members_of(std::uint16_t tag) const;
  [[nodiscard]] std::uint32_t longer_than_limit(std::size_t bytes, const Headers& headers) const;

  RegisterFile& registers_;
  const Filter& filter_;
};

}  // namespace pollux::models::igb
