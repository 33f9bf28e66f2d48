// SPDX-License-Identifier: BSD-3-Clause
#include "settings/fate.hpp"

#include <algorithm>
#include <bit>

namespace pollux::test::settings {
namespace {

constexpr std::uint16_t kIpv4 = 0x0800, kTagType = 0x8100;
constexpr std::uint8_t kTcp = 6, kUdp = 17, kAck = 0x10;

void put16(std::vector<std::byte>& out, unsigned value) {
  out.push_back(static_cast<std::byte>(value >> 8));
  out.push_back(static_cast<std::byte>(value & 0xFF));
}

void put_ipv4(std::vector<std::byte>& out, const Probe& probe, std::size_t length) {
  const std::size_t at = out.size();
  for (const unsigned word : {0x4500U, static_cast<unsigned>(length), 0U, 0U, 64U << 8 | probe.protocol, 0U})
    put16(out, word);
  for (const auto& address : {probe.source, probe.target}) {
    for (const std::uint8_t byte : address) out.push_back(std::byte{byte});
  }
  std::uint32_t sum = 0;
  for (std::size_t i = at; i < at + 20; i += 2)
    sum += std::to_integer<std::uint32_t>(out[i]) << 8 | std::to_integer<std::uint32_t>(out[i + 1]);
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  out[at + 10] = static_cast<std::byte>(~sum >> 8 & 0xFF);
  out[at + 11] = static_cast<std::byte>(~sum & 0xFF);
  put16(out, probe.source_port);
  put16(out, probe.target_port);
  if (probe.protocol == kTcp) {
    for (const unsigned word : {0U, 0U, 0U, 0U, 0x5000U | kAck, 0x1000U, 0U, 0U}) put16(out, word);
  } else {
    put16(out, static_cast<unsigned>(length - 20));
    put16(out, 0);
  }
}

unsigned group_hash(const MacAddress& group) { return (group[4] >> 4U | group[5] << 4U) & 0xFFFU; }

bool contains(const std::vector<MacAddress>& list, const MacAddress& address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

/// Whether the address passes; empty if that is open.
std::optional<bool> passes_address(const MacAddress& address, const Asked& asked, const MacAddress& own) {
  if (asked.config->promiscuous || std::ranges::all_of(address, [](std::uint8_t byte) { return byte == 0xFF; }))
    return true;
  if ((address[0] & 1) == 0) return address == own || contains(asked.unicast, address);
  if (asked.config->all_multicast || contains(asked.multicast, address)) return true;
  const bool collides = std::ranges::any_of(
      asked.multicast, [&](const MacAddress& other) { return group_hash(other) == group_hash(address); });
  return collides ? std::nullopt : std::optional(false);
}

bool passes_vlan(const Probe& probe, const Asked& asked) {
  if (!asked.vlans || !probe.tag) return true;
  const std::uint16_t vlan = *probe.tag & 0xFFF;
  return vlan == 0 || asked.vlans->contains(vlan);
}

std::vector<std::uint8_t> hashed(const Probe& probe, RssTypes types) {
  const bool ports = (probe.protocol == kTcp && types.has(RssTypes::tcp_ipv4)) ||
                     (probe.protocol == kUdp && types.has(RssTypes::udp_ipv4));
  if (probe.ether_type != kIpv4 || (!ports && !types.has(RssTypes::ipv4))) return {};
  std::vector<std::uint8_t> input(probe.source.begin(), probe.source.end());
  input.insert(input.end(), probe.target.begin(), probe.target.end());
  if (!ports) return input;
  for (const std::uint16_t port : {probe.source_port, probe.target_port}) {
    input.push_back(static_cast<std::uint8_t>(port >> 8));
    input.push_back(static_cast<std::uint8_t>(port & 0xFF));
  }
  return input;
}

std::uint16_t rss_queue(const Probe& probe, const Asked& asked) {
  RssConfig rss = asked.rss.value_or(RssConfig{});
  const auto queues = static_cast<std::uint16_t>(asked.config->rx.size());
  if (!asked.rss && queues == 1) return 0;
  const auto input = hashed(probe, rss.types);
  if (input.empty()) return 0;
  const std::uint32_t entry = toeplitz(rss.key, input) % 128;
  return rss.table.empty() ? static_cast<std::uint16_t>(entry % queues) : rss.table[entry];
}

std::uint32_t number(const std::vector<std::uint8_t>& bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + count; ++i) value = value << 8 | (i < bytes.size() ? bytes[i] : 0);
  return value;
}

bool field_matches(const MatchItem& item, std::size_t at, std::size_t count, std::uint32_t value) {
  const std::uint32_t mask = number(item.mask, at, count);
  return (number(item.spec, at, count) & mask) == (value & mask);
}

/// For the rules that probes meet: one EtherType, or IPv4 with UDP, TCP or SCTP.
bool rule_matches(const FlowRule& rule, const Probe& probe) {
  const auto address = [](const std::array<std::uint8_t, 4>& a) { return number({a.begin(), a.end()}, 0, 4); };
  return std::ranges::all_of(rule.match, [&](const MatchItem& item) {
    switch (item.protocol) {
      case MatchProtocol::eth: return field_matches(item, 12, 2, probe.ether_type);
      case MatchProtocol::ipv4:
        return probe.ether_type == kIpv4 && field_matches(item, 12, 4, address(probe.source)) &&
               field_matches(item, 16, 4, address(probe.target));
      case MatchProtocol::tcp:
      case MatchProtocol::udp:
        return probe.ether_type == kIpv4 && probe.protocol == (item.protocol == MatchProtocol::tcp ? kTcp : kUdp) &&
               field_matches(item, 0, 2, probe.source_port) && field_matches(item, 2, 2, probe.target_port) &&
               (item.protocol != MatchProtocol::tcp || field_matches(item, 13, 1, kAck));
      default: return false;
    }
  });
}

std::uint16_t queue_of(const Probe& probe, const Asked& asked) {
  const FlowRule* first = nullptr;
  for (const auto& [id, rule] : asked.rules) {
    if (rule_matches(rule, probe) && (first == nullptr || rule.priority < first->priority)) first = &rule;
  }
  return first == nullptr ? rss_queue(probe, asked) : first->action.queue;
}

}  // namespace

std::uint32_t toeplitz(const packet::RssKey& key, std::span<const std::uint8_t> input) {
  std::uint32_t hash = 0;
  const auto key_bit = [&key](std::size_t bit) { return key[bit / 8] >> (7 - bit % 8) & 1U; };
  for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
    if ((input[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
    std::uint32_t window = 0;
    for (std::size_t i = 0; i < 32; ++i) window = window << 1 | key_bit(bit + i);
    hash ^= window;
  }
  return hash;
}

std::vector<std::byte> Probe::frame() const {
  std::vector<std::byte> out;
  for (const std::uint8_t byte : destination) out.push_back(std::byte{byte});
  for (const unsigned word : {0x0200U, 0U, 0x0077U}) put16(out, word);  // from an address that no one filters
  if (tag) {
    put16(out, kTagType);
    put16(out, *tag);
  }
  put16(out, ether_type);
  if (ether_type == kIpv4) put_ipv4(out, *this, bytes - out.size());
  while (out.size() < bytes) out.push_back(static_cast<std::byte>(out.size() & 0xFF));
  return out;
}

Probe random_probe(Random& random, const Asked& asked, const MacAddress& own) {
  Probe probe;
  switch (random.below(6)) {
    case 0: probe.destination.fill(0xFF); break;
    case 1:
      probe.destination = {0x01, 0, 0x5E, 0, random.below<std::uint8_t>(16), random.below<std::uint8_t>(16)};
      break;
    case 2: probe.destination = asked.multicast.empty() ? own : random.one_of(asked.multicast); break;
    case 3: probe.destination = asked.unicast.empty() ? own : random.one_of(asked.unicast); break;
    case 4: probe.destination = {0x02, 0, 0, 0, random.below<std::uint8_t>(2), random.below<std::uint8_t>(12)}; break;
    default: probe.destination = own; break;
  }
  if (random.flip()) {
    const bool listed = asked.vlans && !asked.vlans->empty() && random.flip();
    const std::uint16_t vlan = listed ? random.one_of(*asked.vlans) : random.below<std::uint16_t>(40);
    probe.tag = static_cast<std::uint16_t>(random.below(8) << 13 | vlan);
  }
  if (random.once_in(4))
    probe.ether_type = random.one_of(std::array<std::uint16_t, 3>{0x88B5, 0x88B6, 0x8906});
  else
    probe.ether_type = kIpv4;
  probe.source = {10, 0, 0, random.below<std::uint8_t>(4)};
  probe.target = {10, 0, 0, random.below<std::uint8_t>(4)};
  probe.protocol = random.flip() ? kTcp : kUdp;
  probe.source_port = static_cast<std::uint16_t>(1000 + random.below(4));
  probe.target_port = static_cast<std::uint16_t>(1000 + random.below(4));
  // Around the longest frame, or anything below it.
  const std::size_t longest = asked.config->mtu + 18;
  probe.bytes =
      std::max<std::size_t>(random.once_in(3) ? longest - 3 + random.below(6) : 64 + random.below(longest - 63), 64);
  return probe;
}

// The filters come first: a card does not count what is not for it. The longest frame has, with its FCS, the MTU, the
// header and a tag, whether it is tagged or not (I210 datasheet, p. 252).
Fate fate_of(const Probe& probe, const Asked& asked, const MacAddress& own) {
  const auto passes = passes_address(probe.destination, asked, own);
  if ((passes && !*passes) || !passes_vlan(probe, asked)) return {.end = Fate::End::filtered};
  if (probe.bytes + 4 > asked.config->mtu + 14 + 4 + 4) return {.end = passes ? Fate::End::too_long : Fate::End::open};
  Fate fate{.end = passes ? Fate::End::delivered : Fate::End::open, .queue = queue_of(probe, asked)};
  if (asked.strip_tags) fate.stripped = probe.tag;
  return fate;
}

}  // namespace pollux::test::settings
