// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/bpf/rule_code.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <tuple>

#include "net/flow/match_fields.hpp"
#include "pollux/net/packet/ethernet.hpp"
#include "ports/xdp/bpf/code.hpp"
#include "ports/xdp/bpf/header_code.hpp"

namespace pollux::xdp {
namespace {

constexpr std::size_t kMaxRangeBytes = 8;
/// Where a raw item may end: the first buffer of a frame may have no more.
constexpr std::int64_t kMaxRawEnd = 2048;

bool has_item(const FlowRule& rule, MatchProtocol protocol) {
  return std::any_of(rule.match.begin(), rule.match.end(),
                     [=](const MatchItem& item) { return item.protocol == protocol; });
}

bool is_transport(MatchProtocol protocol) noexcept {
  return protocol == MatchProtocol::tcp || protocol == MatchProtocol::udp || protocol == MatchProtocol::sctp;
}

bool has_range(const MatchItem& item, const MatchField& field) noexcept {
  return !item.last.empty() &&
         std::any_of(&item.last[field.at], &item.last[field.at] + field.bytes, [](auto byte) { return byte != 0; });
}

std::uint64_t number(std::span<const std::uint8_t> bytes) noexcept {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

/// Four bytes, or fewer at the end, as they are in memory.
std::uint32_t word(std::span<const std::uint8_t> bytes) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), std::min<std::size_t>(bytes.size(), sizeof value));
  return value;
}

/// Whether the rule matches all frames, so that later ones have no effect.
bool matches_all(const FlowRule& rule) { return rule.match.empty(); }

/// The code of one rule: falls through if the frame matches, and goes to `next` otherwise.
class RuleWriter {
 public:
  RuleWriter(BpfCode& code, const FlowRule& rule, BpfCode::Label next)
      : code_(code), rule_(rule), next_(next), names_tags_(has_item(rule, MatchProtocol::vlan)) {}

  void write() {
    expect_headers();
    std::size_t tags = 0;
    for (std::size_t i = 0; i < rule_.match.size(); ++i) {
      const MatchItem& item = rule_.match[i];
      if (item.spec.empty()) {
        tags += item.protocol == MatchProtocol::vlan ? 1U : 0U;
        continue;
      }
      switch (item.protocol) {
        case MatchProtocol::eth:
          ethernet(item, i + 1 < rule_.match.size() && rule_.match[i + 1].protocol == MatchProtocol::vlan);
          break;
        case MatchProtocol::vlan: header(item, saved::kTags + static_cast<int>(tags++) * 4); break;
        case MatchProtocol::ipv4:
        case MatchProtocol::ipv6: header(item, saved::kNetwork); break;
        case MatchProtocol::tcp:
        case MatchProtocol::udp:
        case MatchProtocol::sctp: header(item, saved::kTransport); break;
        case MatchProtocol::raw: raw(item); break;
      }
    }
  }

 private:
  void expect_headers() {
    std::uint32_t wanted = 0;
    std::uint32_t unwanted = 0;
    std::uint32_t tag = found::kTag;
    for (const MatchItem& item : rule_.match) {
      switch (item.protocol) {
        case MatchProtocol::eth: wanted |= found::kEthernet; break;
        case MatchProtocol::vlan:
          wanted |= tag;
          tag = found::kSecondTag;
          break;
        case MatchProtocol::ipv4: wanted |= found::kIpv4; break;
        case MatchProtocol::ipv6: wanted |= found::kIpv6; break;
        case MatchProtocol::tcp: wanted |= found::kTcp; break;
        case MatchProtocol::udp: wanted |= found::kUdp; break;
        case MatchProtocol::sctp: wanted |= found::kSctp; break;
        case MatchProtocol::raw: break;
      }
    }
    if ((wanted & ~(found::kEthernet | found::kTag | found::kSecondTag)) != 0 && !names_tags_) {
      unwanted = found::kOtherTags;
    }
    if (wanted == 0) return;
    code_.copy(BPF_REG_1, reg::kFound);
    code_.change32(BPF_AND, BPF_REG_1, wanted | unwanted);
    code_.jump_if(BPF_JNE, BPF_REG_1, wanted, next_);
  }

  // The type has a place of its own: it is the one after the tags, unless an item names the tag.
  void ethernet(const MatchItem& item, bool tag_follows) {
    constexpr std::size_t kType = 12;
    MatchItem addresses = item;
    addresses.mask = mask_of(item);
    std::fill_n(&addresses.mask[kType], 2, std::uint8_t{0});
    header(addresses, saved::kEthernet);
    MatchItem type = item;
    type.mask = mask_of(item);
    std::fill_n(type.mask.begin(), kType, std::uint8_t{0});
    const int at = tag_follows ? saved::kEthernet + int{kType} : names_tags_ ? saved::kType : saved::kCardType;
    header(type, at - int{kType});
  }
  [[nodiscard]] static std::vector<std::uint8_t> mask_of(const MatchItem& item) {
    const auto mask = effective_mask(item);
    return {mask.begin(), mask.end()};
  }

  void header(const MatchItem& item, int at) {
    std::vector<std::uint8_t> mask = mask_of(item);
    for (const MatchField& field : match_header(item.protocol).fields) {
      if (!has_range(item, field)) continue;
      range(item, field, mask, at);
      std::fill_n(&mask[field.at], field.bytes, std::uint8_t{0});
    }
    compare(item.spec, mask, BPF_REG_10, at);
  }

  void compare(std::span<const std::uint8_t> spec, std::span<const std::uint8_t> mask, unsigned base, int at) {
    for (std::size_t i = 0; i < spec.size(); i += 4) {
      const std::size_t bytes = std::min<std::size_t>(4, spec.size() - i);
      const std::uint32_t bits = word(mask.subspan(i, bytes));
      if (bits == 0) continue;
      if (bytes == 4) {
        compare_word(BPF_W, word(spec.subspan(i, bytes)), bits, base, at + static_cast<int>(i));
        continue;
      }
      for (std::size_t byte = i; byte < i + bytes; ++byte) {
        if (mask[byte] != 0) compare_word(BPF_B, spec[byte], mask[byte], base, at + static_cast<int>(byte));
      }
    }
  }
  void compare_word(unsigned size, std::uint32_t spec, std::uint32_t mask, unsigned base, int at) {
    code_.load(size, BPF_REG_1, base, at);
    if (mask != (size == BPF_W ? ~std::uint32_t{0} : 0xFF)) code_.change32(BPF_AND, BPF_REG_1, mask);
    code_.jump_if(BPF_JNE, BPF_REG_1, spec & mask, next_);
  }

  void range(const MatchItem& item, const MatchField& field, std::span<const std::uint8_t> mask, int at) {
    const auto part = [&](std::span<const std::uint8_t> all) { return number(all.subspan(field.at, field.bytes)); };
    const std::uint64_t bits = part(mask);
    code_.move(BPF_REG_1, 0);
    for (std::size_t i = 0; i < field.bytes; ++i) {
      code_.change(BPF_LSH, BPF_REG_1, 8);
      code_.load(BPF_B, BPF_REG_2, BPF_REG_10, at + static_cast<int>(field.at + i));
      code_.change_by(BPF_OR, BPF_REG_1, BPF_REG_2);
    }
    code_.load_constant(BPF_REG_2, bits);
    code_.change_by(BPF_AND, BPF_REG_1, BPF_REG_2);
    code_.load_constant(BPF_REG_2, part(item.spec) & bits);
    code_.jump_if_register(BPF_JLT, BPF_REG_1, BPF_REG_2, next_);
    code_.load_constant(BPF_REG_2, part(item.last) & bits);
    code_.jump_if_register(BPF_JGT, BPF_REG_1, BPF_REG_2, next_);
  }

  void raw(const MatchItem& item) {
    const std::vector<std::uint8_t> all(item.spec.size(), 0xFF);
    const auto end = static_cast<std::uint32_t>(item.offset) + static_cast<std::uint32_t>(item.spec.size());
    code_.copy(BPF_REG_1, reg::kData);
    code_.change(BPF_ADD, BPF_REG_1, end);
    code_.jump_if_register(BPF_JGT, BPF_REG_1, reg::kDataEnd, next_);
    compare(item.spec, item.mask.empty() ? all : item.mask, reg::kData, item.offset);
  }

  BpfCode& code_;
  const FlowRule& rule_;
  BpfCode::Label next_;
  bool names_tags_;
};

/// What happens to a frame. The rule's slot is in reg::kFound from here on.
class ActionWriter {
 public:
  ActionWriter(BpfCode& code, const RuleMaps& maps) : code_(code), maps_(maps) {}

  void write(const PlacedRule& rule) {
    code_.move(reg::kFound, rule.slot.value_or(kPassedSlot));
    switch (rule.rule.action.kind) {
      case FlowAction::Kind::drop:
        code_.move(BPF_REG_0, XDP_DROP);
        code_.jump(count_);
        break;
      case FlowAction::Kind::kernel:
        code_.move(BPF_REG_0, XDP_PASS);
        code_.jump(count_);
        break;
      default:
        code_.jump(redirect_);
        redirects_ = true;
        break;
    }
  }
  /// `is_reached`: whether there are frames that no rule matches.
  void finish(bool is_reached) {
    if (is_reached) {
      pass();
      if (redirects_) code_.jump(count_);
    }
    if (redirects_) {
      code_.place(redirect_);
      if (maps_.hints.any()) hints();
      redirect();
      code_.place(pass_);
      pass();
    }
    count();
  }

 private:
  void pass() {
    code_.move(BPF_REG_0, XDP_PASS);
    code_.move(reg::kFound, kPassedSlot);
  }
  // BPF_FUNC_xdp_adjust_meta makes the frame's addresses invalid, so reg::kData is free for the flags.
  void hints() {
    constexpr int kRecord = saved::kEnd - 8;
    constexpr int kOther = kRecord - 8;  // the kind of the hash, then the EtherType of the tag
    constexpr auto kBytes = static_cast<std::uint32_t>(sizeof(HintRecord));
    code_.copy(BPF_REG_1, reg::kContext);
    code_.move(BPF_REG_2, -kBytes);
    code_.call(BPF_FUNC_xdp_adjust_meta);
    code_.jump_if(BPF_JNE, BPF_REG_0, 0, pass_);
    code_.store_zero(BPF_REG_10, kRecord);
    code_.move(reg::kData, 0);
    if (maps_.hints.hash) {
      const auto none = code_.label();
      ask(*maps_.hints.hash, kRecord + int{offsetof(HintRecord, hash)}, kOther, none);
      code_.load(BPF_W, BPF_REG_1, BPF_REG_10, kOther);
      code_.jump_if(BPF_JEQ, BPF_REG_1, 0, none);  // a hash of no header that the card knows
      code_.change32(BPF_OR, reg::kData, Hint::hash);
      code_.place(none);
    }
    if (maps_.hints.vlan) {
      const auto none = code_.label();
      ask(*maps_.hints.vlan, kOther, kRecord + int{offsetof(HintRecord, vlan)}, none);
      code_.load(BPF_H, BPF_REG_1, BPF_REG_10, kOther);
      code_.jump_if(BPF_JNE, BPF_REG_1, htons(packet::ether_type::kVlan), none);
      code_.change32(BPF_OR, reg::kData, Hint::vlan);
      code_.place(none);
    }
    code_.store(BPF_H, BPF_REG_10, kRecord + int{offsetof(HintRecord, hints)}, reg::kData);
    code_.load(BPF_DW, BPF_REG_3, BPF_REG_10, kRecord);
    code_.load(BPF_W, BPF_REG_1, reg::kContext, offsetof(xdp_md, data_meta));
    code_.load(BPF_W, BPF_REG_2, reg::kContext, offsetof(xdp_md, data));
    code_.copy(BPF_REG_4, BPF_REG_1);
    code_.change(BPF_ADD, BPF_REG_4, kBytes);
    code_.jump_if_register(BPF_JGT, BPF_REG_4, BPF_REG_2, pass_);  // for the verifier
    code_.store(BPF_DW, BPF_REG_1, 0, BPF_REG_3);
  }
  // Linux, include/net/xdp.h, XDP_METADATA_KFUNC_xxx: the context, and the addresses of two values.
  void ask(std::uint32_t function, int first, int second, BpfCode::Label none) {
    code_.store_zero(BPF_REG_10, saved::kEnd - 16);
    code_.copy(BPF_REG_1, reg::kContext);
    code_.copy(BPF_REG_2, BPF_REG_10);
    code_.change(BPF_ADD, BPF_REG_2, static_cast<std::uint32_t>(first));
    code_.copy(BPF_REG_3, BPF_REG_10);
    code_.change(BPF_ADD, BPF_REG_3, static_cast<std::uint32_t>(second));
    code_.call_kernel(function);
    code_.jump_if(BPF_JNE, BPF_REG_0, 0, none);
  }
  void redirect() {
    code_.load_map(BPF_REG_1, maps_.sockets);
    code_.load(BPF_W, BPF_REG_2, reg::kContext, offsetof(xdp_md, rx_queue_index));
    code_.move(BPF_REG_3, XDP_PASS);  // if the queue has no socket
    code_.call(BPF_FUNC_redirect_map);
    code_.jump_if(BPF_JEQ, BPF_REG_0, XDP_REDIRECT, count_);
  }
  // A queue's counters are beside each other, so that queues do not share cache lines.
  void count() {
    const auto end = code_.label();
    code_.place(count_);
    code_.load(BPF_W, BPF_REG_2, reg::kContext, offsetof(xdp_md, rx_queue_index));
    code_.jump_if(BPF_JGE, BPF_REG_2, maps_.queues, end);
    static_assert(kCounterSlots * sizeof(std::uint64_t) == 1U << 9);
    code_.change(BPF_LSH, BPF_REG_2, 9);
    code_.change(BPF_LSH, reg::kFound, 3);
    code_.load_values(BPF_REG_1, maps_.counters);
    code_.change_by(BPF_ADD, BPF_REG_1, BPF_REG_2);
    code_.change_by(BPF_ADD, BPF_REG_1, reg::kFound);
    code_.move(BPF_REG_2, 1);
    code_.atomic_add(BPF_REG_1, BPF_REG_2);
    code_.place(end);
    code_.exit();
  }

  BpfCode& code_;
  const RuleMaps& maps_;
  bool redirects_ = false;
  BpfCode::Label count_ = code_.label();
  BpfCode::Label pass_ = code_.label();
  BpfCode::Label redirect_ = code_.label();
};

}  // namespace

Result<void> check_rule_code(const FlowRule& rule, std::uint16_t queues, std::string_view name) {
  const auto refuse = [&](const std::string& what, const char* hint) {
    return fail(ErrorCode::not_supported, fmt::format("{}: flow rule: {}", name, what), hint);
  };
  const FlowAction& action = rule.action;
  if (action.mark) return refuse("received frames have no mark", "leave the mark out, or use SoftwareClassifier");
  if (action.kind == FlowAction::Kind::rss || (action.kind == FlowAction::Kind::queue && queues != 1)) {
    return refuse("a frame stays on the interface's queue on which it arrives",
                  "use to_port, and let the card choose queues: ethtool -N, or ethtool -X");
  }
  for (std::size_t i = 0; i < rule.match.size(); ++i) {
    const MatchItem& item = rule.match[i];
    if (item.protocol == MatchProtocol::raw) {
      const std::int64_t end = std::int64_t{item.offset} + static_cast<std::int64_t>(item.spec.size());
      if (!item.relative && !item.search && end <= kMaxRawEnd) continue;
      return refuse(fmt::format("match[{}] (raw) is searched for, is relative, or ends behind {} bytes", i, kMaxRawEnd),
                    "give it an offset from the start of the frame, or use SoftwareClassifier");
    }
    for (const MatchField& field : match_header(item.protocol).fields) {
      if (field.bytes <= kMaxRangeBytes || !has_range(item, field)) continue;
      return refuse(fmt::format("match[{}] ({}) has a range of {}", i, match_header(item.protocol).name, field.name),
                    "use prefixes, or SoftwareClassifier");
    }
  }
  return {};
}

std::vector<bpf_insn> rule_code(std::vector<PlacedRule> rules, const RuleMaps& maps) {
  std::ranges::sort(rules, {}, [](const PlacedRule& rule) { return std::tuple(rule.rule.priority, rule.id); });
  const auto all = std::ranges::find_if(rules, [](const PlacedRule& rule) { return matches_all(rule.rule); });
  if (all != rules.end()) rules.erase(all + 1, rules.end());
  HeadersWanted wanted;
  for (const PlacedRule& rule : rules) {
    for (const MatchItem& item : rule.rule.match) {
      wanted.ethernet = wanted.ethernet || item.protocol != MatchProtocol::raw;
      const bool any_ip = is_transport(item.protocol);
      wanted.ipv4 = wanted.ipv4 || any_ip || item.protocol == MatchProtocol::ipv4;
      wanted.ipv6 = wanted.ipv6 || any_ip || item.protocol == MatchProtocol::ipv6;
    }
  }
  BpfCode code;
  ActionWriter actions(code, maps);
  write_headers(code, wanted);
  for (const PlacedRule& rule : rules) {
    const auto next = code.label();
    RuleWriter(code, rule.rule, next).write();
    actions.write(rule);
    code.place(next);
  }
  // Behind a rule that matches all, no frame arrives here, and the verifier wants no such code.
  actions.finish(all == rules.end());
  return std::move(code).finish();
}

}  // namespace pollux::xdp
