// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::igb {

/// The VLANs of the pools of virtual functions and of the port (VLVF and VFTA). An entry keeps its place while it is in
/// use, so that a change of one VLAN does not interrupt another.
class FunctionVlans {
 public:
  /// `card` outlives the object.
  explicit FunctionVlans(const Card& card) noexcept : card_(card) {}

  /// Adds `pool` to `vlan`, or removes it. `write`: the port runs. Returns false if the table is full.
  [[nodiscard]] bool set(std::uint16_t vlan, std::uint32_t pool, bool receive, bool write);
  /// Whether there is room for the VLANs of other settings, besides those that functions have requested.
  [[nodiscard]] bool has_room(const Settings& from, const Settings& to) const noexcept;
  /// Writes which pools receive frames without a VLAN. These may have a tag for their priority alone.
  void write_untagged(std::uint32_t pools) const;
  /// Removes `pool` from all VLANs.
  void remove(std::uint32_t pool, bool write);
  /// Writes all entries but that of VLAN 0, after a reset. `port_pool` receives all VLANs if `port_receives_all`.
  void write_all(std::uint32_t port_pool, bool port_receives_all);
  void clear() noexcept { entries_ = {}; }

 private:
  struct Entry {
    std::uint16_t vlan = 0;  ///< 0: unused
    std::uint32_t pools = 0;
  };
  void write(std::size_t index) const;
  void write_entry(std::size_t number, std::uint16_t vlan, std::uint32_t pools) const;
  [[nodiscard]] std::uint32_t bits_of_word(std::uint32_t word) const noexcept;

  const Card& card_;
  std::array<Entry, reg::VLVF::kCount - 1> entries_{};
  std::uint32_t port_bits_ = 0;  // of the port's pool, if it receives all VLANs
};

/// The addresses of virtual functions: function n's own in the receive address entry n from the end, its other ones in
/// entries 1 and up; and the hashes of their multicast groups (MTA). The port, as the function after the last, has
/// hashes alone, also of unicast addresses (UTA).
class FunctionAddresses {
 public:
  explicit FunctionAddresses(const Card& card) noexcept : card_(card) {}

  /// Sets or removes the function's own address.
  void write_own(unsigned function, const std::optional<MacAddress>& mac) const;
  /// Another address of a function, of `functions`. Returns false if there is no room.
  [[nodiscard]] bool add(unsigned function, const MacAddress& mac, unsigned functions);
  void remove_others(unsigned function);
  void set_hashes(unsigned function, std::vector<std::uint16_t> hashes);
  /// Lets every group pass to those pools that receive what the table has (VMOLR.ROMPE).
  void let_all_groups_pass(bool on);
  /// Of the port's further unicast addresses.
  void set_unicast_hashes(const std::vector<std::uint16_t>& hashes);
  void let_all_unicast_pass(bool on);
  /// Whether any unicast address passes by its hash.
  [[nodiscard]] bool passes_unicast() const noexcept { return all_unicast_ || unicast_ != Table{}; }
  [[nodiscard]] bool has_hashes(unsigned function) const { return !hashes_[function].empty(); }
  /// The card was reset, and all functions with it: there are no other addresses and no hashes.
  void forget() noexcept;

 private:
  struct Other {
    unsigned function = 0;
    bool used = false;
  };
  using Table = std::array<std::uint32_t, reg::kMulticastTableWords>;
  static_assert(reg::kMulticastTableWords == reg::kUnicastTableWords);
  void clear_entry(std::uint32_t index) const;
  void write_groups();
  void write_unicast_table();

  const Card& card_;
  std::array<Other, hw::igb::kExactAddresses> others_{};
  std::array<std::vector<std::uint16_t>, hw::igb::kPools> hashes_;
  Table table_{};    // as in MTA
  Table unicast_{};  // of the port's further addresses
  Table written_{};  // as in UTA
  bool all_groups_ = false;
  bool all_unicast_ = false;
};

}  // namespace pollux::drivers::igb
