// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/flow/match.hpp"
#include "pollux/net/frame_stamps.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/wake_on_lan.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Json of_plx0(Json params = Json::object()) {
  params["port"] = "plx0";
  return params;
}

TEST(TelemetryCard, PermanentAddressOutlivesAnother) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const std::string own = to_string(fixture.port.mac());
  EXPECT_EQ(client.error("port.change", of_plx0({{"settings", {{"mac", "02:00:00:00:00:07"}}}})), "");
  const Json info = client.result("port.info", of_plx0());
  EXPECT_EQ(info["mac"], "02:00:00:00:00:07");
  EXPECT_EQ(info["permanent_mac"], own);
}

TEST(TelemetryCard, ReadsTheNvmInParts) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const Json whole = client.result("port.nvm", of_plx0());
  const auto info = fixture.port.capability<Nvm>()->nvm_info();
  ASSERT_TRUE(info);
  EXPECT_EQ(whole["words"], info->words);
  EXPECT_EQ(whole["device_id"], 0x10C9);
  EXPECT_EQ(whole["checksum_holds"], true);
  EXPECT_THAT(whole["data"], IsEmpty());
  const auto words = fixture.port.capability<Nvm>()->read_nvm(2, 3);
  ASSERT_TRUE(words);
  EXPECT_EQ(client.result("port.nvm", of_plx0({{"first", 2}, {"count", 3}}))["data"].get<std::vector<std::uint16_t>>(),
            *words);
  for (const Json& wrong :
       {Json{{"first", -1}}, Json{{"count", 4097}}, Json{{"count", "x"}}, Json{{"first", info->words}, {"count", 1}}})
    EXPECT_EQ(client.error("port.nvm", of_plx0(wrong)), "invalid_argument") << wrong.dump();
}

TEST(TelemetryCard, WritesWordsOfTheNvm) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  EXPECT_EQ(client.error("port.write_nvm", of_plx0({{"first", 0x1F}, {"data", {0x1234}}})), "");
  const auto words = fixture.port.capability<Nvm>()->read_nvm(0x1F, 1);
  ASSERT_TRUE(words);
  EXPECT_THAT(*words, ElementsAre(0x1234));
  const std::vector<int> many(65, 0);
  for (const Json& wrong :
       {Json{{"data", {1}}}, Json{{"first", 0}}, Json{{"first", 0}, {"data", Json::array()}},
        Json{{"first", 0}, {"data", {65536}}}, Json{{"first", 0}, {"data", {-1}}}, Json{{"first", 0}, {"data", many}}})
    EXPECT_EQ(client.error("port.write_nvm", of_plx0(wrong)), "invalid_argument") << wrong.dump();
}

TEST(TelemetryCard, SaysWhatCanWakeTheMachine) {
  TelemetryFixture fixture;
  EXPECT_EQ(fixture.client().result("port.wake", of_plx0())["supported"]["magic"], true);
}

// Of a list an object by index changes elements.
Json ring(const char* direction, const Json& descriptors) {
  return {{"settings", {{direction, {{"0", {{"ring", descriptors}}}}}}}};
}

TEST(TelemetryCard, ResizesRingsOfARunningPort) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  EXPECT_EQ(client.error("port.change", of_plx0(ring("rx", 128))), "");
  EXPECT_EQ(fixture.port.config().rx[0].ring, 128U);
  EXPECT_EQ(fixture.port.config().tx[0].ring, 64U);
  EXPECT_EQ(client.error("port.change", of_plx0(ring("tx", 256))), "");
  EXPECT_EQ(fixture.port.config().tx[0].ring, 256U);
  fixture.inject(counting_frame(60));
  EXPECT_EQ(fixture.receive_all().size(), 1U);
  EXPECT_TRUE(fixture.transmit(counting_frame(60)));
  for (const Json& wrong : {ring("rx", 100), ring("rx", 1 << 20), ring("tx", "x"), ring("tx", -1)})
    EXPECT_EQ(client.error("port.change", of_plx0(wrong)), "invalid_argument") << wrong.dump();
  Json both = ring("rx", 256);
  both["settings"]["tx"] = ring("tx", 100)["settings"]["tx"];
  EXPECT_EQ(client.error("port.change", of_plx0(both)), "invalid_argument");
  for (const char* index : {"1", "-1", "x", "4294967296"}) {
    const Json wrong{{"settings", {{"rx", {{index, {{"ring", 256}}}}}}}};
    EXPECT_EQ(client.error("port.change", of_plx0(wrong)), "invalid_argument") << index;
  }
  EXPECT_EQ(fixture.port.config().rx[0].ring, 128U) << "a refused request changes nothing";
}

// What a patch does not name stays as it was.
TEST(TelemetryCard, ResizedQueuesKeepTheirConfiguration) {
  CardFixtureOptions card;
  card.port.rx[0].copy_break = 256;
  TelemetryFixture fixture({}, card);
  TestClient client = fixture.client();
  EXPECT_EQ(client.error("port.change", of_plx0(ring("rx", 128))), "");
  const EffectiveConfig config = fixture.port.config();
  EXPECT_EQ(config.rx[0].ring, 128U);
  EXPECT_EQ(config.rx[0].copy_break, 256U);
  EXPECT_TRUE(config.rx[0].given_cache);
}

TEST(TelemetryCard, APoolThatNoQueueUsesCanBeNamedAgain) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const auto use = [&](const std::string& name) {
    return client.error("port.change", of_plx0({{"settings", {{"rx", {{"0", {{"pool", name}}}}}}}}));
  };
  const Json before = client.result("port.settings", of_plx0())["settings"]["rx"];
  std::optional<Mempool> other = Mempool::create(fixture.context, {.count = 512, .name = "other"}).value();
  EXPECT_EQ(use("other"), "");
  EXPECT_EQ(fixture.port.config().rx[0].pool, "other");
  EXPECT_EQ(client.error("port.change", of_plx0({{"settings", {{"rx", before}}}})), "");
  EXPECT_EQ(client.result("port.settings", of_plx0())["settings"]["rx"], before);
  const auto twin = Mempool::create(fixture.context, {.count = 512, .name = fixture.port.config().rx[0].pool}).value();
  EXPECT_EQ(use(twin.options().name), "") << "the port's own goes before its namesake";
  EXPECT_EQ(fixture.port.settings().rx[0].pool, fixture.pool);
  other.reset();
  EXPECT_EQ(use("other"), "invalid_argument") << "nobody uses it any more";
  const auto one = Mempool::create(fixture.context, {.count = 512, .name = "two"}).value();
  const auto two = Mempool::create(fixture.context, {.count = 512, .name = "two"}).value();
  EXPECT_EQ(use("two"), "invalid_argument") << "which of them?";
}

class TelemetryFlowRules : public testing::Test {
 protected:
  [[nodiscard]] std::string change(const Json& rules) {
    return client_.error("port.change", of_plx0({{"settings", {{"rules", rules}}}}));
  }
  [[nodiscard]] Json listed() { return client_.result("port.settings", of_plx0())["settings"]["rules"]; }

  [[nodiscard]] static CardFixtureOptions two_queues() {
    CardFixtureOptions card;
    card.port.rx.resize(2, card.port.rx[0]);
    return card;
  }

  TelemetryFixture fixture_{{}, two_queues()};
  TestClient client_ = fixture_.client();
};

TEST_F(TelemetryFlowRules, AreAddedListedAndRemovedOneByOne) {
  const FlowRule wanted{match::ipv4().udp().destination_port(53), to_queue(1)};
  const Json match{{{"protocol", "ipv4"}},
                   {{"protocol", "udp"}, {"spec", "0000003500000000"}, {"mask", "0000ffff00000000"}}};
  const Json rule{{"match", match}, {"action", {{"kind", "queue"}, {"queue", 1}}}};
  EXPECT_EQ(change({{"7", rule}}), "");
  EXPECT_EQ(fixture_.port.settings().rules, (std::map<FlowRuleId, FlowRule>{{FlowRuleId{7}, wanted}}));
  EXPECT_EQ(listed()["7"]["match"][1]["mask"], "0000ffff00000000");
  EXPECT_EQ(listed()["7"]["action"]["queue"], 1);
  EXPECT_EQ(change({{"9",
                     {{"match",
                       {{{"protocol", "eth"},
                         {"spec", "00000000000000000000000088b6"},
                         {"mask", "000000000000000000000000ffff"}}}},
                      {"action", {{"kind", "queue"}, {"queue", 0}}}}}}),
            "");
  EXPECT_EQ(listed().size(), 2U);
  EXPECT_EQ(change({{"7", nullptr}}), "");
  EXPECT_EQ(listed().size(), 1U);
  EXPECT_TRUE(listed().contains("9"));
  EXPECT_EQ(change(nullptr), "");
  EXPECT_THAT(listed(), IsEmpty());
}

TEST_F(TelemetryFlowRules, OthersStayWhenOneIsAdded) {
  ASSERT_TRUE(fixture_.port.change(
      [&](Settings& settings) { settings.rules[FlowRuleId{1}] = FlowRule(match::eth().type(0x88B5), to_queue(1)); }));
  const auto before = fixture_.port.settings().rules;
  const Json rule{
      {"match",
       {{{"protocol", "eth"}, {"spec", "00000000000000000000000088b6"}, {"mask", "000000000000000000000000ffff"}}}},
      {"action", {{"kind", "queue"}, {"queue", 0}}}};
  EXPECT_EQ(change({{"2", rule}}), "");
  EXPECT_EQ(fixture_.port.settings().rules.at(FlowRuleId{1}), before.at(FlowRuleId{1}));
}

TEST_F(TelemetryFlowRules, WrongOnesAreRejected) {
  const Json drop{{"kind", "drop"}};
  const auto rule_with = [&](const Json& item) { return Json{{"match", Json::array({item})}, {"action", drop}}; };
  const Json item{{"protocol", "udp"}};
  for (const Json& wrong :
       {Json("x"), Json::object(), Json{{"match", "x"}, {"action", drop}}, rule_with(1), rule_with({{"protocol", "x"}}),
        rule_with({{"protocol", "raw"}}), rule_with({{"protocol", "udp"}, {"spec", "0"}}),
        rule_with({{"protocol", "udp"}, {"spec", "zz"}}), rule_with({{"protocol", "udp"}, {"spec", 1}}),
        rule_with({{"protocol", "udp"}, {"spec", std::string(300, '0')}}),
        Json{{"match", std::vector<Json>(17, item)}, {"action", drop}}, Json{{"match", {item}}},
        Json{{"match", {item}}, {"action", {{"kind", "rss"}}}},
        Json{{"match", {item}}, {"action", {{"kind", "queue"}, {"queue", 65536}}}},
        Json{{"match", {item}}, {"action", drop}, {"priority", -1}}})
    EXPECT_EQ(change({{"1", wrong}}), "invalid_argument") << wrong.dump();
  EXPECT_EQ(change({{"x", rule_with(item)}}), "invalid_argument");
  EXPECT_THAT(listed(), IsEmpty());
}

}  // namespace
}  // namespace pollux::test
