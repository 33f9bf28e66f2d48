// SPDX-License-Identifier: BSD-3-Clause
// Clients of several users.
#include <grp.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fixture.hpp"
#include "observe/places.hpp"
#include "support/slow_clock.hpp"

namespace pollux::test {
namespace {

// Each request takes a run.
TEST(TelemetryClients, AUserWithManyDoesNotKeepAnotherWaiting) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can have a client of another user";
  constexpr uid_t kOther = 65534;
  ManualClock* clock = nullptr;
  int answers = 0;
  TelemetryFixture fixture({.group = 0, .account = [&]() -> std::optional<TelemetryAccount> {
                              clock->advance(std::chrono::milliseconds(1));
                              ++answers;
                              return std::nullopt;
                            }});
  clock = fixture.clock.get();
  ASSERT_EQ(::chmod(fixture.directory.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(fixture.telemetry.socket().c_str(), 0666), 0);
  TestClient own = fixture.client();
  std::deque<TestClient> others;
  ASSERT_EQ(::seteuid(kOther), 0);
  for (int i = 0; i < 12; ++i) others.push_back(fixture.client());
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_EQ(own.result("process")["clients"]["connected"], 13);
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += "{\"method\":\"account\"}\n";
  for (const TestClient& other : others)
    ASSERT_EQ(::send(other.descriptor(), requests.data(), requests.size(), 0), static_cast<ssize_t>(requests.size()));
  for (int i = 0; i < 10; ++i) {
    const int before = answers;
    ASSERT_TRUE(own.result("account").is_null());
    EXPECT_LE(answers - before, 3) << "its own, and one or two of the other user's";
  }
}

TEST(TelemetryClients, AUserWithManyLosesAPlaceToOneWithFewer) {
  constexpr uid_t kMany = 1000;
  constexpr uid_t kFew = 1001;
  std::vector<observe::Place> places;
  for (std::uint64_t id = 0; id < 6; ++id)
    places.push_back({id, kMany, Time(std::chrono::milliseconds(10 + id)), false});
  places.push_back({6, kFew, Time(std::chrono::milliseconds(1)), false});
  const auto leaving = [&](uid_t user) {
    const auto* const one = observe::place_for(places, user);
    return one == nullptr ? -1 : static_cast<int>(one->client);
  };
  EXPECT_EQ(leaving(kMany), -1);
  EXPECT_EQ(leaving(kFew), 0) << "the one of the others that has been silent for the longest time";
  places.back().is_idle = true;
  EXPECT_EQ(leaving(kFew), 6) << "an idle one comes first";
  EXPECT_EQ(leaving(kMany), -1) << "but not to a user who has more places";
  EXPECT_EQ(leaving(1002), 6);
  places.front().is_idle = true;
  EXPECT_EQ(leaving(kFew), 0) << "of idle ones that of the user with most places";
  EXPECT_EQ(leaving(kMany), 0);
  places.front().is_idle = places.back().is_idle = false;
  places.erase(places.begin(), places.end() - 3);
  EXPECT_EQ(leaving(kFew), -1) << "they would exchange places for ever";
  EXPECT_EQ(leaving(1002), 4) << "one has none yet";
}

TEST(TelemetryClients, NewOnesDoNotMakeARunLong) {
  const TemporaryDirectory directory;
  Context context(
      {.clock = std::make_shared<SlowClock>(std::chrono::microseconds(100)), .huge_pages = HugePages::never});
  const auto telemetry = Telemetry::create(context, {.directory = directory.path()});
  ASSERT_TRUE(telemetry) << telemetry.error().message();
  TestClient client(context, telemetry->socket());
  ASSERT_EQ(client.result("process")["clients"]["connected"], 1);
  std::deque<TestClient> others;
  for (int i = 0; i < 12; ++i) others.emplace_back(context, telemetry->socket());
  EXPECT_LT(client.result("process")["clients"]["connected"], 13);
  for (int i = 0; i < 12; ++i) static_cast<void>(client.result("process"));
  EXPECT_EQ(client.result("process")["clients"]["connected"], 13);
}

TEST(TelemetryClients, WhatIsNoRequestDoesNotMakeARunLong) {
  const TemporaryDirectory directory;
  Context context(
      {.clock = std::make_shared<SlowClock>(std::chrono::microseconds(100)), .huge_pages = HugePages::never});
  const auto telemetry = Telemetry::create(context, {.directory = directory.path()});
  ASSERT_TRUE(telemetry) << telemetry.error().message();
  std::deque<TestClient> clients;
  const std::string endless(70'000, 'x');
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back(context, telemetry->socket());
    static_cast<void>(clients.back().result("process"));
  }
  for (const TestClient& client : clients)
    ASSERT_EQ(::send(client.descriptor(), endless.data(), endless.size(), MSG_DONTWAIT), std::ssize(endless));
  const auto gone_after_a_run = [&] {
    context.clock().sleep_for(std::chrono::seconds(1));
    EXPECT_TRUE(context.control().run_due());
    return std::ranges::count_if(clients, [](const TestClient& client) {
      char byte = 0;
      const ssize_t count = ::recv(client.descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      return count == 0 || (count < 0 && errno != EAGAIN);
    });
  };
  EXPECT_LT(gone_after_a_run(), 12);
  for (int i = 0; i < 12; ++i) static_cast<void>(gone_after_a_run());
  EXPECT_EQ(gone_after_a_run(), 12);
}

/// Sets how many files the process may open, until its end.
class OpenFiles {
 public:
  explicit OpenFiles(rlim_t most) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit less{most, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &less), 0);
  }
  ~OpenFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

 private:
  rlimit before_{};
};

TEST(TelemetryClients, LeaveAHalfOfTheOpenFilesToTheProgram) {
  auto few = std::make_optional<OpenFiles>(64);
  TelemetryFixture fixture({.max_clients = 1024});
  few.reset();
  std::deque<TestClient> clients;
  for (int i = 1; i <= 32; ++i) {
    clients.push_back(fixture.client());
    ASSERT_EQ(clients.back().result("process")["clients"]["connected"], i);
  }
  TestClient next = fixture.client();
  const auto answer = next.receive_line();
  ASSERT_TRUE(answer);
  EXPECT_EQ(Json::parse(*answer)["error"]["code"], "busy");
}

// The permissions of the socket would let this client in.
TEST(TelemetryClients, OtherUsersAreDisconnected) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can run a client as another user";
  TelemetryFixture fixture({.mode = 0666});
  ASSERT_EQ(::chmod(fixture.directory.path().c_str(), 0755), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(2);
    TestClient client = fixture.client();
    pollfd waiting{client.descriptor(), POLLIN, 0};
    char byte = 0;
    const bool is_closed = ::poll(&waiting, 1, 10'000) == 1 && ::recv(client.descriptor(), &byte, 1, 0) == 0;
    ::_exit(is_closed ? 0 : 1);
  }
  int status = -1;
  while (::waitpid(child, &status, WNOHANG) == 0) {
    fixture.clock->advance(std::chrono::milliseconds(20));
    static_cast<void>(fixture.context.control().run_due());
  }
  EXPECT_EQ(status, 0);
  TestClient client = fixture.client();
  EXPECT_EQ(client.result("process")["clients"]["denied"], 1);
}

}  // namespace
}  // namespace pollux::test
