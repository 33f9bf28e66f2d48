// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "pollux/open.hpp"
#include "servers/vfio_user/server.hpp"
#include "support/slow_clock.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace vfio_user;
using namespace std::chrono_literals;

TEST(VfioUserServer, ServesOneClientAfterTheOther) {
  ServerFixture fixture;
  auto first = fixture.client();
  auto second = fixture.connected();
  write_register(*first, 0x38, 0x1234);
  EXPECT_EQ(read_register(*first, 0x38) & 0xFFFF, 0x1234u);
  first.reset();
  ASSERT_TRUE(second->negotiate());
  EXPECT_EQ(fixture.server().sessions_ended(), 1u);
  EXPECT_NE(read_register(*second, 0x38) & 0xFFFF, 0x1234u) << "the card was reset";
  EXPECT_EQ(read_config(*second, 4, 2) & 4, 0u) << "bus mastering has ended";
}

TEST(VfioUserServer, DisconnectsAClientThatNeverSpeaks) {
  ServerFixture fixture;
  auto silent = fixture.connected();
  fixture.pump();
  ASSERT_TRUE(fixture.server().has_client());
  EXPECT_LE(fixture.server().next(), fixture.clock->now() + Session::kMaxStall);
  fixture.clock->advance(Session::kMaxStall + 1ms);
  EXPECT_TRUE(silent->closed());
  EXPECT_FALSE(fixture.server().has_client());
}

TEST(VfioUserServer, KeepsAClientThatHasNothingToSay) {
  ServerFixture fixture;
  auto client = fixture.client();
  for (int i = 0; i < 20; ++i) {
    fixture.clock->advance(1s);
    fixture.pump();
  }
  EXPECT_EQ(read_config(*client, 0, 4), 0x10C98086u);
}

TEST(VfioUserServer, KnowsWhenItsCardHasWork) {
  ServerFixture fixture;
  auto client = fixture.client();
  fixture.clock->advance(1s);
  fixture.pump();
  const Time idle = fixture.server().next();
  write_register(*client, 0, 1U << 26);  // CTRL.RST
  fixture.pump();
  EXPECT_LT(fixture.server().next(), idle);
  EXPECT_LT(fixture.server().next(), fixture.clock->now() + 10ms);
}

TEST(VfioUserServer, RejectsPathsThatCannotBeSockets) {
  ServerFixture fixture;
  for (const std::string& path : {std::string(), std::string(200, 'x'), (fixture.folder / "none" / "s").string()}) {
    const auto listener = Listener::create(path);
    ASSERT_FALSE(listener) << path;
    EXPECT_FALSE(listener.error().hint.empty());
  }
  const std::string file = fixture.folder / "file";
  std::ofstream(file) << "precious";
  const auto listener = Listener::create(file);
  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error().code, ErrorCode::busy);
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST(VfioUserServer, LeavesTheSocketOfAnotherOneThatHasItsPathByNow) {
  const ServerFixture fixture({"sim:0"});
  const std::string path = fixture.folder / "socket";
  auto first = std::make_optional(Listener::create(path));
  ASSERT_TRUE(*first);
  std::filesystem::rename(path, path + ".before");
  const auto second = Listener::create(path);
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(VfioUserServer, ReplacesOnlyASocketThatNobodyListensOn) {
  ServerFixture fixture;
  const auto in_use = Listener::create(fixture.path());
  ASSERT_FALSE(in_use);
  EXPECT_EQ(in_use.error().code, ErrorCode::busy);
  EXPECT_THAT(in_use.error().what, testing::HasSubstr(fixture.path()));
  // A process that was killed leaves its socket behind.
  const std::string stale = fixture.folder / "stale";
  {
    const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    stale.copy(static_cast<char*>(address.sun_path), stale.size());
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ASSERT_TRUE(std::filesystem::exists(stale));
  {
    const auto listener = Listener::create(stale);
    EXPECT_TRUE(listener) << listener.error().message();
  }
  EXPECT_FALSE(std::filesystem::exists(stale));
}

TEST(VfioUserServer, ItsSocketIsForItsUserAlone) {
  const ServerFixture fixture(std::vector<std::string>{});
  const mode_t before = ::umask(0);
  const auto listener = Listener::create(fixture.path());
  ::umask(before);
  ASSERT_TRUE(listener);
  struct stat file {};
  ASSERT_EQ(::stat(fixture.path().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
}

/// What a client of another user gets, in a process of its own.
enum class Answer { none, closed, version };
Answer answer_to_nobody(ServerFixture& fixture) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) ::_exit(0);
    VfioUserClient client(fixture.path(), [] { std::this_thread::sleep_for(1ms); });
    const bool negotiated = client.negotiate();
    ::_exit(static_cast<int>(negotiated ? Answer::version : client.closed() ? Answer::closed : Answer::none));
  }
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) fixture.pump();
  return static_cast<Answer>(WEXITSTATUS(status));
}

// The permissions of the socket would let this client in.
TEST(VfioUserServer, TurnsOtherUsersAwayUnlessTheSocketIsTheirs) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can run a client as another user";
  ServerFixture fixture;
  std::filesystem::permissions(fixture.folder, std::filesystem::perms(0755));
  std::filesystem::permissions(fixture.path(), std::filesystem::perms(0666));
  EXPECT_EQ(answer_to_nobody(fixture), Answer::closed);
  EXPECT_TRUE(fixture.has_logged("another user"));
  ASSERT_EQ(::chown(fixture.path().c_str(), 65534, 65534), 0);
  EXPECT_EQ(answer_to_nobody(fixture), Answer::version);
}

TEST(VfioUserServer, OneMessageDoesNotHoldUpOtherClients) {
  Context context(
      {.clock = std::make_shared<SlowClock>(10us), .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30});
  const ServerFixture folder(std::vector<std::string>{});
  auto device = open_device(context, "sim:0");
  ASSERT_TRUE(device);
  auto server = Server::create(context, *std::move(device), folder.path());
  ASSERT_TRUE(server);
  unsigned turns = 0;
  VfioUserClient client(folder.path(), [&] {
    ++turns;
    (*server)->work();
  });
  ASSERT_TRUE(client.negotiate());
  constexpr std::uint64_t kWrites = 2000;
  Bytes message = packed(kWrites);
  for (std::uint32_t i = 0; i < kWrites; ++i) append(message, SingleWrite{0x38, 0, 4, i});
  turns = 0;
  EXPECT_EQ(client.error_of(Command::region_write_multi, message), 0);
  EXPECT_GE(turns, kWrites * 10us / Session::kMaxTurn);
  EXPECT_EQ(read_register(client, 0x38), kWrites - 1) << "the last write";
  turns = 0;
  EXPECT_EQ(client.region_write(0, 0, Bytes(0x10000)), 0);
  EXPECT_GE(turns, 0x10000 / 64 * 10us / Session::kMaxTurn);
}

TEST(VfioUserServer, ServesInRealTimeUntilItIsStopped) {
  Context context({.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30});
  ServerFixture folder(std::vector<std::string>{});
  std::vector<std::unique_ptr<Server>> servers;
  auto device = open_device(context, "sim:0");
  ASSERT_TRUE(device);
  auto server = Server::create(context, *std::move(device), folder.path());
  ASSERT_TRUE(server);
  servers.push_back(*std::move(server));
  std::atomic<bool> stop{false};
  std::thread thread([&] { EXPECT_TRUE(serve(context.clock(), servers, [&] { return stop.load(); })); });
  {
    VfioUserClient client(folder.path(), [] { std::this_thread::sleep_for(1ms); });
    EXPECT_TRUE(client.negotiate());
    EXPECT_EQ(read_config(client, 0, 4), 0x10C98086u);
  }
  stop = true;
  thread.join();
}

TEST(VfioUserServer, DoesOtherWorkWhenItIsDueAndWhenItsDescriptorSaysSo) {
  ManualClock clock;
  const Time start = clock.now();
  const FileDescriptor event(::eventfd(0, EFD_CLOEXEC));
  std::vector<Duration> calls;
  const auto run = [&]() -> std::optional<Time> {
    calls.push_back(clock.now() - start);
    std::uint64_t count = 1;
    switch (calls.size()) {
      case 1: return clock.now() + 7ms;
      case 2: EXPECT_EQ(::write(event.get(), &count, sizeof count), ssize_t{sizeof count}); return Time::max();
      case 3: EXPECT_EQ(::read(event.get(), &count, sizeof count), ssize_t{sizeof count}); return Time::max();
      default: return std::nullopt;
    }
  };
  EXPECT_TRUE(serve_beside(clock, {}, {.run = run, .descriptor = event.get()}));
  EXPECT_EQ(calls, (std::vector<Duration>{0ms, 7ms, 7ms, 107ms})) << "at least every 100 ms, too";
}

}  // namespace
}  // namespace pollux::test
