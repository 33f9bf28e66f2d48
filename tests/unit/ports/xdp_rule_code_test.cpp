// SPDX-License-Identifier: BSD-3-Clause
// The kernel runs the code of flow rules on frames, and `matches` judges what it finds.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "fixture.hpp"
#include "pollux/net/flow/match.hpp"
#include "ports/xdp/bpf/calls.hpp"
#include "ports/xdp/bpf/rule_code.hpp"
#include "ports/xdp/bpf/rule_counters.hpp"
#include "ports/xdp/local_side.hpp"
#include "ports/xdp/rule_text.hpp"
#include "support/various_frames.hpp"

namespace pollux::ports {
namespace {

using testing::HasSubstr;
using xdp::RuleCounters;

long bpf(bpf_cmd command, bpf_attr& attributes) { return ::syscall(SYS_bpf, command, &attributes, sizeof attributes); }

PlacedRule placed(FlowRule rule, std::uint64_t id = 1) {
  PlacedRule made;
  made.id = FlowRuleId{id};
  made.rule = std::move(rule);
  made.slot = static_cast<std::uint32_t>(id - 1);
  return made;
}

class XdpRuleCode : public PortFixture {
 protected:
  void SetUp() override {
    interface_.emplace(must(xdp::Interface::find("lo")));
    xdp::LocalSide kernel("here", *interface_);
    auto map = kernel.make_counters();
    if (!map) GTEST_SKIP() << map.error().message();
    map_ = *std::move(map);
    counters_.emplace(must(RuleCounters::open("here", map_.get(), 1)));
  }

  void load(const std::vector<PlacedRule>& rules) {
    counters_->assign(rules);
    const auto code = xdp::rule_code(rules, {.counters = map_.get(), .queues = 1, .hints = {}});
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_XDP;
    attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
    attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
    attributes.license = reinterpret_cast<std::uintptr_t>("BSD");
    program_ = FileDescriptor(static_cast<int>(bpf(BPF_PROG_LOAD, attributes)));
    if (program_) return;
    std::string log(1U << 20, '\0');
    attributes.log_level = 1;
    attributes.log_buf = reinterpret_cast<std::uintptr_t>(log.data());
    attributes.log_size = static_cast<std::uint32_t>(log.size());
    program_ = FileDescriptor(static_cast<int>(bpf(BPF_PROG_LOAD, attributes)));
    ASSERT_TRUE(program_) << std::strerror(errno) << "\n" << log.c_str();
  }
  /// What the program returns for the frame: XDP_DROP and so on.
  [[nodiscard]] std::uint32_t verdict(const Bytes& frame) const {
    bpf_attr attributes{};
    attributes.test.prog_fd = static_cast<std::uint32_t>(program_.get());
    attributes.test.data_in = reinterpret_cast<std::uintptr_t>(frame.data());
    attributes.test.data_size_in = static_cast<std::uint32_t>(frame.size());
    EXPECT_EQ(bpf(BPF_PROG_TEST_RUN, attributes), 0) << std::strerror(errno);
    return attributes.test.retval;
  }
  [[nodiscard]] bool expected(const FlowRule& rule, const Bytes& frame) {
    const MbufPtr mbuf = make_mbuf(frame);
    return matches(rule, *mbuf);
  }

  std::optional<xdp::Interface> interface_;
  FileDescriptor map_;
  std::optional<RuleCounters> counters_;
  FileDescriptor program_;
};

/// Makes rules of what is in frames, so that many match.
class RuleMaker {
 public:
  FlowRule rule(const Bytes& frame) {
    FlowRule made{.action = to_drop()};
    const packet::Layout layout = packet::parse(frame, frame.size());
    std::size_t tag = 0;
    if (chance(2)) add(made, MatchProtocol::eth, frame, 0, 14);
    while (tag < layout.vlan_count && chance(2)) add(made, MatchProtocol::vlan, frame, 14 + 4 * tag++, 4);
    const bool ipv4 = layout.type.has(PacketType::ipv4) != chance(8);
    if (chance(2)) add(made, ipv4 ? MatchProtocol::ipv4 : MatchProtocol::ipv6, frame, layout.l3, ipv4 ? 20 : 40);
    const bool on_ip = !made.match.empty() && (made.match.back().protocol == MatchProtocol::ipv4 ||
                                               made.match.back().protocol == MatchProtocol::ipv6);
    if (chance(2) && (on_ip || made.match.empty())) transport(made, frame, layout);
    if (made.match.empty() || chance(8)) raw(made, frame);
    return made;
  }

 private:
  [[nodiscard]] std::size_t below(std::size_t count) { return random_() % count; }
  [[nodiscard]] bool chance(std::size_t one_in) { return below(one_in) == 0; }

  void transport(FlowRule& rule, const Bytes& frame, const packet::Layout& layout) {
    MatchProtocol protocol = MatchProtocol::udp;
    if (layout.type.has(PacketType::tcp) || chance(8)) protocol = MatchProtocol::tcp;
    if (layout.type.has(PacketType::sctp)) protocol = MatchProtocol::sctp;
    add(rule, protocol, frame, layout.l4,
        protocol == MatchProtocol::tcp   ? 20
        : protocol == MatchProtocol::udp ? 8
                                         : 12);
  }
  /// An item of the `bytes` bytes at `at`, of which one or none has another value or is a range.
  void add(FlowRule& rule, MatchProtocol protocol, const Bytes& frame, std::size_t at, std::size_t bytes) {
    MatchItem item{.protocol = protocol};
    if (!chance(3)) {
      item.spec.resize(bytes);
      for (std::size_t i = 0; i < bytes && at + i < frame.size(); ++i) item.spec[i] = frame[at + i];
      if (!chance(3)) {
        item.mask.resize(bytes);
        for (auto& byte : item.mask) byte = chance(2) ? 0 : static_cast<std::uint8_t>(random_());
      }
      if (chance(3)) range(item);
      if (chance(4)) item.spec[below(bytes)] ^= static_cast<std::uint8_t>(1U << below(8));
    }
    rule.match.push_back(std::move(item));
  }
  void range(MatchItem& item) {
    item.last.resize(item.spec.size());
    const std::size_t byte = below(item.spec.size());
    for (std::size_t i = byte & ~std::size_t{1}; i < item.spec.size() && i < byte + 2; ++i) item.last[i] = 0xF0;
  }
  void raw(FlowRule& rule, const Bytes& frame) {
    const std::size_t at = below(frame.size());
    const std::size_t bytes = 1 + below(std::min<std::size_t>(20, frame.size() - at));
    MatchItem item{.protocol = MatchProtocol::raw, .offset = static_cast<std::int32_t>(at)};
    item.spec.assign(frame.begin() + static_cast<std::ptrdiff_t>(at),
                     frame.begin() + static_cast<std::ptrdiff_t>(at + bytes));
    if (chance(4)) item.offset += 1;
    rule.match.push_back(std::move(item));
  }

  std::mt19937 random_{20260101};
};

/// The frame with a changed byte, or without its end.
Bytes changed(Bytes frame, std::mt19937& random) {
  if (random() % 3 == 0) frame.resize(14 + random() % (frame.size() - 13));
  if (random() % 2 == 0) frame[random() % frame.size()] ^= static_cast<std::uint8_t>(1U << random() % 8);
  return frame;
}

TEST_F(XdpRuleCode, MatchesAsSoftwareDoes) {
  const auto frames = test::various_frames();
  RuleMaker maker;
  std::mt19937 random{7};
  std::size_t tried = 0;
  std::size_t matched = 0;
  for (int round = 0; round < 500; ++round) {
    const FlowRule rule = maker.rule(frames[random() % frames.size()].bytes);
    if (!check_rule(rule) || !xdp::check_rule_code(rule, 1, "here")) continue;
    ASSERT_NO_FATAL_FAILURE(load({placed(rule)})) << round;
    for (std::size_t i = 0; i < frames.size(); i += 1 + random() % 3) {
      const Bytes frame = random() % 2 == 0 ? frames[i].bytes : changed(frames[i].bytes, random);
      const bool is_match = expected(rule, frame);
      ASSERT_EQ(verdict(frame), is_match ? XDP_DROP : XDP_PASS)
          << round << " " << frames[i].name << " " << fmt::format("{:02x}", fmt::join(frame, " "));
      ++tried;
      matched += is_match ? 1U : 0U;
    }
  }
  EXPECT_GT(tried, 4000U);
  EXPECT_GT(matched, tried / 20) << "otherwise little is compared";
}

TEST_F(XdpRuleCode, TakesTheFirstRuleByPriorityAndAge) {
  const auto udp = [](std::uint16_t port, FlowAction action, std::uint32_t priority) {
    return FlowRule{match::ipv4().udp().destination_port(port), std::move(action), priority};
  };
  ASSERT_NO_FATAL_FAILURE(load({placed(udp(53, to_drop(), 1), 1), placed(udp(53, to_kernel(), 0), 2),
                                placed(udp(80, to_drop(), 0), 3), placed(udp(80, to_kernel(), 0), 4),
                                placed({.match = match::udp(), .action = to_drop(), .priority = 9}, 5)}));
  const auto frame = [](std::uint16_t port) {
    Bytes bytes(60);
    bytes[12] = 8;
    bytes[14] = 0x45;
    bytes[17] = 46;
    bytes[23] = 17;
    bytes[36] = static_cast<std::uint8_t>(port >> 8);
    bytes[37] = static_cast<std::uint8_t>(port);
    bytes[39] = 26;
    return bytes;
  };
  EXPECT_EQ(verdict(frame(53)), XDP_PASS);
  EXPECT_EQ(verdict(frame(80)), XDP_DROP);
  EXPECT_EQ(verdict(frame(81)), XDP_DROP);
  EXPECT_EQ(verdict(Bytes(60)), XDP_PASS);
  const std::vector<std::uint64_t> counts{0, 1, 1, 0, 1};
  for (std::uint32_t slot = 0; slot < counts.size(); ++slot) EXPECT_EQ(counters_->value(slot), counts[slot]) << slot;
  EXPECT_EQ(counters_->value(xdp::kPassedSlot), 1U);
}

TEST_F(XdpRuleCode, HoldsAsManyRulesAsThereAreCounters) {
  std::vector<PlacedRule> rules;
  for (std::uint64_t id = 1; id <= xdp::kMaxRules; ++id) {
    auto item = match::ipv6().source({1, 2, 3}, 77).tcp().destination_port(static_cast<std::uint16_t>(id), 60000);
    rules.push_back(placed({.match = std::move(item), .action = to_drop()}, id));
  }
  ASSERT_NO_FATAL_FAILURE(load(rules));
  ASSERT_NO_FATAL_FAILURE(load({placed({.match = {}, .action = to_drop()}), rules[5]})) << "the second has no effect";
  EXPECT_EQ(verdict(Bytes(14)), XDP_DROP);
  ASSERT_NO_FATAL_FAILURE(load({}));
  EXPECT_EQ(verdict(Bytes(14)), XDP_PASS);
}

// The map is a file here: a port and the program share it in the same way.
TEST(XdpRules, AreCountedOnAllQueues) {
  constexpr std::uint16_t kQueues = 3;
  const FileDescriptor map(::memfd_create("counters", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(map.get(), RuleCounters::bytes_of(kQueues)), 0);
  auto opened = RuleCounters::open("here", map.get(), kQueues);
  ASSERT_TRUE(opened);
  RuleCounters& counters = *opened;
  const PlacedRule first = placed({.match = {}, .action = to_port()}, 1);
  const auto count = [&] {
    for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
      const std::uint64_t frames = 10U + queue;
      const auto at = static_cast<off_t>((queue * xdp::kCounterSlots + *first.slot) * sizeof frames);
      ASSERT_EQ(::pwrite(map.get(), &frames, sizeof frames, at), static_cast<ssize_t>(sizeof frames));
    }
    EXPECT_EQ(counters.value(*first.slot), 33U);
  };
  counters.assign({first});
  count();
  counters.assign({first});
  EXPECT_EQ(counters.value(*first.slot), 33U) << "the rule has been there before";
  PlacedRule second = first;
  second.id = FlowRuleId{2};
  counters.assign({second});
  EXPECT_EQ(counters.value(*first.slot), 0U);
  count();
  second.rule.action = to_drop();
  counters.assign({second});
  EXPECT_EQ(counters.value(*first.slot), 0U) << "another rule of that id";
  count();
  counters.assign({});
  counters.assign({second});
  EXPECT_EQ(counters.value(*first.slot), 0U) << "it was away";
}

TEST(XdpRules, NamesWhatTheProgramCannotDo) {
  const auto refused = [](const FlowRule& rule, std::uint16_t queues = 1) {
    const auto checked = xdp::check_rule_code(rule, queues, "here");
    return checked ? Error{} : checked.error();
  };
  EXPECT_THAT(refused({.match = {}, .action = to_port().with_mark(1)}).what, HasSubstr("mark"));
  EXPECT_THAT(refused({.match = {}, .action = to_queue(0)}, 2).what, HasSubstr("stays on the interface's queue"));
  EXPECT_EQ(refused({.match = {}, .action = to_queue(0)}, 1).code, Error{}.code);
  EXPECT_THAT(refused({.match = {}, .action = to_queues({.table = {0}})}).hint, HasSubstr("ethtool"));
  EXPECT_THAT(refused({.match = match::udp().raw({1}), .action = to_port()}).what, HasSubstr("relative"));
  EXPECT_THAT(refused({.match = match::raw({1}).search(), .action = to_port()}).what, HasSubstr("searched"));
  EXPECT_THAT(refused({.match = match::raw({1, 2}, 2047), .action = to_port()}).what, HasSubstr("2048"));
  FlowRule range{.match = match::ipv6().source({1}), .action = to_port()};
  range.match[0].last.resize(40);
  range.match[0].last[8] = 2;
  EXPECT_THAT(refused(range).what, HasSubstr("range of source"));
}

TEST(XdpRules, AreReadFromTheUri) {
  const auto rules = [](std::string_view text) {
    auto parsed = xdp::parse_rules(text, "here");
    EXPECT_TRUE(parsed) << text;
    return parsed ? *parsed : std::vector<FlowRule>{};
  };
  const auto one = [](std::vector<MatchItem> match) {
    return std::vector{FlowRule{.match = std::move(match), .action = to_port()}};
  };
  EXPECT_EQ(rules("all"), one({}));
  EXPECT_EQ(rules("none"), std::vector<FlowRule>{});
  EXPECT_EQ(rules("udp:53"), one(match::udp().destination_port(53)));
  EXPECT_EQ(rules("sctp"), one(match::sctp()));
  EXPECT_EQ(rules("type:0x88b5"), one(match::eth().type(0x88B5)));
  EXPECT_EQ(rules("vlan:7+ipv4"), one(match::vlan().id(7).ipv4()));
  EXPECT_EQ(rules("vlan+vlan"), one(match::vlan().vlan()));
  EXPECT_EQ(rules("from:10.0.0.0/8+to:10.6.0.2+tcp:8000-8099"),
            one(match::ipv4().source({10, 0, 0, 0}, 8).destination({10, 6, 0, 2}).tcp().destination_port(8000, 8099)));
  EXPECT_EQ(rules("to:fd00::1/64"),
            one(match::ipv6().destination({0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 64)));
  EXPECT_EQ(rules("udp:53;tcp:80").size(), 2U);
}

TEST(XdpRules, RefusesAWrongTextByName) {
  for (const char* text :
       {"",         "everything",     "udp:",      "udp:65536",       "udp:5-",         "udp:9-5",
        "udp:1-0",  "to:10.0.0.0/33", "to:10.0.0", "from:fd00::/129", "vlan:4096",      "type:0x1ffff",
        "udp+ipv4", "ipv4+ipv6",      "udp:53;",   "all+udp",         "vlan+vlan+vlan", "to:10.0.0.1+from:fd00::1",
        "type",     "ipv4:1"}) {
    const auto parsed = xdp::parse_rules(text, "here");
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(parsed.error().hint, HasSubstr("rule=udp:53"));
  }
}

}  // namespace
}  // namespace pollux::ports
