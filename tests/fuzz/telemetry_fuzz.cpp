// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary bytes from a client of telemetry. Each line gets one answer, a JSON object with a result or an error,
// unless the client is disconnected; and no frame buffer is lost.
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "observe/connection.hpp"
#include "unit/observe/fixture.hpp"

namespace {

using namespace pollux::test;

void check_answer(const std::string& line) {
  const Json answer = Json::parse(line, nullptr, false);
  require(answer.is_object() && answer.contains("id"), "an answer is an object with an id");
  require(answer.contains("result") != answer.contains("error"), "an answer has a result or an error");
  if (!answer.contains("error")) return;
  require(!answer["error"]["what"].get<std::string>().empty(), "an error says what failed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  client.send(input);
  ::shutdown(client.descriptor(), SHUT_WR);
  std::ptrdiff_t answers = 0;
  while (const auto line = client.receive_line()) {
    check_answer(*line);
    ++answers;
  }
  const auto lines = std::count(input.begin(), input.end(), '\n');
  const bool too_long = input.size() > pollux::observe::Connection::kMaxRequest;
  require(answers == lines || too_long, "each line has an answer");
  require(static_cast<bool>(fixture.every_mbuf_accounted_for()), "no buffer is lost");
  client.disconnect();
  TestClient next = fixture.client();
  require(next.result("process").is_object(), "the next client is served");
  return 0;
}
