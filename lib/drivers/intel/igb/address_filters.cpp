// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/address_filters.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "net/config_check.hpp"

namespace pollux::drivers::igb {
namespace {

/// Addresses in one request: as many as bits in the hash table.
constexpr std::size_t kMaxHashed = 4096;

bool is_group(const MacAddress& address) { return (address[0] & 1) != 0; }

Result<void> check_unicast(const Card& card, std::span<const MacAddress> addresses, std::size_t most) {
  for (const MacAddress& address : addresses) {
    if (!is_group(address) && address != MacAddress{}) continue;
    return refuse(card.name, fmt::format("{} is not a unicast address", to_string(address)),
                  is_group(address) ? "its first byte is odd: it belongs to the multicast addresses" : "leave it out");
  }
  const std::set<MacAddress> all(addresses.begin(), addresses.end());
  if (all.size() != addresses.size()) return refuse(card.name, "a unicast address is given twice", "name each once");
  if (addresses.size() <= most) return {};
  return refuse(card.name, fmt::format("{} unicast addresses are more than {}", addresses.size(), most),
                "the card has room for so many besides the port's own; promiscuous mode receives all");
}

Result<void> check_groups(const Card& card, std::span<const MacAddress> groups) {
  const auto wrong = std::find_if_not(groups.begin(), groups.end(), is_group);
  if (wrong != groups.end()) {
    return refuse(card.name, fmt::format("{} is not a multicast address", to_string(*wrong)),
                  "the first byte of a multicast address is odd");
  }
  if (groups.size() <= kMaxHashed) return {};
  return refuse(card.name, fmt::format("{} multicast groups are more than {}", groups.size(), kMaxHashed),
                "use set_all_multicast");
}

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

std::size_t AddressFilters::exact_entries() const { return card_.traits->exact_addresses - std::size_t{1}; }

std::size_t AddressFilters::max_unicast() const { return hooks_.functions() != nullptr ? kMaxHashed : exact_entries(); }

Result<void> AddressFilters::set_unicast(std::span<const MacAddress> addresses) {
  if (auto usable = hooks_.check(); !usable) return usable;
  if (auto valid = check_unicast(card_, addresses, max_unicast()); !valid) return valid;
  unicast_.assign(addresses.begin(), addresses.end());
  return apply();
}

Result<void> AddressFilters::set_multicast(std::span<const MacAddress> groups) {
  if (auto usable = hooks_.check(); !usable) return usable;
  if (auto valid = check_groups(card_, groups); !valid) return valid;
  const std::set<MacAddress> all(groups.begin(), groups.end());
  multicast_.assign(all.begin(), all.end());
  return apply();
}

Result<void> AddressFilters::apply() {
  if (!hooks_.running()) return {};
  write();
  return intel::flush_registers(card_);
}

void AddressFilters::start() {
  exact_ = {};
  table_ = {};
  write();
}

void AddressFilters::write() {
  if (FunctionControl* const functions = hooks_.functions()) {
    return functions->set_port_hashes(hashes_of(unicast_), hashes_of(multicast_));
  }
  std::vector<MacAddress> exact = unicast_;
  if (exact_groups()) exact.insert(exact.end(), multicast_.begin(), multicast_.end());
  Table table{};
  if (!exact_groups()) add_hashes(table, hashes_of(multicast_));
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
