// SPDX-License-Identifier: BSD-3-Clause
// Arbitrary bytes from a client of telemetry. Each line gets one answer, a JSON object with a result or an error,
// unless the client is disconnected; and no frame buffer is lost. The program is kept for many clients, since it takes
// a hundred times as long to start as to answer.
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fuzz/require.hpp"
#include "observe/sockets.hpp"
#include "unit/observe/fixture.hpp"

namespace {

using namespace pollux::test;

/// Clients of one program. A finding that depends on those before it is repeated with all of them.
constexpr unsigned kClients = 2000;

void check_answer(const std::string& line) {
  const Json answer = Json::parse(line, nullptr, false);
  require(answer.is_object() && answer.contains("id"), "an answer is an object with an id");
  require(answer.contains("result") != answer.contains("error"), "an answer has a result or an error");
  if (!answer.contains("error")) return;
  require(!answer["error"]["what"].get<std::string>().empty(), "an error says what failed");
}

void serve(TelemetryFixture& fixture, const std::string& input) {
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
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::optional<TelemetryFixture> fixture;
  static unsigned clients = 0;
  const std::string input(reinterpret_cast<const char*>(data), size);
  if (input.find("capture") != std::string::npos) return -1;  // has a thread of its own: filter_fuzz
  if (!fixture || clients++ % kClients == 0) {
    if (fixture) require(static_cast<bool>(fixture->every_mbuf_accounted_for()), "no buffer is lost");
    fixture.reset();
    fixture.emplace();
  }
  serve(*fixture, input);
  return 0;
}
