// SPDX-License-Identifier: BSD-3-Clause
// Clients that break the rules of the protocol, or do not read their answers.
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "observe/sockets.hpp"
#include "support/settings_edits.hpp"
#include "support/slow_clock.hpp"

namespace pollux::test {
namespace {

using testing::Optional;

const Json kPort{{"port", "plx0"}};

TEST(TelemetryClients, LinesThatAreNoRequestsGetAnError) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const std::string deep(30'000, '[');
  for (const std::string& line :
       {std::string(), std::string("hello"), std::string("[]"), std::string("7"), std::string("{"),
        std::string("\xFF\xFE\0{", 4), std::string(R"({"id":1})"), std::string(R"({"method":7})"),
        std::string(R"({"method":"ports","params":[]})"), std::string(R"({"method":"ports","params":"plx0"})"), deep,
        R"({"method":"ports","id":)" + deep, std::string("{\"method\":\"\xC3\x28\"}")}) {
    client.send(line + "\n");
    const auto answer = client.receive_line();
    ASSERT_TRUE(answer) << line.substr(0, 40);
    const Json parsed = Json::parse(*answer, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << *answer;
    EXPECT_TRUE(parsed.contains("error")) << *answer;
  }
  EXPECT_EQ(client.result("ports").size(), 1U) << "the client is served on";
}

// The thread that answers may be the one that polls, and looks for each key among all before it.
TEST(TelemetryClients, ARequestWithThousandsOfKeysIsRejected) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  Json params{{"port", "plx0"}};
  for (int i = 0; i < 62; ++i) params["k" + std::to_string(i)] = 0;
  EXPECT_EQ(client.error("port.link", params), "") << "unknown parameters are ignored";
  for (int i = 0; i < 5000; ++i) params["l" + std::to_string(i)] = 0;
  client.send(Json{{"method", "port.link"}, {"params", params}}.dump() + "\n");
  const auto answer = client.receive_line();
  ASSERT_TRUE(answer);
  EXPECT_THAT(*answer, testing::HasSubstr("too many members"));
  EXPECT_THAT(*answer, testing::HasSubstr("at most 64"));
}

TEST(TelemetryClients, IdsReturnAsTheyCame) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  client.send(R"({"id":"a b","method":"nothing"})"
              "\r\n");
  EXPECT_EQ(Json::parse(*client.receive_line())["id"], "a b");
  client.send(R"({"id":{"x":[1]},"method":"nothing"})"
              "\n");
  EXPECT_TRUE(Json::parse(*client.receive_line())["id"].is_null());
}

TEST(TelemetryClients, RequestsMayComeInPiecesAndInHeaps) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  const std::string line = R"({"id":1,"method":"ports"})"
                           "\n";
  for (const char byte : line) client.send({&byte, 1});
  EXPECT_TRUE(client.receive_line());
  std::string heap;
  for (int i = 0; i < 50; ++i)
    heap += R"({"id":)" + std::to_string(i) +
            R"(,"method":"process"})"
            "\n";
  client.send(heap);
  for (int i = 0; i < 50; ++i) {
    const auto answer = client.receive_line();
    ASSERT_TRUE(answer) << i;
    EXPECT_EQ(Json::parse(*answer)["id"], i);
  }
}

// A program that waits for the Control's descriptor hears of every request, although it is told of each change once.
TEST(TelemetryClients, EveryRequestWakesTheControl) {
  TelemetryFixture fixture;
  pollfd waiting{fixture.context.control().event_fd(), POLLIN, 0};
  TestClient client = fixture.client();
  std::string heap;
  for (int i = 0; i < 50; ++i)
    heap += R"({"method":"process"})"
            "\n";
  ASSERT_EQ(::send(client.descriptor(), heap.data(), heap.size(), MSG_DONTWAIT), static_cast<ssize_t>(heap.size()));
  int answers = 0;
  for (int runs = 0; runs < 1000 && answers < 50; ++runs) {
    // No time passes on the Context's clock, so only events can make the task run.
    const bool woken = ::poll(&waiting, 1, 0) == 1;
    if (woken) static_cast<void>(fixture.context.control().run_due());
    fixture.clock->advance(Duration(1));
    char chunk[65536];
    const ssize_t count = ::recv(client.descriptor(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (count > 0) answers += static_cast<int>(std::count(chunk, chunk + count, '\n'));
  }
  EXPECT_EQ(answers, 50);
}

TEST(TelemetryClients, AnswersWhatWasAskedBeforeTheEnd) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  client.send(R"({"id":1,"method":"port.registers","params":{"port":"plx0"}})"
              "\n"
              R"({"id":2,"method":"ports"})"
              "\n");
  ASSERT_EQ(::shutdown(client.descriptor(), SHUT_WR), 0);
  EXPECT_TRUE(client.receive_line());
  ASSERT_TRUE(client.receive_line());
  EXPECT_TRUE(client.is_disconnected());
}

TEST(TelemetryClients, LineThatIsTooLongDisconnects) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  client.send(std::string(observe::Connection::kMaxRequest + 10'000, 'x'));
  EXPECT_TRUE(client.is_disconnected());
  TestClient other = fixture.client();
  EXPECT_EQ(other.result("process")["clients"]["too_long"], 1);
}

TEST(TelemetryClients, SlowClientDisconnectsAndOthersAreServed) {
  TelemetryFixture fixture;
  TestClient slow = fixture.client();
  TestClient other = fixture.client();
  const std::string request = R"({"method":"port.registers","params":{"port":"plx0","fields":true}})"
                              "\n";
  Json counts;
  for (int i = 0; i < 2000; ++i) {
    static_cast<void>(::send(slow.descriptor(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    if (i % 10 != 0) continue;
    counts = other.result("process")["clients"];
    if (counts["too_slow"] == 1) break;
  }
  EXPECT_EQ(counts["too_slow"], 1);
  EXPECT_EQ(counts["connected"], 1);
}

TEST(TelemetryClients, ClientThatAlwaysLeavesARestCostsNoMoreMemory) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  observe::Connection connection(1, PeerSocket(FileDescriptor(ends[0])));
  const FileDescriptor client(ends[1]);
  const std::string reply(std::size_t{64} << 10, 'x');
  // Fills the socket, and leaves some replies.
  while (connection.held() < 4 * reply.size()) {
    connection.reply(reply);
    connection.flush();
  }
  std::vector<char> chunk(reply.size() + 1);
  std::size_t most = 0;
  for (int i = 0; i < 200; ++i) {
    for (std::size_t taken = 0; taken < chunk.size();) {
      const ssize_t count = ::recv(client.get(), chunk.data(), chunk.size() - taken, MSG_DONTWAIT);
      if (count <= 0) break;
      taken += static_cast<std::size_t>(count);
    }
    connection.reply(reply);
    connection.flush();
    ASSERT_TRUE(connection.has_replies());
    most = std::max(most, connection.held());
  }
  EXPECT_LT(most, 2 * observe::Connection::kMaxQueued);
  EXPECT_FALSE(connection.is_too_slow());
}

TEST(TelemetryClients, OneTooManyIsToldSo) {
  TelemetryFixture fixture({.max_clients = 2});
  std::deque<TestClient> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(fixture.client());
    EXPECT_EQ(clients.back().result("ports").size(), 1U);
  }
  TestClient third = fixture.client();
  const auto answer = third.receive_line();
  ASSERT_TRUE(answer);
  EXPECT_EQ(Json::parse(*answer)["error"]["code"], "busy");
  EXPECT_TRUE(third.is_disconnected());
  clients.pop_front();
  EXPECT_EQ(clients.front().result("ports").size(), 1U);
  EXPECT_EQ(clients.front().result("process")["clients"]["connected"], 1);
  TestClient fourth = fixture.client();
  EXPECT_EQ(fourth.result("process")["clients"]["too_many"], 1);
}

TEST(TelemetryClients, AnIdleOneLosesItsPlace) {
  TelemetryFixture fixture({.max_clients = 2});
  TestClient idle = fixture.client();
  EXPECT_EQ(idle.result("ports").size(), 1U);
  TestClient other = fixture.client();
  for (int i = 0; i < 100; ++i) {
    fixture.clock->advance(std::chrono::milliseconds(20));
    EXPECT_EQ(other.result("ports").size(), 1U);
  }
  TestClient third = fixture.client();
  EXPECT_EQ(third.result("process")["clients"]["idle"], 1);
  EXPECT_TRUE(idle.is_disconnected());
  EXPECT_EQ(other.result("process")["clients"]["connected"], 2);
}

TEST(TelemetryClients, OneThatWaitsForItsAnswerIsNotIdle) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const FileDescriptor client(ends[1]);
  observe::Connection connection(1, PeerSocket(FileDescriptor(ends[0])), Time(0));
  constexpr Time kLater = std::chrono::seconds(9);
  EXPECT_TRUE(connection.place(kLater).is_idle);
  connection.set_waits(true);
  EXPECT_FALSE(connection.place(kLater).is_idle) << "its filter is being compiled";
  connection.set_waits(false);
  ASSERT_EQ(::send(client.get(), "{", 1, 0), 1);
  EXPECT_FALSE(connection.place(kLater).is_idle);
}

// Each request of these clients takes a millisecond.
TEST(TelemetryClients, TogetherTakeASmallPartOfTheTime) {
  ManualClock* clock = nullptr;
  int answers = 0;
  TelemetryFixture fixture({.account = [&]() -> std::optional<TelemetryAccount> {
    clock->advance(std::chrono::milliseconds(1));
    ++answers;
    return std::nullopt;
  }});
  clock = fixture.clock.get();
  std::deque<TestClient> clients;
  for (int i = 0; i < 15; ++i) clients.push_back(fixture.client());
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "{\"method\":\"account\"}\n";
  for (TestClient& client : clients)
    ASSERT_EQ(::send(client.descriptor(), requests.data(), requests.size(), 0), static_cast<ssize_t>(requests.size()));
  const Time begin = clock->now();
  while (clock->now() - begin < std::chrono::seconds(5)) {
    ASSERT_TRUE(fixture.context.control().run_due());
    clock->advance(std::chrono::microseconds(100));  // the program's own work
  }
  EXPECT_GT(answers, 100);
  EXPECT_LT(answers, 500) << "a tenth of 5 seconds";
}

TEST(TelemetryClients, GetAnswersOnASlowMachine) {
  const TemporaryDirectory directory;
  Context context({.clock = std::make_shared<SlowClock>(std::chrono::milliseconds(1)), .huge_pages = HugePages::never});
  const auto telemetry = Telemetry::create(context, {.directory = directory.path()});
  ASSERT_TRUE(telemetry) << telemetry.error().message();
  TestClient silent(context, telemetry->socket());
  TestClient client(context, telemetry->socket());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(client.result("process")["clients"]["connected"], 2);
}

TEST(TelemetryClients, TheEndOfTelemetryDisconnects) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  ASSERT_EQ(client.result("ports").size(), 1U);
  { const Telemetry ended = std::move(fixture.telemetry); }
  EXPECT_TRUE(client.is_disconnected());
}

TEST(TelemetryOptions, BadOnesAreRejected) {
  CardFixture fixture;
  TemporaryDirectory directory;
  const auto error = [&](TelemetryOptions options) {
    if (options.directory.empty()) options.directory = directory.path();
    const auto made = Telemetry::create(fixture.context, std::move(options));
    return made ? std::nullopt : std::optional(made.error().code);
  };
  EXPECT_THAT(error({.max_clients = 0}), Optional(ErrorCode::invalid_argument));
  EXPECT_THAT(error({.socket = directory.path() + '/' + std::string(200, 'x')}), Optional(ErrorCode::invalid_argument));
  EXPECT_THAT(error({.socket = directory.path() + "/no/such/directory"}), Optional(ErrorCode::io_error));
  EXPECT_THAT(error({.directory = "/proc/nothing"}), Optional(ErrorCode::io_error));
  EXPECT_THAT(error({.directory = "/tmp"}), Optional(ErrorCode::permission_denied)) << "everyone may write there";
  const auto first =
      Telemetry::create(fixture.context, {.socket = directory.path() + "/a.sock", .directory = directory.path()});
  ASSERT_TRUE(first);
  EXPECT_THAT(error({.socket = directory.path() + "/a.sock"}), Optional(ErrorCode::busy));
}

TEST(TelemetryHistograms, AreMeasuredOnlyWhileAClientWatches) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  EXPECT_TRUE(client.result("port.histograms", kPort).is_null());
  EXPECT_EQ(client.error("port.watch", {{"port", "plx0"}, {"on", true}}), "");
  for (unsigned i = 0; i < 5; ++i) fixture.inject(counting_frame(100, i));
  fixture.clock->advance(std::chrono::milliseconds(1));
  EXPECT_EQ(fixture.receive_all().size(), 5U);  // a burst with frames, and an empty one
  ASSERT_TRUE(fixture.transmit(counting_frame(60)));
  Json histograms = client.result("port.histograms", kPort);
  ASSERT_EQ(histograms["rx"].size(), 1U);
  const Json rx = histograms["rx"][0];
  EXPECT_EQ(rx["bursts"], 1);
  EXPECT_EQ(rx["frames"], 5);
  EXPECT_EQ(rx["empty_polls"], 1);
  EXPECT_EQ(rx["busy_frames"], 5);
  EXPECT_GT(rx["cycles_per_frame"].get<double>(), 0);
  EXPECT_EQ(rx["burst_sizes"], (Json{0, 0, 0, 1})) << "4 to 7 frames";
  EXPECT_EQ(histograms["tx"][0]["bursts"], 1);
  EXPECT_EQ(histograms["tx"][0]["burst_sizes"], (Json{0, 1}));
  // They are detached with their last client.
  TestClient second = fixture.client();
  EXPECT_EQ(second.error("port.watch", {{"port", "plx0"}, {"on", true}}), "");
  client.disconnect();
  EXPECT_EQ(second.result("ports").size(), 1U);
  EXPECT_FALSE(second.result("port.histograms", kPort).is_null());
  EXPECT_EQ(second.error("port.watch", {{"port", "plx0"}, {"on", false}}), "");
  EXPECT_TRUE(second.result("port.histograms", kPort).is_null());
}

TEST(TelemetryHistograms, FollowAPortThatIsConfiguredAgain) {
  TelemetryFixture fixture;
  TestClient client = fixture.client();
  EXPECT_EQ(client.error("port.watch", {{"port", "plx0"}, {"on", true}}), "");
  ASSERT_TRUE(fixture.port.stop());
  fixture.config.rx.resize(2, fixture.config.rx[0]);
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  EXPECT_EQ(client.result("port.histograms", kPort)["rx"].size(), 2U);
  fixture.config.rx.resize(1, fixture.config.rx[0]);
  ASSERT_TRUE(configure_port(fixture.port, fixture.config));
  ASSERT_TRUE(fixture.port.start());
  EXPECT_EQ(client.result("port.histograms", kPort)["rx"].size(), 1U);
  ASSERT_TRUE(fixture.port.close());
  EXPECT_EQ(client.error("port.histograms", kPort), "not_found");
}

}  // namespace
}  // namespace pollux::test
