// SPDX-License-Identifier: BSD-3-Clause
// Errors, options, ports, settings and requests.
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "fixture.hpp"

extern "C" const char* name_in_c(pollux_code code);

namespace pollux::c::test {
namespace {

using ::testing::HasSubstr;

TEST(CErrors, HaveTheNamesOfTheCodes) {
  EXPECT_STREQ(name_in_c(POLLUX_OK), "ok");
  EXPECT_STREQ(name_in_c(POLLUX_INVALID_ARGUMENT), "invalid_argument");
  EXPECT_STREQ(name_in_c(POLLUX_NO_MEMORY), "no_memory");
  EXPECT_STREQ(name_in_c(POLLUX_IN_USE_BY_HOST), "in_use_by_host");
  for (const pollux_code wrong : {-1, POLLUX_IN_USE_BY_HOST + 1, 1 << 30}) EXPECT_STREQ(name_in_c(wrong), "unknown");
}

TEST(CErrors, OptionsAreCheckedByTheirSize) {
  pollux_error error;
  pollux_context_options options{};
  EXPECT_EQ(pollux_context_open(&options, &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_INVALID_ARGUMENT);
  EXPECT_THAT(std::string(error.message), HasSubstr("set .size = sizeof(pollux_context_options)"));

  // An older program knows fewer members, a newer one more: they must be 0.
  struct {
    pollux_context_options known;
    std::uint64_t later;
  } newer{};
  newer.known.size = sizeof newer;
  newer.later = 1;
  EXPECT_EQ(pollux_context_open(&newer.known, &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_NOT_SUPPORTED);
  newer.later = 0;
  for (const std::size_t size : {sizeof newer, sizeof options, sizeof options.size}) {
    newer.known.size = size;
    pollux_context* const opened = pollux_context_open(&newer.known, &error);
    EXPECT_NE(opened, nullptr) << error.message;
    EXPECT_EQ(error.code, POLLUX_OK);
    EXPECT_STREQ(error.message, "");
    pollux_context_close(opened);
  }
}

TEST(CErrors, UnknownAndContradictoryFlagsAreRefused) {
  for (const std::uint32_t flags :
       {std::uint32_t{1} << 20, std::uint32_t{POLLUX_HUGE_PAGES_REQUIRE | POLLUX_HUGE_PAGES_NEVER}}) {
    pollux_error error;
    pollux_context_options options{};
    options.size = sizeof options;
    options.flags = flags;
    EXPECT_EQ(pollux_context_open(&options, &error), nullptr) << flags;
    EXPECT_EQ(error.code, POLLUX_INVALID_ARGUMENT);
  }
}

TEST_F(C, NullIsAnErrorWhereThereIsOne) {
  EXPECT_EQ(pollux_port_open(nullptr, "sim:0", nullptr, &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_INVALID_ARGUMENT);
  EXPECT_EQ(pollux_port_open(context, nullptr, nullptr, &error), nullptr);
  EXPECT_THAT(std::string(error.message), HasSubstr("`uri` is NULL"));
  EXPECT_EQ(pollux_port_change(nullptr, "{}", &error), POLLUX_INVALID_ARGUMENT);
  EXPECT_EQ(pollux_request(context, nullptr, nullptr, nullptr, &error), nullptr);
  EXPECT_EQ(pollux_pool_of_port(nullptr, 0, &error), nullptr);
  EXPECT_EQ(pollux_drop_counter_open(context, nullptr, &error), nullptr);
  EXPECT_EQ(pollux_telemetry_open(nullptr, nullptr, &error), nullptr);
  EXPECT_EQ(pollux_poller_open(nullptr, &error), nullptr);
  EXPECT_EQ(pollux_port_open(context, "nope:", nullptr, nullptr), nullptr);  // without an error, too
  // What closes takes it.
  EXPECT_EQ(pollux_port_close(nullptr, &error), POLLUX_OK);
  pollux_pool_close(nullptr);
  pollux_poller_close(nullptr);
  pollux_telemetry_close(nullptr);
  pollux_context_close(nullptr);
  pollux_text_free(nullptr);
}

TEST_F(C, ALongMessageEndsAfterAWholeCharacter) {
  std::string uri = "nope";
  for (int i = 0; i < 2000; ++i) uri += "\u00e4";
  EXPECT_EQ(pollux_port_open(context, uri.c_str(), nullptr, &error), nullptr);
  const std::string_view message = error.message;
  EXPECT_GE(message.size(), sizeof error.message - 5);
  EXPECT_TRUE(message.ends_with("...")) << message;
  EXPECT_TRUE(nlohmann::json::accept('"' + std::string(message.substr(message.find('n'))) + '"')) << "not UTF-8";
}

TEST_F(C, SettingsAreReadAndChanged) {
  open_wire("sim:0", R"({"mtu":3000,"rx":[{"ring":512}],"tx":[{}]})");
  auto settings = nlohmann::json::parse(take(pollux_port_settings(left, &error)));
  EXPECT_EQ(settings["mtu"], 3000);
  EXPECT_EQ(settings["rx"][0]["ring"], 512);
  ASSERT_EQ(pollux_port_change(left, R"({"mtu":1400,"vlans":{"7":true}})", &error), POLLUX_OK) << error.message;
  settings = nlohmann::json::parse(take(pollux_port_settings(left, &error)));
  EXPECT_EQ(settings["mtu"], 1400);
  EXPECT_TRUE(settings["vlans"].contains("7"));
  // All of it or nothing, with the rule's name.
  EXPECT_EQ(pollux_port_change(left, R"({"vlan_stripping":true,"mtu":99999})", &error), POLLUX_INVALID_ARGUMENT);
  EXPECT_THAT(std::string(error.message), HasSubstr("mtu = 99999 is outside"));
  settings = nlohmann::json::parse(take(pollux_port_settings(left, &error)));
  EXPECT_EQ(settings["vlan_stripping"], false);
  for (const char* const wrong : {"", "[]", "{", "nothing", R"({"mtuu":1})"})
    EXPECT_EQ(pollux_port_change(left, wrong, &error), POLLUX_INVALID_ARGUMENT) << wrong;
  EXPECT_EQ(pollux_port_open(context, "sim:4", R"({"mtu":true})", &error), nullptr);
  EXPECT_EQ(error.code, POLLUX_INVALID_ARGUMENT);
}

TEST_F(C, SettingsNameThePoolsOfTheProgram) {
  pollux_pool_options options{};
  options.size = sizeof options;
  options.name = "answers";
  options.count = 4096;
  pool = pollux_pool_open(context, &options, &error);
  ASSERT_NE(pool, nullptr) << error.message;
  left = pollux_port_open(context, "null:", R"({"rx":[{"pool":"answers"}],"tx":[{}]})", &error);
  ASSERT_NE(left, nullptr) << error.message;
  EXPECT_EQ(pollux_rx_use_pool(pollux_port_rx(left, 0), pool, &error), POLLUX_OK) << error.message;
  EXPECT_EQ(pollux_port_open(context, "null:", R"({"rx":[{"pool":"others"}]})", &error), nullptr);
  EXPECT_THAT(std::string(error.message), HasSubstr("others"));
}

TEST_F(C, RequestsAreThoseOfTheTelemetry) {
  open_wire();
  EXPECT_EQ(ask(left, "port.info")["uri"], "sim:0");
  EXPECT_EQ(ask(left, "port.link")["up"], true);
  EXPECT_EQ(ask(nullptr, "ports").size(), 2U);
  EXPECT_GT(ask(nullptr, "methods").size(), 20U);
  EXPECT_EQ(ask(nullptr, "port.info", R"({"port":"sim:1"})")["uri"], "sim:1");
  EXPECT_TRUE(ask(left, "port.stop").is_null());
  EXPECT_EQ(ask(left, "port.info")["state"], "configured");
  EXPECT_TRUE(ask(left, "port.start").is_null());

  const auto refused = [&](pollux_port* port, const char* method, const char* params, pollux_code code) {
    EXPECT_EQ(pollux_request(context, port, method, params, &error), nullptr) << method;
    EXPECT_EQ(error.code, code) << error.message;
  };
  refused(left, "port.nothing", nullptr, POLLUX_NOT_FOUND);
  refused(left, "port.info", "[1]", POLLUX_INVALID_ARGUMENT);
  refused(nullptr, "port.info", nullptr, POLLUX_INVALID_ARGUMENT);
  refused(nullptr, "port.info", R"({"port":"sim:9"})", POLLUX_NOT_FOUND);
  refused(left, "capture.start", nullptr, POLLUX_PERMISSION_DENIED);
}

TEST_F(C, EventsReachTheCallback) {
  open_wire();
  std::vector<std::string> seen;
  pollux_port_on_event(
      left,
      [](void* user, const pollux_event* event) {
        static_cast<std::vector<std::string>*>(user)->push_back(std::to_string(event->kind) + " " + event->text);
      },
      &seen);
  pollux_context_sleep(context, 2'000'000'000);
  std::uint64_t next = 0;
  ASSERT_EQ(pollux_context_run_due(context, &next, &error), POLLUX_OK) << error.message;
  EXPECT_GT(next, pollux_context_now(context));
  EXPECT_EQ(ask(left, "port.stop"), nullptr);
  ASSERT_EQ(seen.size(), 2U) << testing::PrintToString(seen);
  EXPECT_THAT(seen[0], HasSubstr("0 link up, 1000 Mb/s"));
  EXPECT_EQ(seen[1], "1 link down");
  pollux_port_on_event(left, nullptr, nullptr);
  EXPECT_EQ(ask(left, "port.start"), nullptr);
  EXPECT_EQ(ask(left, "port.stop"), nullptr);
  EXPECT_EQ(seen.size(), 2U);
}

// The event comes within the request that stops the port, and the request waits for the callback.
TEST_F(C, ACallbackMayMakeRequestsAndCloseAnotherPort) {
  open_wire();
  pollux_port_on_event(
      left,
      [](void* user, const pollux_event* event) {
        if (event->kind != POLLUX_LINK_DOWN) return;
        C& self = *static_cast<C*>(user);
        EXPECT_EQ(self.ask(self.left, "port.info")["uri"], "sim:0");
        EXPECT_EQ(pollux_port_change(self.left, R"({"mtu":1400})", &self.error), POLLUX_OK) << self.error.message;
        EXPECT_EQ(pollux_port_close(std::exchange(self.right, nullptr), &self.error), POLLUX_OK);
      },
      this);
  pollux_context_sleep(context, 2'000'000'000);
  ASSERT_EQ(pollux_context_run_due(context, nullptr, &error), POLLUX_OK) << error.message;
  ASSERT_NE(right, nullptr);
  EXPECT_TRUE(ask(left, "port.stop").is_null());
  EXPECT_EQ(right, nullptr) << "no event came";
}

TEST_F(C, WhatIsOpenOutlivesTheContext) {
  open_wire();
  pollux_frame one = frame(7);
  pollux_context_close(std::exchange(context, nullptr));
  EXPECT_EQ(pollux_tx_burst(pollux_port_tx(left, 0), &one, 1), 1U);
  EXPECT_NE(take(pollux_port_settings(left, &error)), "");
}

TEST_F(C, TelemetryAnswersTheTools) {
  char folder[] = "/tmp/pollux_c_XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const std::string socket = std::string(folder) + "/s";
  pollux_telemetry_options options{};
  options.size = sizeof options;
  options.directory = folder;
  options.socket = socket.c_str();
  pollux_telemetry* const telemetry = pollux_telemetry_open(context, &options, &error);
  ASSERT_NE(telemetry, nullptr) << error.message;
  EXPECT_EQ(::access(socket.c_str(), F_OK), 0);
  pollux_error again;
  EXPECT_EQ(pollux_telemetry_open(context, &options, &again), nullptr);
  EXPECT_EQ(again.code, POLLUX_BUSY) << again.message;
  pollux_telemetry_close(telemetry);
  EXPECT_NE(::access(socket.c_str(), F_OK), 0);
  EXPECT_EQ(::rmdir(folder), 0) << "it left files behind";
}

}  // namespace
}  // namespace pollux::c::test
