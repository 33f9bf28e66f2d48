// SPDX-License-Identifier: BSD-3-Clause
#include <atomic>
#include <string>
#include <thread>

#include "fixture.hpp"

namespace pollux::test {
namespace {

// The Control's thread answers, while another thread opens ports, polls them and destroys them.
TEST(TelemetryThreads, AskWhileAnotherOpensPollsAndCloses) {
  TemporaryDirectory directory;
  Context context({.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30, .control_thread = true});
  const auto pool = Mempool::create(context, {.count = 1024});
  ASSERT_TRUE(pool);
  const auto telemetry = Telemetry::create(context, {.directory = directory.path()});
  ASSERT_TRUE(telemetry);
  std::atomic<bool> running{true};
  std::atomic<int> asked{0};
  std::thread program([&] {
    while (running) {
      auto port = open(context, "null:?rx=64", {.rx = {{.pool = *pool}}});
      if (!port) return ADD_FAILURE() << port.error().message(), void();
      // Each port lives until something was asked, so that requests meet living and closing ones on any machine.
      for (const int before = asked; running && asked == before;) {
        Burst<32> burst;
        port->rx(0).rx_burst(burst);
        port->tx(0).tx_burst(burst);
      }
    }
  });
  TestClient client(context, telemetry->socket());
  int measured = 0;
  for (int i = 0; i < 2000 && measured < 5; ++i) {
    for (const Json& port : client.result("ports")) {
      const Json params{{"port", port["name"]}};
      static_cast<void>(client.ask("port.stats", params));
      // The port may be gone by now.
      static_cast<void>(client.ask("port.watch", {{"port", port["name"]}, {"on", true}}));
      const Json answer = client.ask("port.histograms", params);
      if (answer.contains("result") && answer["result"].is_object()) ++measured;
      ++asked;
    }
  }
  running = false;
  program.join();
  EXPECT_EQ(measured, 5);
}

}  // namespace
}  // namespace pollux::test
