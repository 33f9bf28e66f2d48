// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/flow_filters.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "pollux/net/packet/ip.hpp"

namespace pollux::drivers::igb {
namespace {

using Kind = CardFilter::Kind;

constexpr std::uint32_t kHighestPriority = 7;
constexpr std::uint32_t kPtpType = 0x88F7;  // PTP over Ethernet: IEEE 1588, annex F
constexpr std::uint16_t kEventPort = 319;   // of PTP over UDP

/// Numbers in these registers have the byte order of the wire (Linux, igb_ptp.c, igb_ptp_set_timestamp_mode).
std::uint32_t wire_order32(std::uint32_t number) noexcept {
  return number >> 24 | (number >> 8 & 0xFF00) | (number << 8 & 0xFF0000) | number << 24;
}
std::uint32_t wire_order16(std::uint16_t number) noexcept { return wire_order32(number) >> 16; }

/// The filter of a kind, its last, that selects frames for time stamps.
std::uint32_t stamp_filter(const IgbCard& card, Kind kind) noexcept {
  return filters_of(card.traits->filters, kind) - 1;
}

/// A rule, and what the card compares for it.
struct Entry {
  PlacedRule* placed;
  CardFilter filter;

  /// Whether this rule takes precedence over the other one.
  [[nodiscard]] bool precedes(const Entry& other) const noexcept {
    return std::pair(placed->rule.priority, placed->id) < std::pair(other.placed->rule.priority, other.placed->id);
  }
  [[nodiscard]] bool is_tcp() const noexcept {
    return filter.kind == Kind::five_tuple && filter.protocol == packet::ip_protocol::kTcp;
  }
};

Result<std::vector<Entry>> entries_of(std::vector<PlacedRule>& rules, const IgbCard& card) {
  std::vector<Entry> entries;
  for (PlacedRule& rule : rules) {
    auto filter = fit_filter(rule.rule, card.traits->filters, card.name);
    if (!filter) return pass_on(std::move(filter));
    entries.push_back({&rule, *filter});
  }
  return entries;
}

bool stamps_use(Kind kind, StampedMessages messages) noexcept {
  const bool ethernet = messages == StampedMessages::ptp2_ethernet || messages == StampedMessages::ptp2;
  const bool udp = messages != StampedMessages::none && messages != StampedMessages::ptp2_ethernet;
  return kind == Kind::ether_type ? ethernet : kind == Kind::five_tuple && udp;
}

Result<void> check_stamp_filters(StampedMessages messages, const IgbCard& card) {
  for (const Kind kind : {Kind::ether_type, Kind::five_tuple}) {
    if (!stamps_use(kind, messages) || filters_of(card.traits->filters, kind) != 0) continue;
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: these time stamps need a filter, and the card has no {} filters", card.name, name_of(kind)),
        "stamp other messages (FrameStamps)");
  }
  return {};
}

Result<void> check_stamps(const Entry& entry, StampedMessages messages, const IgbCard& card) {
  const CardFilter& filter = entry.filter;
  const bool is_ptp = filter.kind == Kind::ether_type && filter.ether_type == kPtpType;
  if (!stamps_use(filter.kind, messages) || (entry.placed->slot != stamp_filter(card, filter.kind) && !is_ptp))
    return {};
  return fail(ErrorCode::busy,
              fmt::format("{}: time stamps and flow rule {} need the same {} filter", card.name,
                          static_cast<std::uint64_t>(entry.placed->id), name_of(filter.kind)),
              "remove the rule or give it to SoftwareClassifier, or turn these stamps off (FrameStamps)");
}

Result<void> check_ether_types(const std::vector<Entry>& entries, std::string_view port) {
  for (const Entry& entry : entries) {
    if (entry.filter.kind != Kind::ether_type) continue;
    const auto is_same = [&](const Entry& other) {
      return other.filter.kind == Kind::ether_type && other.filter.ether_type == entry.filter.ether_type;
    };
    if (std::count_if(entries.begin(), entries.end(), is_same) == 1) continue;
    return fail(ErrorCode::busy,
                fmt::format("{}: another flow rule is for EtherType {:#06x}", port, entry.filter.ether_type),
                "remove that rule first");
  }
  return {};
}

// The card decides by the SYN filter either before or after all five-tuple filters.
bool goes_first(const Entry& syn, const std::vector<Entry>& entries) {
  return std::any_of(entries.begin(), entries.end(),
                     [&](const Entry& entry) { return entry.is_tcp() && syn.precedes(entry); });
}

Result<void> check_syn(const std::vector<Entry>& entries, std::string_view port) {
  for (const Entry& syn : entries) {
    if (syn.filter.kind != Kind::syn || !goes_first(syn, entries)) continue;
    const auto is_before = [&](const Entry& entry) { return entry.is_tcp() && entry.precedes(syn); };
    if (std::none_of(entries.begin(), entries.end(), is_before)) continue;
    return fail(ErrorCode::busy,
                fmt::format("{}: by their priorities, the flow rule for SYN is between others for TCP", port),
                "give it a priority before or after all of them, or use SoftwareClassifier");
  }
  return {};
}

Result<std::uint32_t> free_slot(Kind kind, const std::vector<Entry>& entries, StampedMessages stamps,
                                const IgbCard& card) {
  const std::uint32_t filters = filters_of(card.traits->filters, kind);
  for (std::uint32_t slot = 0; slot < filters; ++slot) {
    const bool used = std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.filter.kind == kind && entry.placed->slot == slot;
    });
    if (!used && !(slot == stamp_filter(card, kind) && stamps_use(kind, stamps))) return slot;
  }
  return fail(ErrorCode::busy,
              fmt::format("{}: all {} {} filters of the card are in use", card.name, filters, name_of(kind)),
              "remove a rule, or use SoftwareClassifier");
}

/// The values of the registers.
struct FiveTuple {
  std::uint32_t filter = 0, source = 0, destination = 0, source_port = 0, priority_and_port = 0, more = 0;

  [[nodiscard]] bool operator==(const FiveTuple&) const noexcept = default;
};
struct Image {
  std::array<std::uint32_t, reg::ETQF::kCount> ether_types{};
  std::array<FiveTuple, reg::FTQF::kCount> tuples{};
  std::uint32_t syn = 0;
  bool syn_first = false;
};

constexpr reg::IMIREXT::Value kAnyFrame = reg::IMIREXT::SIZE_BP | reg::IMIREXT::CTRL_BP;

// [I-FTQF] DPDK, igb_ethdev.c, igb_inject_5tuple_filter_82576. Each rule gets a priority of its own.
FiveTuple five_tuple(const Entry& entry, const std::vector<Entry>& entries) {
  const CardFilter& filter = entry.filter;
  const auto before = std::count_if(entries.begin(), entries.end(), [&](const Entry& other) {
    return other.filter.kind == Kind::five_tuple && other.precedes(entry);
  });
  auto control = reg::FTQF::Value(reg::FTQF::PROTOCOL(filter.protocol) | reg::FTQF::QUEUE(filter.queue) |
                                  reg::FTQF::QUEUE_ENABLE | reg::FTQF::VF_BP);
  if (!filter.source) control = control.with(reg::FTQF::SOURCE_ADDRESS_BP);
  if (!filter.destination) control = control.with(reg::FTQF::DESTINATION_ADDRESS_BP);
  if (!filter.source_port) control = control.with(reg::FTQF::SOURCE_PORT_BP);
  auto port = reg::IMIR::Value(reg::IMIR::PRIORITY(kHighestPriority - static_cast<std::uint32_t>(before)) |
                               reg::IMIR::PORT(wire_order16(filter.destination_port.value_or(0))));
  if (!filter.destination_port) port = port.with(reg::IMIR::PORT_BP);
  return {.filter = control.raw(),
          .source = wire_order32(filter.source.value_or(0)),
          .destination = wire_order32(filter.destination.value_or(0)),
          .source_port = wire_order16(filter.source_port.value_or(0)),
          .priority_and_port = port.raw(),
          .more = kAnyFrame.raw()};
}

// A two-tuple filter ignores the source port, too.
reg::FTQF::Value stamp_tuple(const IgbCard& card) {
  const auto filter =
      reg::FTQF::Value(reg::FTQF::PROTOCOL(packet::ip_protocol::kUdp) | reg::FTQF::VF_BP | reg::FTQF::TIME_STAMP |
                       reg::FTQF::SOURCE_ADDRESS_BP | reg::FTQF::DESTINATION_ADDRESS_BP);
  return card.traits->filters.tuples_have_sources ? filter : filter.with(reg::FTQF::SOURCE_PORT_BP);
}

// Linux, igb_ptp.c, igb_ptp_set_timestamp_mode. Frames of these filters are given to no queue.
void add_stamps(Image& image, StampedMessages messages, const IgbCard& card) {
  if (stamps_use(Kind::ether_type, messages)) {
    image.ether_types[stamp_filter(card, Kind::ether_type)] =
        reg::ETQF::Value(reg::ETQF::ETYPE(kPtpType) | reg::ETQF::FILTER_ENABLE | reg::ETQF::TIME_STAMP).raw();
  }
  if (!stamps_use(Kind::five_tuple, messages)) return;
  image.tuples[stamp_filter(card, Kind::five_tuple)] = {
      .filter = stamp_tuple(card).raw(),
      .source_port = wire_order16(kEventPort),
      .priority_and_port = reg::IMIR::Value(reg::IMIR::PORT(wire_order16(kEventPort))).raw(),
      .more = kAnyFrame.raw()};
}

// The rules of settings in force fit.
Image image_of(const PlacedSettings& settings, const IgbCard& card) {
  Image image;
  std::vector<PlacedRule> rules = placed_rules(settings);
  const auto entries = entries_of(rules, card).value_or(std::vector<Entry>());
  for (const Entry& entry : entries) {
    const CardFilter& filter = entry.filter;
    const std::uint32_t slot = entry.placed->slot.value_or(0);
    switch (filter.kind) {
      case Kind::ether_type:
        // DPDK, igb_ethdev.c, igb_add_del_ethertype_filter.
        image.ether_types[slot] =
            reg::ETQF::Value(reg::ETQF::ETYPE(filter.ether_type) | reg::ETQF::QUEUE(filter.queue) |
                             reg::ETQF::FILTER_ENABLE | reg::ETQF::QUEUE_ENABLE)
                .raw();
        break;
      case Kind::five_tuple: image.tuples[slot] = five_tuple(entry, entries); break;
      case Kind::syn:
        // DPDK, igb_ethdev.c, eth_igb_syn_filter_set.
        image.syn = reg::SYNQF::Value(reg::SYNQF::QUEUE(filter.queue) | reg::SYNQF::QUEUE_ENABLE).raw();
        image.syn_first = goes_first(entry, entries);
        break;
    }
  }
  add_stamps(image, settings.stamps.receive, card);
  return image;
}

void write_tuple(const IgbCard& card, std::uint32_t slot, const FiveTuple& wanted, const FiveTuple& present) {
  if (wanted == present) return;
  FiveTuple with_old_priority = wanted;
  with_old_priority.priority_and_port = present.priority_and_port;
  const bool same_filter = with_old_priority == present;
  // No frame may match half of a new filter.
  if (!same_filter) card.regs.write<reg::FTQF>(slot, {});
  if (!same_filter && card.traits->filters.tuples_have_sources) {
    card.regs.write<reg::SAQF>(slot, reg::SAQF::Value(wanted.source));
    card.regs.write<reg::DAQF>(slot, reg::DAQF::Value(wanted.destination));
    card.regs.write<reg::SPQF>(slot, reg::SPQF::Value(wanted.source_port));
  }
  if (!same_filter) card.regs.write<reg::IMIREXT>(slot, reg::IMIREXT::Value(wanted.more));
  card.regs.write<reg::IMIR>(slot, reg::IMIR::Value(wanted.priority_and_port));
  if (!same_filter) card.regs.write<reg::FTQF>(slot, reg::FTQF::Value(wanted.filter));
}

}  // namespace

Result<void> place_rules(const IgbCard& card, PlacedSettings& settings) {
  const StampedMessages stamps = settings.stamps.receive;
  if (auto fits = check_stamp_filters(stamps, card); !fits) return fits;
  std::vector<PlacedRule> rules = placed_rules(settings);
  auto entries = entries_of(rules, card);
  if (!entries) return pass_on(std::move(entries));
  for (const Entry& entry : *entries) {
    if (auto fits = check_stamps(entry, stamps, card); !fits) return fits;
  }
  if (auto fits = check_ether_types(*entries, card.name); !fits) return fits;
  if (auto fits = check_syn(*entries, card.name); !fits) return fits;
  for (const Entry& entry : *entries) {
    if (entry.placed->slot) continue;
    const auto slot = free_slot(entry.filter.kind, *entries, stamps, card);
    if (!slot) return tl::unexpected<Error>(slot.error());
    entry.placed->slot = *slot;
  }
  keep_slots(settings, rules);
  return {};
}

// Only what changes is written, so that other rules stay in force meanwhile. A reset clears the filters.
void write_filters(const IgbCard& card, const PlacedSettings* from, const PlacedSettings& to) {
  const Image present = from == nullptr ? Image() : image_of(*from, card);
  const Image wanted = image_of(to, card);
  for (std::uint32_t i = 0; i < wanted.ether_types.size(); ++i) {
    if (wanted.ether_types[i] != present.ether_types[i]) {
      card.regs.write<reg::ETQF>(i, reg::ETQF::Value(wanted.ether_types[i]));
    }
  }
  for (std::uint32_t i = 0; i < wanted.tuples.size(); ++i) write_tuple(card, i, wanted.tuples[i], present.tuples[i]);
  if (wanted.syn_first != present.syn_first) {
    if (wanted.syn_first) modify<reg::RFCTL>(card, reg::RFCTL::SYNQFP);
    if (!wanted.syn_first) clear<reg::RFCTL>(card, reg::RFCTL::SYNQFP);
  }
  if (wanted.syn != present.syn) card.regs.write<reg::SYNQF>(reg::SYNQF::Value(wanted.syn));
}

}  // namespace pollux::drivers::igb
