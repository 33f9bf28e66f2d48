// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "models/intel/igb/filter.hpp"
#include "models/intel/igb/frame.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

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
  [[nodiscard]] std::uint32_t with(hw::VMOLR::Setting bit) const;
  [[nodiscard]] std::uint32_t by_address(std::span<const std::byte> frame, bool& exact) const;
  [[nodiscard]] std::uint32_t by_vlan(const Headers& headers) const;
  [[nodiscard]] std::uint32_t members_of(std::uint16_t tag) const;
  [[nodiscard]] std::uint32_t longer_than_limit(std::size_t bytes, const Headers& headers) const;

  RegisterFile& registers_;
  const Filter& filter_;
};

}  // namespace pollux::models::igb
