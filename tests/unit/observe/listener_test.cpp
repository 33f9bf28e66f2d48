// SPDX-License-Identifier: BSD-3-Clause
#include "observe/sockets.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "fixture.hpp"

namespace pollux::test {
namespace {

bool connects(const std::string& path) {
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);  // NOLINT(*-reinterpret-cast): connect(2)
  return ::connect(socket.get(), generic, sizeof address) == 0;
}

TEST(Listener, WhoSeesItsSocketCanConnect) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/program.sock";
  std::atomic<bool> over{false};
  std::atomic<unsigned> seen{0};
  std::atomic<unsigned> refused{0};
  std::atomic<bool> may_close{false};
  std::thread client([&] {
    while (!over) {
      if (may_close || ::access(path.c_str(), F_OK) != 0) continue;
      ++seen;
      if (!connects(path)) ++refused;
      may_close = true;
    }
  });
  for (int round = 0; round < 500; ++round) {
    const auto listener =
        observe::Listener::create({.directory = *observe::OwnDirectory::open(directory.path()), .socket = path});
    ASSERT_TRUE(listener) << listener.error().message();
    while (!may_close) std::this_thread::yield();
    static_cast<void>(::unlink(path.c_str()));
    may_close = false;
  }
  over = true;
  client.join();
  EXPECT_EQ(seen, 500U);
  EXPECT_EQ(refused, 0U);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Listener, LeavesAnotherOneThatHasItsNameByNow) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/program.sock";
  const auto listener = [&] {
    return observe::Listener::create({.directory = *observe::OwnDirectory::open(directory.path()), .socket = path});
  };
  std::optional<Result<observe::Listener>> first(listener());
  ASSERT_TRUE(*first);
  std::filesystem::rename(path, path + ".before");
  const auto second = listener();
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(connects(path));
}

TEST(Listener, LeavesWhatHasItsNameAlone) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/program.sock";
  const auto first =
      observe::Listener::create({.directory = *observe::OwnDirectory::open(directory.path()), .socket = path});
  ASSERT_TRUE(first);
  const auto second =
      observe::Listener::create({.directory = *observe::OwnDirectory::open(directory.path()), .socket = path});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_NE(second.error().what.find(path), std::string::npos) << second.error().what;
  EXPECT_TRUE(connects(path));
  EXPECT_FALSE(std::filesystem::exists(directory.path() + "/program.soc~"));
}

}  // namespace
}  // namespace pollux::test
