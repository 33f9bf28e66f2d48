// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "observe/port_json.hpp"
#include "pollux/net/flow_control.hpp"
#include "pollux/net/identify_led.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/rss.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

const Json kPlx0{{"port", "plx0"}};

TEST(Telemetry, TellsAboutTheProcessAndItsPorts) {
  TelemetryFixture fixture({.program = "test"});
  TestClient client = fixture.client();
  const Json process = client.result("process");
  EXPECT_EQ(process["pid"], ::getpid());
  EXPECT_EQ(process["program"], "test");
  EXPECT_EQ(process["protocol"], 1);
  EXPECT_EQ(process["clients"]["connected"], 1);
  const Json ports = client.result("ports");
  ASSERT_EQ(ports.size(), 1U);
  EXPECT_EQ(ports[0]["name"], "plx0");
  EXPECT_EQ(ports[0]["uri"], "sim:lab");
  EXPECT_EQ(ports[0]["driver"], "igb");
  EXPECT_EQ(ports[0]["state"], "started");
}

TEST(Telemetry, SocketBelongsToItsUser) {
  TelemetryFixture fixture;
  struct stat found {};
  ASSERT_EQ(::stat(fixture.telemetry.socket().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777U, 0600U);
  EXPECT_EQ(found.st_uid, ::geteuid());
}

TEST(Telemetry, RemovesItsFilesAtTheEnd) {
  TemporaryDirectory directory;
  {
    TelemetryFixture fixture({.directory = directory.path()});
    EXPECT_TRUE(directory.has(std::to_string(::getpid()) + ".sock"));
    EXPECT_TRUE(directory.has("plx0.lock"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

// Names are unique among all programs of a user, here among two Contexts.
// Another thread than the sending one may read any number.
TEST(Telemetry, NoMoreIsInFlightThanTheRingHas) {
  CardFixture fixture;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(fixture.transmit(counting_frame(60)));
  EffectiveConfig config = fixture.port.config();
  const auto in_flight = [&] {
    return observe::queues_json(fixture.port.stats(), config, fixture.port)["tx"][0]["in_flight"];
  };
  EXPECT_EQ(in_flight(), 3);
  config.tx[0].ring = 2;
  EXPECT_EQ(in_flight(), 2);
}

TEST(Telemetry, NoTwoPortsHaveOneName) {
  TemporaryDirectory directory;
  TelemetryFixture first({.directory = directory.path()});
  TelemetryFixture second({.directory = directory.path()});
  TestClient client = second.client();
  EXPECT_EQ(client.result("ports")[0]["name"], "plx1");
  EXPECT_EQ(client.error("port.stats", kPlx0), "not_found");
}

TEST(Telemetry, NamesOfClosedPortsAreFreeAgain) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  ASSERT_TRUE(fixture.port.close());
  EXPECT_TRUE(client.result("ports").empty());
  EXPECT_FALSE(fixture.directory.has("plx0.lock"));
  auto ring = open(fixture.context, "ring:a:0", {.rx = {{.pool = fixture.pool}}});
  ASSERT_TRUE(ring);
  EXPECT_EQ(client.result("ports")[0]["name"], "plx0");
  EXPECT_EQ(client.result("port.info", {{"port", "ring:a:0"}})["uri"], "ring:a:0");
}

TEST(Telemetry, FollowsAPortThatMovesAndEnds) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  {
    const Port moved = std::move(fixture.port);
    EXPECT_EQ(client.result("port.info", kPlx0)["state"], "started");
  }
  EXPECT_TRUE(client.result("ports").empty());
  EXPECT_EQ(client.error("port.info", kPlx0), "not_found");
}

TEST(Telemetry, CountersAreThoseOfThePort) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  for (unsigned i = 0; i < 5; ++i) fixture.inject(counting_frame(100, i));
  fixture.clock->advance(std::chrono::milliseconds(1));
  EXPECT_EQ(fixture.receive_all().size(), 5U);
  ASSERT_TRUE(fixture.transmit(counting_frame(60)));
  fixture.clock->advance(std::chrono::milliseconds(1));
  const Json stats = client.result("port.stats", kPlx0);
  EXPECT_EQ(stats["rx_packets"], 5);
  EXPECT_EQ(stats["rx_burst_packets"], 5);
  EXPECT_EQ(stats["tx_burst_packets"], 1);
  EXPECT_EQ(stats["drops"]["rx_pool_empty"], 0);
  const Stats direct = fixture.port.stats();
  EXPECT_EQ(stats["rx_bytes"], direct.rx_bytes);
  EXPECT_EQ(stats["tx_packets"], direct.tx_packets);
  const Json queues = client.result("port.queues", kPlx0);
  EXPECT_EQ(queues["rx"][0]["packets"], 5);
  EXPECT_TRUE(queues["rx"][0]["bytes"].is_null()) << "bytes are not counted";
  EXPECT_EQ(queues["tx"][0]["in_flight"], 1);
  const Json counters = client.result("port.xstats", kPlx0)["counters"];
  for (const Counter& counter : fixture.port.extended_stats()) EXPECT_TRUE(counters.contains(counter.name));
  EXPECT_EQ(client.result("pools")[0]["count"], 1024);
  EXPECT_THAT(client.result("pools")[0]["ports"], ElementsAre("plx0"));
}

TEST(Telemetry, EveryReadingMethodAnswersForACard) {
  TelemetryFixture fixture;
  ASSERT_TRUE(run_clock(fixture.port));
  TestClient client = fixture.client();
  for (const Json& method : client.result("methods")) {
    if (method["changes"] || method["method"] == "port.watch") continue;
    if (method["method"] == "capture.start") continue;  // it takes the connection
    const Json answer = client.ask(method["method"], kPlx0);
    EXPECT_TRUE(answer.contains("result")) << answer.dump();
  }
  EXPECT_EQ(client.result("port.link", {{"port", "plx0"}, {"details", true}})["details"]["supported"].size(), 5U);
  const Json registers = client.result("port.registers", {{"port", "plx0"}, {"fields", true}});
  ASSERT_FALSE(registers.empty());
  EXPECT_EQ(registers[0]["name"], "CTRL");
  EXPECT_EQ(registers[0]["fields"]["SLU"], 1);
}

TEST(Telemetry, APortWithoutACardSaysWhatItLacks) {
  TelemetryFixture fixture;
  auto null = open(fixture.context, "null:", {.rx = {{.pool = fixture.pool}}});
  ASSERT_TRUE(null);
  TestClient client = fixture.client();
  const Json port{{"port", "null:"}};
  for (const char* method : {"port.registers", "port.rss", "port.flow_control", "port.interrupts", "port.time"})
    EXPECT_EQ(client.error(method, port), "not_supported") << method;
  EXPECT_TRUE(client.result("port.info", port)["capabilities"].empty());
  EXPECT_EQ(client.result("port.stats", port)["rx_packets"], 0);
}

TEST(Telemetry, ListsEveryCapabilityOfAPort) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const Json listed = client.result("port.info", kPlx0)["capabilities"];
  EXPECT_EQ(listed, Json(fixture.port.capabilities()));
  EXPECT_THAT(fixture.port.capabilities(),
              UnorderedElementsAre("link_control", "flow_control", "interrupts", "clock", "registers", "self_test",
                                   "nvm", "wake", "phy_registers", "frame_stamps", "virtual_functions",
                                   "transmit_watch", "receive_watch"));
  const Json settings = client.result("port.info", kPlx0)["settings"];
  EXPECT_EQ(settings.size(), kSettings) << "the 82576 has all";
}

TEST(Telemetry, ChangesSettings) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const auto change = [&](const Json& settings) {
    EXPECT_EQ(client.error("port.change", {{"port", "plx0"}, {"settings", settings}}), "") << settings.dump();
    return fixture.port.settings();
  };
  EXPECT_EQ(change({{"mtu", 1200}}).mtu, 1200U);
  EXPECT_EQ(change({{"mac", "02:00:00:00:00:07"}}).mac, (MacAddress{2, 0, 0, 0, 0, 7}));
  EXPECT_EQ(change({{"mac", nullptr}}).mac, std::nullopt) << "the card's own";
  EXPECT_EQ(change({{"mtu", nullptr}}).mtu, 1500U) << "null is the default";
  const Settings both = change({{"promiscuous", true}, {"led", "blink"}});
  EXPECT_TRUE(both.promiscuous && both.led == LedMode::blink);
  change({{"flow_control", {{"pause", {{"receive", true}}}, {"pause_time", 100}}}});
  const FlowControlConfig pause = change({{"flow_control", {{"high_water", 4096}, {"low_water", 1024}}}}).flow_control;
  EXPECT_EQ(pause, (FlowControlConfig{{true, false}, true, 100, 4096, 1024})) << "what is not named stays";
  EXPECT_EQ(change({{"link", {{"advertised", {"100/full"}}}}}).link.advertised, LinkModes{LinkMode::full_100});
  EXPECT_EQ(change({{"link", {{"forced", "10/half"}}}}).link.forced, LinkMode::half_10);
  EXPECT_EQ(change({{"link", {{"forced", nullptr}}}}).link, (LinkConfig{{LinkMode::full_100}, {}}));
  EXPECT_EQ(change({{"unicast", {{"02:00:00:00:00:02", true}, {"02:00:00:00:00:03", true}}}}).unicast.size(), 2U);
  EXPECT_EQ(change({{"unicast", {{"02:00:00:00:00:02", nullptr}}}}).unicast,
            (std::vector{MacAddress{2, 0, 0, 0, 0, 3}}));
  EXPECT_EQ(change({{"unicast", {{"02:00:00:00:00:0A", true}, {"02:00:00:00:00:0a", true}}}}).unicast.size(), 2U);
  EXPECT_EQ(change({{"unicast", {{"02:00:00:00:00:0A", nullptr}}}}).unicast,
            (std::vector{MacAddress{2, 0, 0, 0, 0, 3}}));
  EXPECT_EQ(change({{"vlans", {{"7", nullptr}}}}).vlans, std::nullopt) << "there is no filter, and none begins";
  change({{"vlans", {{"7", true}, {"9", true}}}});
  EXPECT_EQ(change({{"vlans", {{"7", nullptr}}}}).vlans, VlanSet().set(0).set(9));
  EXPECT_EQ(change({{"vlans", nullptr}}).vlans, std::nullopt);
  EXPECT_EQ(change({{"moderation", {{"0", {{"interval_ns", 50000}}}}}}).moderation.at(0).interval,
            std::chrono::microseconds(50));
  EXPECT_TRUE(change({{"moderation", {{"0", nullptr}}}}).moderation.empty());
  EXPECT_EQ(client.error("port.restart_link", kPlx0), "");
  EXPECT_FALSE(change({{"phy_enabled", false}}).phy_enabled);
  EXPECT_EQ(change(Json::object()), fixture.port.settings());
}

TEST(Telemetry, ARefusedChangeChangesNothing) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const Settings before = fixture.port.settings();
  const std::vector<Json> wrong{{{"mtu", "big"}},
                                {{"mtu", -1}},
                                {{"mtu", 1e30}},
                                {{"mtu", 100000}},
                                {{"promiscuous", 1}},
                                {{"mac", "02:00:00:00:00"}},
                                {{"mac", "02-00-00-00-00-01"}},
                                {{"mac", "01:00:00:00:00:01"}},
                                {{"link", {{"advertised", "100/full"}}}},
                                {{"link", {{"advertised", {"100/both"}}}}},
                                {{"link", {{"forced", 100}}}},
                                {{"link", "100/full"}},
                                {{"flow_control", {{"pause", {{"receive", "yes"}}}}}},
                                {{"flow_control", {{"pause_time", 70000}}}},
                                {{"moderation", {{"99", {{"interval_ns", 1000}}}}}},
                                {{"moderation", {{"0", 7}}}},
                                {{"led", "party"}},
                                {{"phy_enabled", 0}},
                                {{"unicast", {{"02:00:00:00:00:0g", nullptr}}}},
                                {{"unicast", {{"02:00:00:00:00:02", false}}}},
                                {{"vlans", {{"4096", nullptr}}}},
                                {{"fly", true}},
                                {{"fly", nullptr}},
                                {{"promiscuous", true}, {"led", "blink"}, {"mtu", 100000}}};
  for (const Json& settings : wrong)
    EXPECT_EQ(client.error("port.change", {{"port", "plx0"}, {"settings", settings}}), "invalid_argument")
        << settings.dump();
  for (const Json& settings : {Json(nullptr), Json("mtu"), Json::array()})
    EXPECT_EQ(client.error("port.change", {{"port", "plx0"}, {"settings", settings}}), "invalid_argument");
  EXPECT_EQ(fixture.port.settings(), before);
}

TEST(Telemetry, ATagKeepsAClientFromUndoingTheChangeOfAnother) {
  TelemetryFixture fixture;
  TestClient one = fixture.client();
  TestClient other = fixture.client();
  const Json read = one.result("port.settings", kPlx0);
  const auto change = [&](TestClient& client, std::uint32_t mtu) {
    return client.error("port.change", {{"port", "plx0"}, {"settings", {{"mtu", mtu}}}, {"tag", read["tag"]}});
  };
  EXPECT_EQ(change(other, 1200), "");
  EXPECT_EQ(change(one, 1300), "busy");
  EXPECT_EQ(fixture.port.settings().mtu, 1200U);
  ASSERT_TRUE(fixture.port.change([](Settings& settings) { settings.mtu = 1500; }));
  EXPECT_EQ(change(one, 1300), "") << "they are again what was read";
}

TEST(Telemetry, ChangesHowFramesAreSpread) {
  CardFixtureOptions card;
  card.port.rx.resize(2, card.port.rx[0]);
  TelemetryFixture fixture({}, card);
  TestClient client = fixture.client();
  const auto change = [&](const Json& rss) {
    return client.error("port.change", {{"port", "plx0"}, {"settings", {{"rss", rss}}}});
  };
  Json rss = client.result("port.rss", kPlx0);
  ASSERT_EQ(rss["table"].size(), rss["table_size"]);
  std::vector<std::uint16_t> table(rss["table_size"].get<std::size_t>(), 1);
  EXPECT_EQ(change({{"table", table}, {"types", {"ipv4", "udp_ipv4"}}}), "");
  RssConfig now = rss_of(fixture.port);
  EXPECT_EQ(now.table, table);
  EXPECT_EQ(now.types.bits, RssTypes::ipv4 | RssTypes::udp_ipv4);
  EXPECT_EQ(change({{"key", std::string(80, 'a')}}), "");
  EXPECT_EQ(client.result("port.rss", kPlx0)["key"], std::string(80, 'a'));
  now = rss_of(fixture.port);
  EXPECT_EQ(now.table, table);
  for (const Json& wrong : {Json{{"key", "zz"}}, Json{{"table", {7}}}, Json{{"table", "x"}}, Json{{"types", {"x"}}}})
    EXPECT_EQ(change(wrong), "invalid_argument") << wrong.dump();
  EXPECT_EQ(rss_of(fixture.port), now);
}

TEST(Telemetry, StopsStartsAndResetsAPort) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  EXPECT_EQ(client.error("port.stop", kPlx0), "");
  EXPECT_EQ(fixture.port.state(), PortState::configured);
  EXPECT_EQ(client.error("port.stop", kPlx0), "bad_state");
  EXPECT_EQ(client.error("port.start", kPlx0), "");
  EXPECT_EQ(client.error("port.reset", kPlx0), "");
  EXPECT_EQ(fixture.port.state(), PortState::started);
}

TEST(Telemetry, TestsALivePortOfflineOnlyIfAsked) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const Json online = client.result("port.self_test", kPlx0);
  ASSERT_EQ(online.size(), 1U);
  EXPECT_EQ(online[0]["part"], "link");
  EXPECT_EQ(client.error("port.self_test", {{"port", "plx0"}, {"offline", true}}), "busy");
  EXPECT_EQ(fixture.port.state(), PortState::started);
  const Json offline = client.result("port.self_test", {{"port", "plx0"}, {"offline", true}, {"interrupt", true}});
  EXPECT_GT(offline.size(), 1U);
  for (const Json& part : offline) EXPECT_NE(part["outcome"], "failed") << part.dump();
  EXPECT_EQ(fixture.port.state(), PortState::started);
}

TEST(Telemetry, RejectsWrongParametersAndChangesNothing) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const auto before = state_of(fixture.port);
  const std::vector<std::pair<const char*, Json>> wrong{
      {"port.watch", Json::object()},
      {"port.registers", {{"fields", 3}}},
  };
  for (const auto& [method, params] : wrong) {
    Json whole = params;
    whole["port"] = "plx0";
    EXPECT_EQ(client.error(method, whole), "invalid_argument") << method << ' ' << params.dump();
  }
  EXPECT_EQ(client.error("port.stats", {{"port", 7}}), "invalid_argument");
  EXPECT_EQ(client.error("port.stats"), "invalid_argument");
  EXPECT_EQ(client.error("port.fly", kPlx0), "not_found");
  EXPECT_EQ(state_of(fixture.port), before);
  EXPECT_EQ(client.result("process")["clients"]["errors"], wrong.size() + 3);
}

TEST(Telemetry, ReadOnlyTelemetryChangesNothing) {
  TelemetryFixture fixture({.read_only = true});
  TestClient client = fixture.client();
  std::vector<std::string> refused;
  for (const Json& method : client.result("methods")) {
    if (!method["changes"]) continue;
    EXPECT_EQ(client.error(method["method"], kPlx0), "permission_denied") << method.dump();
    refused.push_back(method["method"]);
  }
  EXPECT_THAT(refused, UnorderedElementsAre("port.change", "port.start", "port.stop", "port.reset", "port.restart_link",
                                            "port.self_test", "port.write_nvm"));
  EXPECT_EQ(client.result("port.stats", kPlx0)["state"], "started");
}

TEST(Telemetry, SeveralPortsOfOneUriAreAmbiguous) {
  TelemetryFixture fixture;
  auto first = open(fixture.context, "null:", {.rx = {{.pool = fixture.pool}}});
  auto second = open(fixture.context, "null:", {.rx = {{.pool = fixture.pool}}});
  ASSERT_TRUE(first && second);
  TestClient client = fixture.client();
  const Json answer = client.ask("port.info", {{"port", "null:"}});
  EXPECT_EQ(answer["error"]["code"], "invalid_argument");
  EXPECT_THAT(answer["error"]["hint"].get<std::string>(), HasSubstr("plx1 (null:), plx2 (null:)"));
}

TEST(Telemetry, ReportsTheAccountOfTheProgram) {
  TelemetryAccount account{.received = 10, .sent = 6, .in_flight = 1, .drops = {{"tx_ring_full", 3}}};
  TelemetryFixture fixture({.account = [&] { return account; }});
  TestClient client = fixture.client();
  EXPECT_EQ(client.result("account")["holds"], true);
  EXPECT_EQ(client.result("account")["dropped"], 3);
  account.sent = 5;
  EXPECT_EQ(client.result("account")["holds"], false);
  TelemetryFixture without;
  TestClient other = without.client();
  EXPECT_TRUE(other.result("account").is_null());
}

}  // namespace
}  // namespace pollux::test
