// SPDX-License-Identifier: BSD-3-Clause
// A client of telemetry that captures a port.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <chrono>
#include <cstddef>
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
    const auto answer = observe::Json::parse(all.substr(0, end));
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
