// SPDX-License-Identifier: BSD-3-Clause
// A client of telemetry that captures a port.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "unit/capture/pcapng_reader.hpp"
#include "unit/observe/fixture.hpp"

namespace pollux {
namespace {

using test::counting_frame;
using test::TelemetryFixture;
using test::TestClient;

constexpr const char* kStart = R"({"id":7,"method":"capture.start","params":{"port":"plx0"}})";

/// What arrives until the program closes the connection.
std::string read_to_end(const TestClient& client) {
  std::string all;
  std::array<char, 65536> chunk;
  while (true) {
    const ssize_t count = ::recv(client.descriptor(), chunk.data(), chunk.size(), 0);
    if (count <= 0) return all;
    all.append(chunk.data(), static_cast<std::size_t>(count));
  }
}

/// Runs the Control for a while.
void serve(TelemetryFixture& fixture) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(fixture.context.control().run_due());
    fixture.clock->advance(std::chrono::milliseconds(20));
  }
}

struct CaptureStart : testing::Test {
  DropCounter reason{"reason"};
  TelemetryFixture fixture{{.max_clients = 2, .drops = [this] { return std::vector<const DropCounter*>{&reason}; }}};
  TestClient client = fixture.client();

  /// The pcapng file that follows the answer.
  test::PcapngFile read_capture() {
    // A blocking read; the capture has a thread.
    timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(client.descriptor(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::fcntl(client.descriptor(), F_SETFL, 0);
    const std::string all = read_to_end(client);
    const std::size_t end = all.find('\n');
    EXPECT_NE(end, std::string::npos);
    const auto answer = json::Json::parse(all.substr(0, end));
    EXPECT_EQ(answer["id"], 7);
    EXPECT_EQ(answer["result"]["name"], "plx0");
    const auto* const bytes = reinterpret_cast<const std::byte*>(all.data());
    return test::read_pcapng({bytes + end + 1, all.size() - end - 1});
  }
};

TEST_F(CaptureStart, TheConnectionCarriesTheCaptureUntilItIsShutDown) {
  client.send(std::string(kStart) + '\n');
  serve(fixture);
  fixture.inject(counting_frame(60));
  Burst<32> burst = fixture.rx_burst();
  ASSERT_EQ(burst.size(), 1U);
  burst.drop(reason);
  ASSERT_TRUE(fixture.transmit(counting_frame(70)));
  ASSERT_EQ(::shutdown(client.descriptor(), SHUT_WR), 0);
  const auto file = read_capture();
  EXPECT_EQ(file.of("plx0/rx0").size(), 1U);
  EXPECT_EQ(file.of("plx0/tx0").size(), 1U);
  ASSERT_EQ(file.of("plx0/drops").size(), 1U);
  EXPECT_EQ(file.of("plx0/drops").front().comment(), "dropped: reason");
  EXPECT_EQ(file.statistics.size(), 3U);
  serve(fixture);
  EXPECT_FALSE(reason.is_observed());
}

TEST_F(CaptureStart, ACaptureEndsWithTelemetry) {
  client.send(std::string(kStart) + '\n');
  serve(fixture);
  fixture.inject(counting_frame(60));
  ASSERT_EQ(fixture.receive_all().size(), 1U);
  { const Telemetry ended = std::move(fixture.telemetry); }
  EXPECT_EQ(read_capture().of("plx0/rx0").size(), 1U);
}

TEST_F(CaptureStart, ACaptureCountsAsAClient) {
  client.send(std::string(kStart) + '\n');
  serve(fixture);
  TestClient second = fixture.client();
  EXPECT_EQ(second.error("process"), "");
  const auto answer = [this] {
    TestClient another = fixture.client();
    another.send("{\"method\":\"process\"}\n");
    return another.receive_line().value_or("");
  };
  EXPECT_THAT(answer(), testing::HasSubstr("busy"));
  client.disconnect();
  std::string last;
  // The capture ends in real time.
  for (int i = 0; i < 5000 && last.find("result") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    last = answer();
  }
  EXPECT_THAT(last, testing::HasSubstr("result"));
}

TEST_F(CaptureStart, AFilterIsCompiledBetweenRunsOfTheControl) {
  TestClient other = fixture.client();
  EXPECT_EQ(other.error("process"), "");
  client.send(R"({"id":7,"method":"capture.start","params":{"port":"plx0","filter":"arp"}})"
              "\n");
  char byte = 0;
  EXPECT_EQ(::recv(client.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1) << "the run that read the request";
  EXPECT_EQ(other.error("process"), "");
  for (int i = 0; i < 20'000 && ::recv(client.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1; ++i) {
    serve(fixture);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fixture.inject(counting_frame(60));
  ASSERT_EQ(fixture.receive_all().size(), 1U);
  ASSERT_EQ(::shutdown(client.descriptor(), SHUT_WR), 0);
  EXPECT_TRUE(read_capture().of("plx0/rx0").empty()) << "the frame does not match the filter";
}

// The client has shut its side down for writing, so that it has nothing more to say.
TEST_F(CaptureStart, AFilterThatLibpcapRejectsIsAnAnswerAndTheRequestsAfterItWait) {
  client.send(R"({"id":7,"method":"capture.start","params":{"port":"plx0","filter":"tcp port or 80"}})"
              "\n"
              R"({"id":8,"method":"ports"})"
              "\n");
  ASSERT_EQ(::shutdown(client.descriptor(), SHUT_WR), 0);
  std::vector<std::string> lines;
  for (int i = 0; i < 200 && lines.size() < 2; ++i) {
    if (auto line = client.receive_line()) lines.push_back(*std::move(line));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], testing::HasSubstr("bad capture filter"));
  EXPECT_THAT(lines[0], testing::HasSubstr("\"id\":7"));
  EXPECT_THAT(lines[1], testing::HasSubstr("\"id\":8"));
}

/// The code of the error to capture.start; empty if the capture has started, which a thread says in real time.
std::string start_error(TelemetryFixture& fixture, TestClient& client, const std::string& filter) {
  client.send(json::Json{{"method", "capture.start"}, {"params", {{"port", "plx0"}, {"filter", filter}}}}.dump() +
              '\n');
  pollfd answer{client.descriptor(), POLLIN, 0};
  for (int i = 0; i < 20'000 && ::poll(&answer, 1, 1) == 0; ++i) serve(fixture);
  const auto line = json::Json::parse(client.receive_line().value_or("{}"));
  EXPECT_TRUE(line.contains("result") || line.contains("error"));
  return line.contains("error") ? line["error"]["code"].get<std::string>() : "";
}

TEST(CapturePermission, IsOneOfItsOwn) {
  const auto code = [](TelemetryOptions options, const char* filter) {
    TelemetryFixture fixture(std::move(options));
    TestClient client = fixture.client();
    const std::string error = start_error(fixture, client, filter);
    return error.empty() ? "captures" : error;
  };
  EXPECT_EQ(code({}, ""), "captures");
  EXPECT_EQ(code({.captures = false}, ""), "permission_denied");
  EXPECT_EQ(code({.read_only = true}, ""), "permission_denied");
  EXPECT_EQ(code({.read_only = true}, "arp"), "permission_denied");
  EXPECT_EQ(code({.read_only = true, .captures = true}, ""), "captures");
}

TEST(CaptureLimit, SomeCapturesAtATime) {
  TelemetryFixture fixture;
  std::deque<TestClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(fixture.client());
    EXPECT_EQ(start_error(fixture, clients.back(), ""), "") << i;
  }
  clients.push_back(fixture.client());
  EXPECT_EQ(start_error(fixture, clients.back(), ""), "busy");
  EXPECT_EQ(clients.back().error("process"), "");
}

/// More frames than a capture holds for a reader that takes nothing, while no ring is full.
void fill_captures(TelemetryFixture& fixture) {
  for (int i = 0; i < 1200; ++i) {
    fixture.inject(counting_frame(1500));
    ASSERT_EQ(fixture.receive_all().size(), 1U);
  }
}

TEST(CaptureLimit, OneWithoutAReaderLosesItsPlace) {
  TelemetryFixture fixture;
  std::deque<TestClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(fixture.client());
    clients.back().send(std::string(kStart) + '\n');
  }
  serve(fixture);
  fill_captures(fixture);
  TestClient newcomer = fixture.client();
  std::string error = "busy";
  // In real time a reader may take nothing for a second.
  for (int i = 0; i < 1000 && error == "busy"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    error = start_error(fixture, newcomer, "");
  }
  EXPECT_EQ(error, "");
  TestClient other = fixture.client();
  EXPECT_EQ(other.result("process")["clients"]["idle"], 1);
  // Its end is not waited for, since nobody reads it: one of the four is disconnected.
  const auto ended = [&] {
    return std::ranges::count_if(clients, [](const TestClient& client) {
      pollfd waiting{client.descriptor(), POLLRDHUP, 0};
      return ::poll(&waiting, 1, 0) > 0 && (waiting.revents & (POLLRDHUP | POLLHUP)) != 0;
    });
  };
  for (int i = 0; i < 1000 && ended() == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(ended(), 1);
}

TEST(CaptureLimit, ThatOfClientsCountsCapturesWithoutAReader) {
  TelemetryFixture fixture({.max_clients = 1});
  TestClient client = fixture.client();
  client.send(std::string(kStart) + '\n');
  serve(fixture);
  fill_captures(fixture);
  std::string answer;
  for (int i = 0; i < 1000 && answer.find("result") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    TestClient newcomer = fixture.client();
    newcomer.send("{\"method\":\"process\"}\n");
    answer = newcomer.receive_line().value_or("");
  }
  EXPECT_THAT(answer, testing::HasSubstr("\"idle\":1"));
}

TEST_F(CaptureStart, BadParametersAreRejectedAndTheConnectionGoesOn) {
  EXPECT_EQ(client.error("capture.start", {{"port", "plx9"}}), "not_found");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"queue", 3}}), "invalid_argument");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"queue", "x"}}), "invalid_argument");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"queue", 65536}}), "invalid_argument");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"snaplen", 0}}), "invalid_argument");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"snaplen", 1 << 20}}), "invalid_argument");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"filter", "no such"}}), "invalid_argument");
  EXPECT_EQ(client.error("capture.start", {{"port", "plx0"}, {"receive", 1}}), "invalid_argument");
  EXPECT_EQ(client.error("process"), "");
  EXPECT_FALSE(reason.is_observed());
}

}  // namespace
}  // namespace pollux
