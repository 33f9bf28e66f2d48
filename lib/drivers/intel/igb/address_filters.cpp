// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/address_filters.hpp"

#include <algorithm>
#include <set>

#include "drivers/intel/igb/filters.hpp"

namespace pollux::drivers::igb {
namespace {

/// The bit of MTA, or of UTA, for an address while RCTL.MO is 0: bits 47 to 36 of the address. Linux, e1000_mac.c,
/// igb_hash_mc_addr.
std::uint16_t hash_of(const MacAddress& address) {
  return static_cast<std::uint16_t>((std::uint32_t{address[4]} >> 4 | std::uint32_t{address[5]} << 4) & 0xFFF);
}

std::vector<std::uint16_t> hashes_of(std::span<const MacAddress> addresses) {
  std::vector<std::uint16_t> hashes;
  for (const MacAddress& address : addresses) hashes.push_back(hash_of(address));
  return hashes;
}

}  // namespace

void AddressFilters::forget() noexcept {
  exact_ = {};
  table_ = {};
}

void AddressFilters::write(const Settings& settings) {
  const std::vector<MacAddress>& groups = settings.multicast;
  if (functions_.enabled()) return functions_.set_port_hashes(hashes_of(settings.unicast), hashes_of(groups));
  std::vector<MacAddress> exact = settings.unicast;
  Table table{};
  if (exact.size() + groups.size() < card_.traits->exact_addresses) {
    exact.insert(exact.end(), groups.begin(), groups.end());
  } else {
    add_hashes(table, hashes_of(groups));
  }
  Table both = table;
  for (std::size_t word = 0; word < both.size(); ++word) both[word] |= table_[word];
  write_table(both);  // groups pass by their hash before they lose their receive address
  write_exact(exact);
  write_table(table);
}

void AddressFilters::write_exact(const std::vector<MacAddress>& wanted) {
  std::set<MacAddress> missing(wanted.begin(), wanted.end());
  for (std::uint32_t index = 1; index < exact_.size(); ++index) {
    std::optional<MacAddress>& entry = exact_[index];
    if (!entry || missing.erase(*entry) != 0) continue;
    clear_address(card_, index);
    entry.reset();
  }
  for (std::uint32_t index = 1; index < exact_.size() && !missing.empty(); ++index) {
    std::optional<MacAddress>& entry = exact_[index];
    if (entry) continue;
    entry = *missing.begin();
    missing.erase(missing.begin());
    write_address(card_, index, *entry, 0);
  }
}

// Linux, e1000_mac.c, igb_update_mc_addr_list.
void AddressFilters::write_table(const Table& table) {
  for (std::uint32_t word = 0; word < table.size(); ++word) {
    if (table[word] != table_[word]) card_.regs.write<reg::MTA>(word, reg::MTA::Value(table[word]));
  }
  table_ = table;
}

}  // namespace pollux::drivers::igb
