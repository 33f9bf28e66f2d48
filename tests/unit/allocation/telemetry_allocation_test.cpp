// SPDX-License-Identifier: BSD-3-Clause
// Makes each call of operator new fail in turn while telemetry serves a client: the client gets an answer or is
// disconnected, the program goes on, and the next client is served.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <exception>
#include <string>

#include "failing_new.hpp"
#include "support/sanitized.hpp"
#include "unit/observe/fixture.hpp"

namespace pollux::test {
namespace {

constexpr std::size_t kStride = kSanitized ? 5 : 1;

/// Runs the Control some times while allocation `n` fails. Returns whether one failed.
bool run_failing(TelemetryFixture& fixture, std::size_t n) {
  failing_new::fail_at(n);
  for (int runs = 0; runs < 3; ++runs) {
    fixture.clock->advance(std::chrono::milliseconds(20));
    try {
      EXPECT_TRUE(fixture.context.control().run_due());
    } catch (const std::exception& error) {
      ADD_FAILURE() << "allocation " << n << ": the program would have ended: " << error.what();
    }
  }
  return failing_new::disarm();
}

TEST(TelemetryAllocation, AFailureIsAnAnswerOrEndsTheConnection) {
  TelemetryFixture fixture;
  for (const std::string method : {"process", "ports", "port.stats", "port.config", "no.such.method"}) {
    const std::string request = R"({"id":1,"method":")" + method +
                                R"(","params":{"port":"plx0"}})"
                                "\n";
    bool failed = true;
    unsigned refused = 0;
    for (std::size_t n = 0; failed && !testing::Test::HasFailure(); n += kStride) {
      TestClient client = fixture.client();
      ASSERT_EQ(::send(client.descriptor(), request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
      failed = run_failing(fixture, n);
      if (const auto line = client.receive_line()) {
        const Json answer = Json::parse(*line, nullptr, false);
        ASSERT_TRUE(answer.is_object()) << *line;
        if (answer.contains("error") && answer["error"]["code"] == "no_memory") ++refused;
      } else {
        EXPECT_TRUE(client.is_disconnected()) << "allocation " << n << " of " << method;
      }
      client.disconnect();
      TestClient next = fixture.client();
      EXPECT_TRUE(next.result("process").is_object()) << "allocation " << n << " of " << method;
    }
    EXPECT_GT(refused, 0u) << method;
  }
}

}  // namespace
}  // namespace pollux::test
