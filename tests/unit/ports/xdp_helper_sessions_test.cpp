// SPDX-License-Identifier: BSD-3-Clause
// How a helper's clients share it: these ask for an interface that it does not offer.
#include "ports/xdp/helper_sessions.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "ports/xdp/helper_client.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr uid_t kAlice = 1000;
constexpr uid_t kBob = 1001;
constexpr std::size_t kSessions = 8;

/// The other end of a session.
class HelperPeer {
 public:
  explicit HelperPeer(int socket) : socket_(socket) {}
  [[nodiscard]] int get() const { return socket_.get(); }
  void ask() const {
    xdp::MessageWriter request;
    request.number(static_cast<std::uint32_t>(xdp::HelperCall::open));
    request.number(xdp::kHelperVersion);
    request.text("plxu0");
    EXPECT_EQ(xdp::send_message(get(), request.all(), {}), 0);
  }
  /// Receives the answers that are there.
  [[nodiscard]] std::size_t answers() const {
    std::size_t count = 0;
    while (receive() > 0) ++count;
    return count;
  }
  [[nodiscard]] bool is_ended() const { return receive() == 0; }

 private:
  [[nodiscard]] ssize_t receive() const {
    std::array<char, 1024> bytes{};
    return ::recv(get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  }

  FileDescriptor socket_;
};

class XdpHelperSessions : public testing::Test {
 protected:
  HelperPeer connect(uid_t user) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    sessions_.accept(PeerSocket(FileDescriptor(ends[0])), user);
    return HelperPeer(ends[1]);
  }
  std::size_t connected(uid_t user, std::size_t count) {
    std::size_t live = 0;
    for (std::size_t i = 0; i < count; ++i) {
      HelperPeer one = connect(user);
      if (one.is_ended()) continue;
      ++live;
      peers_.push_back(std::move(one));
    }
    return live;
  }
  /// False: there was nothing to serve.
  bool round() {
    std::vector<pollfd> waiting;
    sessions_.append(waiting);
    const bool is_ready = ::poll(waiting.data(), waiting.size(), 0) > 0;
    sessions_.serve(waiting);
    return is_ready;
  }
  void rounds(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) round();
  }

  ManualClock clock_;
  const xdp::HelperPolicy policy_;
  std::vector<std::string> warnings_;
  xdp::HelperSessions sessions_{clock_, policy_,
                                [this](LogLevel level, std::string_view message) {
                                  if (level == LogLevel::warning) warnings_.emplace_back(message);
                                },
                                kSessions};
  std::vector<HelperPeer> peers_;
};

TEST_F(XdpHelperSessions, AUserHasNoMoreThanAreLeftForOthers) {
  EXPECT_EQ(connected(kAlice, kSessions), 4U);
  EXPECT_THAT(warnings_, ElementsAre("refused a process of user 1000: it has as many of the 8 sessions as are left for "
                                     "others; end some of its ports, or start another helper (--socket)"));
  EXPECT_EQ(connected(kBob, kSessions), 2U);
  EXPECT_EQ(connected(0, kSessions), 1U);
  EXPECT_EQ(connected(1002, kSessions), 1U);
  warnings_.clear();
  EXPECT_EQ(connected(1003, 1), 0U);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("user 1003: all 8 sessions are taken; end ports")));
  peers_.erase(peers_.begin());
  rounds(1);
  EXPECT_EQ(connected(1003, 1), 1U);
}

TEST_F(XdpHelperSessions, AConnectionWithoutAnInterfaceEnds) {
  const HelperPeer silent = connect(kAlice);
  clock_.advance(std::chrono::seconds(1));
  const HelperPeer refused = connect(kAlice);
  refused.ask();
  clock_.advance(xdp::HelperSessions::kOpenLimit - std::chrono::milliseconds(1001));
  rounds(2);
  EXPECT_FALSE(silent.is_ended());
  EXPECT_EQ(refused.answers(), 1U);
  EXPECT_THAT(warnings_, IsEmpty());
  clock_.advance(std::chrono::milliseconds(1));
  rounds(1);
  EXPECT_TRUE(silent.is_ended());
  EXPECT_FALSE(refused.is_ended());
  clock_.advance(std::chrono::seconds(1));
  rounds(1);
  EXPECT_TRUE(refused.is_ended());
  EXPECT_THAT(warnings_, ElementsAre("ended a connection of user 1000: no interface was opened within 5 s"));
}

TEST_F(XdpHelperSessions, NoRequestIsServedBeforeTheLastAnswerWasTaken) {
  const HelperPeer early = connect(kAlice);
  for (int i = 0; i < 3; ++i) early.ask();
  ASSERT_TRUE(round());
  ASSERT_TRUE(round()) << "the second request";
  EXPECT_FALSE(round()) << "it is not waited for, or each wait would end at once";
  EXPECT_EQ(early.answers(), 1U);
  rounds(3);
  EXPECT_EQ(early.answers(), 1U);
  rounds(3);
  EXPECT_EQ(early.answers(), 1U);
  EXPECT_FALSE(round());
}

// What it has sent would stay in flight.
TEST_F(XdpHelperSessions, ASessionStaysWhileItsAnswerIsInFlight) {
  const HelperPeer alice = connect(kAlice);
  alice.ask();
  rounds(1);
  for (const int how : {SHUT_WR, SHUT_RDWR}) {
    ::shutdown(alice.get(), how);
    rounds(2);
    EXPECT_EQ(connected(kAlice, kSessions), 3U);
    EXPECT_FALSE(round()) << "it is not waited for";
    peers_.clear();
    rounds(4);
  }
  EXPECT_EQ(alice.answers(), 1U);
  rounds(2);
  EXPECT_EQ(connected(kAlice, kSessions), 4U);
}

TEST_F(XdpHelperSessions, AUserHasOneRequestInARound) {
  ASSERT_EQ(connected(kAlice, 3), 3U);
  const HelperPeer bob = connect(kBob);
  for (int i = 0; i < 3; ++i) {
    for (const HelperPeer& one : peers_) one.ask();
    bob.ask();
    rounds(1);
    EXPECT_EQ(bob.answers(), 1U);
    rounds(2);
    for (const HelperPeer& one : peers_) EXPECT_EQ(one.answers(), 1U) << "in turn";
  }
}

TEST_F(XdpHelperSessions, EachWarningIsLoggedOnceAMinute) {
  for (int i = 0; i < 2; ++i) {
    connected(kAlice, 3 * kSessions);
    EXPECT_THAT(warnings_, SizeIs(1 + 2 * i));
    clock_.advance(std::chrono::minutes(1));
    rounds(1);  // ends what is silent, and says so
    peers_.clear();
  }
}

TEST(XdpHelperClient, DoesNotWaitForEverForAHelperThatAcceptsNobody) {
  const std::string path = testing::TempDir() + "plx-helper-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const FileDescriptor listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  const FileDescriptor first(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(first.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const auto client = xdp::HelperClient::open(path, "plxu0", "xdp:plxu0");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, ErrorCode::timeout);
  EXPECT_THAT(client.error().what, HasSubstr("accepts no connection"));
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace pollux::ports
