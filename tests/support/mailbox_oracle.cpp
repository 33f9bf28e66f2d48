// SPDX-License-Identifier: BSD-3-Clause
#include "support/mailbox_oracle.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "hw/intel/igbvf/registers.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using namespace hw::igb;
using hw::igbvf::kAccepted;
using hw::igbvf::kRefused;
using Kind = hw::igbvf::Message;
using hw::igbvf::V2PMAILBOX;

constexpr std::uint32_t kPort = 1U << MailboxOracle::kFunctions;

std::uint32_t information(const MailboxOracle::Message& message) {
  return message[0] >> hw::igbvf::kInformationShift & 0xFF;
}

std::uint64_t sum(const VirtualFunctionState& state) {
  return std::accumulate(state.refused.begin(), state.refused.end(), std::uint64_t{0});
}

}  // namespace

MailboxOracle::MailboxOracle(CardFixture& fixture, Capability<VirtualFunctions> functions)
    : fixture_(fixture), functions_(std::move(functions)) {
  require(test::set_functions(fixture.port, kFunctions).has_value(), "the functions can be enabled");
  require(test::set_function(fixture.port, 1, {.mac = kOtherMac}).has_value(), "a function can be set");
  require(fixture.port.start().has_value(), "the port starts");
  require(fixture.port.wait_for_link(std::chrono::seconds(5)).has_value(), "the link comes up");
  require(fixture.port.service().has_value(), "the port can be serviced");
  untouched_ = state(1);
  check_card();
}

void MailboxOracle::require(bool holds, const char* what) {
  if (!holds && violation_.empty()) violation_ = what;
}

void MailboxOracle::send(const Message& message, std::uint32_t flags) {
  const VirtualFunctionState before = state();
  fixture_.card.with([&](models::igb::Card& card) {
    DeviceModel& function = *card.function(0);
    const auto write = [&function](std::uint32_t offset, std::uint32_t value) {
      function.write32(hw::igbvf::kRegisterBar, offset, value);
    };
    write(V2PMAILBOX::offset(), V2PMAILBOX::Value(V2PMAILBOX::VFU).raw());
    for (std::uint32_t i = 0; i < message.size(); ++i) write(hw::igbvf::VMBMEM::offset(i), message[i]);
    write(V2PMAILBOX::offset(), flags);
    return 0;
  });
  require(fixture_.port.service().has_value(), "the port can be serviced");
  const VirtualFunctionState after = state();
  const bool requested = V2PMAILBOX::Value(flags).has(V2PMAILBOX::REQ);
  require(after.requests == before.requests + (requested ? 1 : 0), "each request is taken once");
  if (requested) {
    ++requests;
    check_answer(message, fixture_.card.value<VMBMEM>(0).raw(), before);
  }
  require(state().driver_up == up_, "the function is up after an accepted reset");
  require(own_.empty() ? !state().mac : state().mac == own_.front(), "its address is the accepted one");
}

void MailboxOracle::check_answer(const Message& message, std::uint32_t answer, const VirtualFunctionState& before) {
  const std::uint64_t refusals = sum(state()) - sum(before);
  const bool is_answer = (message[0] & (kAccepted | kRefused)) != 0;
  if (is_answer || hw::igbvf::kind_of(message[0]) == Kind::control) {
    ++ignored;
    return require(answer == message[0] && refusals == 0, "an answer gets no answer");
  }
  const bool is_reset = message[0] == hw::igbvf::first_word(Kind::reset);
  const std::uint32_t outcome = answer & (kAccepted | kRefused);
  require(outcome == kAccepted || outcome == kRefused, "a request is accepted or refused");
  require(refusals == (outcome == kRefused && !is_reset ? 1 : 0), "a refusal is counted once, under one reason");
  // A reset is granted; it is "refused" if the function has no address yet.
  if (outcome == kRefused && !is_reset) return void(++refused);
  ++granted;
  require(up_ || is_reset, "nothing is granted before a reset");
  accept(message);
}

void MailboxOracle::forget_requests() {
  own_.clear();
  others_.clear();
  vlans_.clear();
  hashes_.clear();
  all_groups_ = many_groups_ = up_ = false;
  max_frame_ = kDefaultFrame;
}

void MailboxOracle::accept(const Message& message) {
  switch (hw::igbvf::kind_of(message[0])) {
    case Kind::reset:
      forget_requests();
      up_ = true;
      return;
    case Kind::set_address: return accept_address(message);
    case Kind::set_multicast: return accept_multicast(message);
    case Kind::set_vlan: {
      const std::uint32_t vlan = message[1] & 0xFFF;
      if (vlan == 0) return;
      return information(message) != 0 ? void(vlans_.insert(vlan)) : void(vlans_.erase(vlan));
    }
    case Kind::set_max_frame: max_frame_ = message[1]; return;
    case Kind::set_promiscuous:
      require((information(message) & ~std::uint32_t{hw::igbvf::kPromiscuousMulticast}) == 0,
              "no function is promiscuous");
      all_groups_ = information(message) != 0;
      return;
    default: return require(false, "an unknown request is refused");
  }
}

void MailboxOracle::accept_address(const Message& message) {
  MacAddress mac{};
  std::memcpy(mac.data(), &message[1], mac.size());
  if (information(message) == 1) return others_.clear();
  require((mac[0] & 1) == 0 && mac != MacAddress{}, "an address is a station's");
  if (information(message) == 2) return void(others_.insert(mac));
  require(information(message) == 0, "an unknown action is refused");
  own_ = {mac};
}

void MailboxOracle::accept_multicast(const Message& message) {
  const std::size_t count = information(message);
  many_groups_ = count > hw::igbvf::kMaxMulticast;
  hashes_.clear();
  for (std::size_t i = 0; i < std::min(count, hw::igbvf::kMaxMulticast); ++i) {
    std::uint16_t hash = 0;
    std::memcpy(&hash, reinterpret_cast<const char*>(&message[1]) + 2 * i, sizeof hash);
    hashes_.push_back(hash & 0xFFFU);
  }
}

void MailboxOracle::reset() {
  const VirtualFunctionState before = state();
  fixture_.card.with([](models::igb::Card& card) {
    using hw::igbvf::CTRL;
    card.function(0)->write32(hw::igbvf::kRegisterBar, CTRL::offset(), CTRL::Value(CTRL::RST).raw());
    return 0;
  });
  require(fixture_.port.service().has_value(), "the port can be serviced");
  require(state().resets == before.resets + 1, "a reset is noticed");
  forget_requests();
}

void MailboxOracle::check_card() {
  check_addresses();
  check_vlans();
  check_groups();
  check_pools();
  require(state(1).requests == untouched_.requests && state(1).mac == untouched_.mac,
          "the other function is left alone");
  require(state().requests == granted + refused + ignored, "requests = granted + refused + ignored");
}

void MailboxOracle::check_addresses() {
  std::multiset<MacAddress> ours, other;
  for (std::uint32_t i = 0; i < kExactAddresses; ++i) {
    const auto high = fixture_.card.value<RAH>(i);
    if (!high.has(RAH::AV)) continue;
    const std::uint32_t pools = high.get(RAH::POOLSEL);
    require(pools == 1 || pools == 2 || pools == kPort, "an address belongs to one existing pool");
    const std::uint64_t bits = std::uint64_t{high.get(RAH::ADDRESS)} << 32 | fixture_.card.value<RAL>(i).raw();
    MacAddress mac{};
    std::memcpy(mac.data(), &bits, mac.size());
    if (pools == 1) ours.insert(mac);
    if (pools == 2) other.insert(mac);
    require(pools != kPort || i == 0, "the port has one address");
  }
  std::multiset<MacAddress> expected = others_;
  expected.insert(own_.begin(), own_.end());
  require(ours == expected, "the card has the accepted addresses");
  require(other == std::multiset<MacAddress>{kOtherMac}, "the other function keeps its address");
}

void MailboxOracle::check_vlans() {
  std::set<std::uint32_t> found;
  for (std::uint32_t i = 0; i < VLVF::kCount; ++i) {
    const auto entry = fixture_.card.value<VLVF>(i);
    if (!entry.has(VLVF::VLANID_ENABLE)) continue;
    if (entry.get(VLVF::VLANID) == 0) {
      require(entry.get(VLVF::POOLSEL) == 2 * kPort - 1, "frames with a priority alone reach all");
      continue;
    }
    require(entry.get(VLVF::POOLSEL) == (1 | kPort), "a VLAN belongs to the function and the port");
    require(found.insert(entry.get(VLVF::VLANID)).second, "a VLAN has one entry");
  }
  require(found == vlans_, "the card has the accepted VLANs");
}

void MailboxOracle::check_groups() {
  std::array<std::uint32_t, kMulticastTableWords> table{};
  for (const std::uint32_t hash : hashes_) table[hash / 32] |= 1U << hash % 32;
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    require(fixture_.card.value<MTA>(i).raw() == table[i], "the card has the accepted groups");
  }
}

void MailboxOracle::check_pools() {
  const auto limits = fixture_.card.value<VMOLR>(0);
  require(limits.get(VMOLR::RLPML) == max_frame_, "the card has the accepted frame length");
  require(limits.has(VMOLR::MPME) == (all_groups_ || many_groups_), "all groups pass if that was accepted");
  require(fixture_.card.value<hw::igb::RCTL>().has(hw::igb::RCTL::MPE) == (all_groups_ || many_groups_),
          "then they pass the port's own filter, too");
  require(limits.has(VMOLR::ROMPE) == !hashes_.empty(), "groups of the table pass if there are any");
  require(!limits.has(VMOLR::ROPE), "no function is promiscuous");
  const std::uint32_t pools = kPort | (up_ ? 1 : 0);
  require(fixture_.card.value<VFRE>().get(VFRE::POOLS) == pools, "only a function that is up receives");
  require(fixture_.card.value<VFTE>().get(VFTE::POOLS) == pools, "only a function that is up sends");
}

}  // namespace pollux::test
