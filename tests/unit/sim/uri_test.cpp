// SPDX-License-Identifier: BSD-3-Clause

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "backends/sim/open_sim.hpp"
#include "models/intel/igb/card.hpp"

namespace pollux::sim {
namespace {

using namespace std::chrono_literals;

TEST(SimUri, ReadsEveryOption) {
  const auto uri = Uri::parse(
      "6?rate=2.5G,delay=10us,loss=0.01,corrupt=1%,mangle=0.5,duplicate=1,reorder=1e-3,seed=7,pcap-in=a b.pcap,"
      "pcap-out=/x/y,tap=tap0,socket-local=l,socket-remote=r,capture=c,thread");
  ASSERT_TRUE(uri) << uri.error().message();
  EXPECT_EQ(uri->number, 6u);
  EXPECT_TRUE(uri->has_options);
  const WireOptions expected{.rate = 2'500'000'000,
                             .delay = 10us,
                             .loss = 0.01,
                             .corrupt = 0.01,
                             .mangle = 0.5,
                             .duplicate = 1,
                             .reorder = 0.001,
                             .seed = 7};
  EXPECT_EQ(uri->setup.wire, expected);
  EXPECT_EQ(uri->setup.link_partner, (LinkPartnerOptions{"a b.pcap", "/x/y", "tap0", "l", "r"}));
  EXPECT_EQ(uri->setup.capture, "c");
  EXPECT_TRUE(uri->setup.threaded);
}

TEST(SimUri, AcceptsANumberAlone) {
  const auto uri = Uri::parse("63");
  ASSERT_TRUE(uri);
  EXPECT_FALSE(uri->has_options);
  EXPECT_EQ(uri->setup, sim::Setup{});
}

TEST(SimUri, ReadsAVirtualFunction) {
  const auto uri = Uri::parse("2.vf7");
  ASSERT_TRUE(uri) << uri.error().message();
  EXPECT_EQ(uri->number, 2u);
  EXPECT_EQ(uri->function, 7u);
  EXPECT_FALSE(Uri::parse("2")->function);
  for (const char* wrong : {"2.vf", "2.vf8", "2.vfx", ".vf0", "2.0", "2.vf0?thread", "2.vf-1"}) {
    const auto parsed = Uri::parse(wrong);
    ASSERT_FALSE(parsed) << wrong;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument) << wrong;
  }
}

TEST(SimUri, ReadsUnits) {
  const auto delay = [](std::string_view text) { return Uri::parse(text)->setup.wire.delay; };
  EXPECT_EQ(delay("0?delay=3ns"), 3ns);
  EXPECT_EQ(delay("0?delay=1.5ms"), 1500us);
  EXPECT_EQ(delay("0?delay=10s"), 10s);
  const auto rate = [](std::string_view text) { return Uri::parse(text)->setup.wire.rate; };
  EXPECT_EQ(rate("0?rate=64k"), 64'000u);
  EXPECT_EQ(rate("0?rate=100M"), 100'000'000u);
  EXPECT_EQ(rate("0?rate=5000"), 5000u);
  EXPECT_EQ(rate("0?rate=0"), 0u) << "no limit";
}

TEST(SimUri, TakesWordsForOnAndOff) {
  for (const char* const on : {"thread", "thread=1", "thread=on", "thread=yes", "thread=true"})
    EXPECT_TRUE(Uri::parse(std::string("0?") + on)->setup.threaded) << on;
  for (const char* const off : {"seed=1", "thread=0", "thread=off", "thread=no", "thread=false"})
    EXPECT_FALSE(Uri::parse(std::string("0?") + off)->setup.threaded) << off;
}

TEST(SimUri, NamesTheInvalidPart) {
  for (const auto& [text, part] : {std::pair{"0?los=1", "los"},
                                   {"0?", "unknown option ''"},
                                   {"0?loss", "loss"},
                                   {"0?loss=", "'loss=': the value is empty"},
                                   {"0?loss=x", "loss=x"},
                                   {"0?loss=2", "loss is 2"},
                                   {"0?loss=-0.1", "loss=-0.1"},
                                   {"0?loss=nan", "loss=nan"},
                                   {"0?loss=inf", "loss=inf"},
                                   {"0?delay=5", "delay=5"},
                                   {"0?delay=11s", "delay=11s"},
                                   {"0?delay=1e300s", "delay"},
                                   {"0?rate=10", "rate=10"},
                                   {"0?rate=1T", "rate=1T"},
                                   {"0?seed=-1", "seed=-1"},
                                   {"0?seed=1.5", "seed=1.5"},
                                   {"0?tap=", "'tap=': the value is empty"},
                                   {"0?thread=2", "'thread=2' is neither on nor off"},
                                   {"0?thread,thread", "'thread' is given twice"},
                                   {"0?loss=0.5,loss=0.1", "'loss' is given twice"},
                                   {"0?loss=0.1,", "unknown option ''"},
                                   {"0?loss=0.1,,seed=1", "unknown option ''"},
                                   {"?loss=0.1", "no such in-process card"},
                                   {"64?seed=1", "no such in-process card"}}) {
    const auto uri = Uri::parse(text);
    ASSERT_FALSE(uri) << text;
    EXPECT_EQ(uri.error().code, ErrorCode::invalid_argument) << text;
    EXPECT_THAT(uri.error().what, testing::HasSubstr(part)) << text;
    EXPECT_FALSE(uri.error().hint.empty()) << text;
  }
}

class SimOpening : public testing::Test {
 protected:
  [[nodiscard]] Result<std::unique_ptr<Device>> open(std::string_view uri) {
    return open_sim(context, uri, models::igb::make_card);
  }
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
};

TEST_F(SimOpening, UsesTheOptionsOfTheFirstCard) {
  const auto first = open("0?loss=0.5,seed=3");
  ASSERT_TRUE(first) << first.error().message();
  EXPECT_EQ((*first)->name(), "sim:0");
  EXPECT_TRUE(open("1")) << "no options";
  EXPECT_TRUE(open("1?seed=3,loss=0.5")) << "the same options";
  const auto other = open("1?loss=0.4,seed=3");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(other.error().what, testing::HasSubstr("sim:1"));
}

TEST_F(SimOpening, RejectsOptionsAfterAFirstCardWithoutOptions) {
  const auto first = open("0");
  ASSERT_TRUE(first);
  EXPECT_EQ(open("1?loss=0.5").error().code, ErrorCode::invalid_argument);
}

TEST_F(SimOpening, RecreatesAnUnusedWire) {
  ASSERT_TRUE(open("0?loss=0.5"));
  EXPECT_EQ(context.service<WireRegistry>().find(0)->options().loss, 0.5);
  const auto again = open("1?loss=0.25");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(context.service<WireRegistry>().find(0)->options().loss, 0.25);
}

TEST_F(SimOpening, RunsNoThreadInVirtualTime) {
  const auto refused = open("0?thread");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().hint, testing::HasSubstr("thread"));
}

TEST_F(SimOpening, ReportsTheCountersOfAWire) {
  EXPECT_EQ(wire_counters(context, 0).error().code, ErrorCode::not_found);
  EXPECT_EQ(wire_counters(context, 9999).error().code, ErrorCode::not_found);
  const auto device = open("0");
  ASSERT_TRUE(device);
  context.service<WireRegistry>().find(0)->inject(std::vector<std::byte>(60));
  EXPECT_EQ(wire_counters_towards(context, 0)->carried, 1u);
  EXPECT_EQ(wire_counters(context, 1)->entered, 1u) << "the same direction, seen from the other card";
  EXPECT_EQ(wire_counters(context, 0)->entered, 0u);
}

}  // namespace
}  // namespace pollux::sim
