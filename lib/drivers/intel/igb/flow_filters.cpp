// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/flow_filters.hpp"

#include <algorithm>
#include <utility>

#include "drivers/intel/common/ring_setup.hpp"
#include "net/flow/check_queues.hpp"
#include "pollux/net/packet/ip.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kHighestPriority = 7;

/// Numbers in these registers have the byte order of the wire (Linux, igb_ptp.c, igb_ptp_set_timestamp_mode).
std::uint32_t wire_order32(std::uint32_t number) noexcept {
  return number >> 24 | (number >> 8 & 0xFF00) | (number << 8 & 0xFF0000) | number << 24;
}
std::uint32_t wire_order16(std::uint16_t number) noexcept { return wire_order32(number) >> 16; }

std::uint32_t filters_of(CardFilter::Kind kind) noexcept {
  return kind == CardFilter::Kind::ether_type   ? reg::ETQF::kCount
         : kind == CardFilter::Kind::five_tuple ? reg::FTQF::kCount
                                                : 1U;
}
const char* name_of(CardFilter::Kind kind) noexcept {
  return kind == CardFilter::Kind::ether_type   ? "EtherType"
         : kind == CardFilter::Kind::five_tuple ? "five-tuple"
                                                : "SYN";
}

}  // namespace

bool FlowFilters::Entry::precedes(const Entry& other) const noexcept {
  return std::pair(installed.rule.priority, installed.id) <
         std::pair(other.installed.rule.priority, other.installed.id);
}

Result<void> FlowFilters::check(std::uint32_t queues) const {
  for (const Entry& entry : entries_) {
    if (auto fits = check_queues(entry.installed.rule.action, queues, card_.name); !fits) return fits;
  }
  return {};
}

Result<std::uint32_t> FlowFilters::free_slot(CardFilter::Kind kind) const {
  for (std::uint32_t slot = 0; slot < filters_of(kind); ++slot) {
    const bool used = std::any_of(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.filter.kind == kind && entry.slot == slot; });
    if (!used && !is_reserved(kind, slot)) return slot;
  }
  return fail(ErrorCode::busy,
              fmt::format("{}: all {} {} filters of the card are in use", card_.name, filters_of(kind), name_of(kind)),
              "remove a rule, or use SoftwareClassifier");
}

bool uses_ethernet(StampedMessages messages) noexcept {
  return messages == StampedMessages::ptp2_ethernet || messages == StampedMessages::ptp2;
}
bool uses_udp(StampedMessages messages) noexcept {
  return messages != StampedMessages::none && messages != StampedMessages::ptp2_ethernet;
}

bool FlowFilters::is_reserved(CardFilter::Kind kind, std::uint32_t slot) const noexcept {
  if (slot != kStampFilter) return false;
  return kind == CardFilter::Kind::ether_type
             ? uses_ethernet(settings_.stamps.receive)
             : kind == CardFilter::Kind::five_tuple && uses_udp(settings_.stamps.receive);
}

Result<void> FlowFilters::check_stamps(StampedMessages messages) const {
  for (const Entry& entry : entries_) {
    const CardFilter& filter = entry.filter;
    const bool is_type = filter.kind == CardFilter::Kind::ether_type;
    const bool wanted =
        is_type ? uses_ethernet(messages) : uses_udp(messages) && filter.kind == CardFilter::Kind::five_tuple;
    if (!wanted || (entry.slot != kStampFilter && !(is_type && filter.ether_type == kPtpType))) continue;
    return fail(ErrorCode::busy,
                fmt::format("{}: the {} filter for time stamps is used by flow rule {}", card_.name,
                            name_of(filter.kind), static_cast<std::uint64_t>(entry.installed.id)),
                "remove that rule first");
  }
  return {};
}

// The card decides by the SYN filter either before or after all five-tuple filters.
bool FlowFilters::goes_first(const Entry& syn) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.filter.kind == CardFilter::Kind::five_tuple && entry.filter.protocol == packet::ip_protocol::kTcp &&
           syn.precedes(entry);
  });
}

Result<void> FlowFilters::check_conflicts(const Entry& added) const {
  if (added.filter.kind == CardFilter::Kind::ether_type && uses_ethernet(settings_.stamps.receive) &&
      added.filter.ether_type == kPtpType) {
    return fail(ErrorCode::busy,
                fmt::format("{}: EtherType {:#06x} selects frames for time stamps", card_.name, kPtpType),
                "turn these stamps off first (FrameStamps), or use SoftwareClassifier");
  }
  bool syn_before = false, syn_after = false;
  const auto compare = [&](const Entry& syn, const Entry& tuple) {
    if (syn.filter.kind != CardFilter::Kind::syn || tuple.filter.kind != CardFilter::Kind::five_tuple) return;
    if (tuple.filter.protocol != packet::ip_protocol::kTcp) return;
    (syn.precedes(tuple) ? syn_before : syn_after) = true;
  };
  for (const Entry& entry : entries_) {
    if (added.filter.kind == CardFilter::Kind::ether_type && entry.filter.kind == added.filter.kind &&
        entry.filter.ether_type == added.filter.ether_type) {
      return fail(ErrorCode::busy,
                  fmt::format("{}: another flow rule is for EtherType {:#06x}", card_.name, added.filter.ether_type),
                  "remove that rule first");
    }
    compare(entry, added);
    compare(added, entry);
    for (const Entry& other : entries_) compare(entry, other);
  }
  if (!syn_before || !syn_after) return {};
  return fail(ErrorCode::busy,
              fmt::format("{}: by their priorities, the flow rule for SYN is between others for TCP", card_.name),
              "give it a priority before or after all of them, or use SoftwareClassifier");
}

Result<FlowFilters::Entry> FlowFilters::make_entry(const FlowRule& rule) const {
  if (auto is_open = expect_open(card_, "flow rules cannot be added"); !is_open) return pass_on(std::move(is_open));
  if (auto may = may_add_(); !may) return pass_on(std::move(may));
  if (auto checked = check_rule(rule); !checked) return pass_on(std::move(checked));
  const auto configured = settings_.queues.rx_queues();
  const std::uint32_t queues = configured == 0 ? card_.traits->queues : configured;
  if (auto checked = check_queues(rule.action, queues, card_.name); !checked) return pass_on(std::move(checked));
  const auto filter = fit_filter(rule, card_.name);
  if (!filter) return tl::unexpected<Error>(filter.error());
  Entry entry{.installed = {FlowRuleId{next_id_}, rule}, .filter = *filter};
  if (auto checked = check_conflicts(entry); !checked) return pass_on(std::move(checked));
  const auto slot = free_slot(filter->kind);
  if (!slot) return tl::unexpected<Error>(slot.error());
  entry.slot = *slot;
  return entry;
}

Result<FlowRuleId> FlowFilters::add(const FlowRule& rule) {
  auto entry = make_entry(rule);
  if (!entry) return pass_on(std::move(entry));
  const FlowRuleId id{next_id_++};
  entries_.push_back(*std::move(entry));
  if (!running_) return id;
  write();
  if (auto flushed = flush_registers(card_); !flushed) return pass_on(std::move(flushed));
  return id;
}

Result<void> FlowFilters::remove(FlowRuleId id) {
  if (std::erase_if(entries_, [id](const Entry& entry) { return entry.installed.id == id; }) == 0) {
    return fail(ErrorCode::not_found,
                fmt::format("{}: there is no flow rule {}", card_.name, static_cast<std::uint64_t>(id)),
                "use an id that add returned, once");
  }
  if (!running_) return {};
  write();
  return flush_registers(card_);
}

std::vector<InstalledRule> FlowFilters::rules() const {
  std::vector<InstalledRule> rules;
  for (const Entry& entry : entries_) rules.push_back(entry.installed);
  return rules;
}

// A reset clears the filters.
void FlowFilters::start() {
  written_ = {};
  write();
  running_ = true;
}

// [I-FTQF] DPDK, igb_ethdev.c, igb_inject_5tuple_filter_82576. Each rule gets a priority of its own.
FlowFilters::FiveTuple FlowFilters::five_tuple(const Entry& entry) const {
  const CardFilter& filter = entry.filter;
  const auto before = std::count_if(entries_.begin(), entries_.end(), [&](const Entry& other) {
    return other.filter.kind == CardFilter::Kind::five_tuple && other.precedes(entry);
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
          .more = reg::IMIREXT::Value(reg::IMIREXT::SIZE_BP | reg::IMIREXT::CTRL_BP).raw()};
}

FlowFilters::Image FlowFilters::image() const {
  Image image;
  for (const Entry& entry : entries_) {
    const CardFilter& filter = entry.filter;
    switch (filter.kind) {
      case CardFilter::Kind::ether_type:
        // DPDK, igb_ethdev.c, igb_add_del_ethertype_filter.
        image.ether_types[entry.slot] =
            reg::ETQF::Value(reg::ETQF::ETYPE(filter.ether_type) | reg::ETQF::QUEUE(filter.queue) |
                             reg::ETQF::FILTER_ENABLE | reg::ETQF::QUEUE_ENABLE)
                .raw();
        break;
      case CardFilter::Kind::five_tuple: image.tuples[entry.slot] = five_tuple(entry); break;
      case CardFilter::Kind::syn:
        // DPDK, igb_ethdev.c, eth_igb_syn_filter_set.
        image.syn = reg::SYNQF::Value(reg::SYNQF::QUEUE(filter.queue) | reg::SYNQF::QUEUE_ENABLE).raw();
        image.syn_first = goes_first(entry);
        break;
    }
  }
  return image;
}

// Only what changes is written, so that other rules stay in force meanwhile.
void FlowFilters::write() {
  const Image wanted = image();
  for (std::uint32_t i = 0; i < wanted.ether_types.size(); ++i) {
    if (wanted.ether_types[i] != written_.ether_types[i]) {
      card_.regs.write<reg::ETQF>(i, reg::ETQF::Value(wanted.ether_types[i]));
    }
  }
  for (std::uint32_t i = 0; i < wanted.tuples.size(); ++i) write_tuple(i, wanted.tuples[i], written_.tuples[i]);
  if (wanted.syn_first != written_.syn_first) {
    if (wanted.syn_first) modify<reg::RFCTL>(card_, reg::RFCTL::SYNQFP);
    if (!wanted.syn_first) clear<reg::RFCTL>(card_, reg::RFCTL::SYNQFP);
  }
  if (wanted.syn != written_.syn) card_.regs.write<reg::SYNQF>(reg::SYNQF::Value(wanted.syn));
  written_ = wanted;
}

void FlowFilters::write_tuple(std::uint32_t slot, const FiveTuple& wanted, const FiveTuple& present) {
  if (wanted == present) return;
  FiveTuple with_old_priority = wanted;
  with_old_priority.priority_and_port = present.priority_and_port;
  const bool same_filter = with_old_priority == present;
  // No frame may match half of a new filter.
  if (!same_filter) card_.regs.write<reg::FTQF>(slot, {});
  if (!same_filter) {
    card_.regs.write<reg::SAQF>(slot, reg::SAQF::Value(wanted.source));
    card_.regs.write<reg::DAQF>(slot, reg::DAQF::Value(wanted.destination));
    card_.regs.write<reg::SPQF>(slot, reg::SPQF::Value(wanted.source_port));
    card_.regs.write<reg::IMIREXT>(slot, reg::IMIREXT::Value(wanted.more));
  }
  card_.regs.write<reg::IMIR>(slot, reg::IMIR::Value(wanted.priority_and_port));
  if (!same_filter) card_.regs.write<reg::FTQF>(slot, reg::FTQF::Value(wanted.filter));
}

}  // namespace pollux::drivers::igb
