// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "pollux/open.hpp"
#include "servers/vfio_user/listener.hpp"
#include "servers/vfio_user/serve.hpp"
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
