// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/machine.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "unit/qtest/fake_qemu.hpp"

namespace pollux::qtest {
namespace {

using std::chrono::milliseconds;
using test::FakePeer;
using test::FakeQemu;
using test::kLongTimeout;
using test::SocketPair;

/// A connection whose other end the test controls.
struct Fixture {
  explicit Fixture(QtestConnection::Limits limits = kLongTimeout)
      : peer(std::move(pair.far)), connection(std::move(pair.near), limits, [this] { ++failures; }) {}
  SocketPair pair;
  FakePeer peer;
  int failures = 0;
  QtestConnection connection;
};

constexpr QtestConnection::Limits kShortTimeout{.unanswered = 8, .timeout = milliseconds(40)};

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(QtestConnection, WritesAreQueuedUntilFlushed) {
  Fixture fixture;
  fixture.connection.write32(0xC0000018, 0xDEADBEEF);
  fixture.connection.write32(0xC0003818, 0);
  EXPECT_EQ(fixture.peer.receive(), "");
  fixture.connection.flush();
  EXPECT_EQ(fixture.peer.receive(), "writel 0xc0000018 0xdeadbeef\nwritel 0xc0003818 0x0\n");
}

TEST(QtestConnection, AReadFollowsEveryEarlierWrite) {
  Fixture fixture;
  fixture.connection.write32(0x10, 1);
  fixture.connection.write32(0x14, 2);
  fixture.peer.send("OK\nOK\nOK 0x00000000cafe0008\n");
  EXPECT_EQ(fixture.connection.read32(0x8), 0xCAFE0008u);
  EXPECT_EQ(fixture.peer.receive(), "writel 0x10 0x1\nwritel 0x14 0x2\nreadl 0x8\n");
}

TEST(QtestConnection, NarrowAccessesUseTheirOwnCommands) {
  Fixture fixture;
  fixture.connection.write(0x10, 1, 0xAB);
  fixture.connection.write(0x12, 2, 0xCDEF);
  fixture.peer.send("OK\nOK\nOK 0x7f\n");
  EXPECT_EQ(fixture.connection.read(0x11, 1), 0x7Fu);
  fixture.peer.send("OK 0x1234\n");
  EXPECT_EQ(fixture.connection.read(0x12, 2), 0x1234u);
  EXPECT_EQ(fixture.peer.receive(), "writeb 0x10 0xab\nwritew 0x12 0xcdef\nreadb 0x11\nreadw 0x12\n");
  fixture.peer.close();
  EXPECT_EQ(fixture.connection.read(0x11, 1), 0xFFu);
  EXPECT_EQ(fixture.connection.read(0x12, 2), 0xFFFFu);
}

TEST(QtestConnection, AValueHasAllItsBits) {
  Fixture fixture;
  fixture.peer.send("OK 0xfedcba9876543210\n");
  EXPECT_EQ(fixture.connection.ask("readq 0x0"), 0xFEDCBA9876543210u);
}

TEST(QtestConnection, InterruptLinesBetweenRepliesAreIgnored) {
  Fixture fixture;
  fixture.connection.write32(0x10, 1);
  fixture.peer.send("IRQ raise 11\nOK\nIRQ lower 11\nIRQ raise 3\nOK 0x7\nIRQ lower 3\n");
  EXPECT_EQ(fixture.connection.read32(0), 7u);
  fixture.peer.send("OK 0x8\n");
  EXPECT_EQ(fixture.connection.read32(0), 8u);
}

TEST(QtestConnection, RepliesMayArriveLateAndInPieces) {
  Fixture fixture;
  std::thread slow([&] {
    for (const char letter : std::string("OK\nIRQ raise 1\nOK 0x0000000000000042\n")) {
      std::this_thread::sleep_for(milliseconds(1));
      fixture.peer.send({&letter, 1});
    }
  });
  fixture.connection.write32(0, 0);
  EXPECT_EQ(fixture.connection.read32(0), 0x42u);
  slow.join();
}

TEST(QtestConnection, AnInvalidReplyFailsTheConnection) {
  for (const char* const reply :
       {"FAIL\n", "ERR unknown\n", "\n", "OK 0x\n", "OK 12\n", "OK 0x12 \n", "OK 0xg\n", "OK -1\n", "OK 0x1 0x2\n",
        "OK 0x11111111111111111\n", "OK\n", "ok 0x1\n", "OK\tOK\n", "\xFF\n"}) {
    Fixture fixture;
    fixture.peer.send(reply);
    EXPECT_EQ(fixture.connection.ask("readl 0x0"), std::nullopt) << reply;
    EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::garbled) << reply;
    EXPECT_EQ(fixture.failures, 1) << reply;
  }
}

TEST(QtestConnection, AValueIsAnInvalidReplyToAWrite) {
  Fixture fixture;
  fixture.connection.write32(0, 0);
  fixture.peer.send("OK 0x1\nOK 0x1\n");
  EXPECT_EQ(fixture.connection.read32(0), ~0u);
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::garbled);
}

TEST(QtestConnection, AnUnexpectedReplyFailsTheConnection) {
  Fixture fixture;
  fixture.connection.write32(0, 0);
  fixture.connection.flush();
  fixture.peer.send("OK\nOK\n");
  fixture.connection.flush();
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::garbled);
}

TEST(QtestConnection, AnOverlongLineFailsTheConnection) {
  Fixture fixture;
  fixture.peer.send("OK 0x" + std::string(8000, '0'));
  EXPECT_EQ(fixture.connection.read32(0), ~0u);
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::garbled);
}

TEST(QtestConnection, AClosedSocketAlwaysReadsAllOnes) {
  Fixture fixture;
  fixture.peer.send("OK 0x");
  fixture.peer.close();
  EXPECT_EQ(fixture.connection.read32(0), ~0u);
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::closed);
  EXPECT_EQ(fixture.connection.read32(0), ~0u);
  EXPECT_EQ(fixture.connection.ask("inl 0xcfc"), std::nullopt);
  fixture.connection.write32(0, 0);
  fixture.connection.flush();
  EXPECT_EQ(fixture.failures, 1);
}

TEST(QtestConnection, WritingToAClosedSocketRaisesNoSignal) {
  Fixture fixture;
  fixture.peer.close();
  fixture.connection.write32(0, 0);
  fixture.connection.flush();
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::closed);
}

TEST(QtestConnection, AReadWithoutReplyTimesOut) {
  Fixture fixture(kShortTimeout);
  EXPECT_EQ(fixture.connection.read32(0), ~0u);
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::silent);
  EXPECT_EQ(fixture.failures, 1);
}

TEST(QtestConnection, InterruptLinesDoNotExtendTheTimeout) {
  Fixture fixture(kShortTimeout);
  std::atomic<bool> stop = false;
  int sent = 0;
  std::thread sender([&] {
    for (; !stop && fixture.peer.try_send("IRQ raise 1\n"); ++sent) {  // a connection that has failed is closed
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  EXPECT_EQ(fixture.connection.read32(0), ~0u);
  stop = true;
  sender.join();
  EXPECT_GT(sent, 1);
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::silent);
}

TEST(QtestConnection, FlushDetectsAMissingReply) {
  Fixture fixture(kShortTimeout);
  fixture.connection.write32(0, 0);
  fixture.connection.flush();
  EXPECT_FALSE(fixture.connection.failed());
  std::this_thread::sleep_for(2 * kShortTimeout.timeout);
  fixture.connection.flush();
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::silent);
}

TEST(QtestConnection, TheNumberOfUnansweredCommandsIsBounded) {
  Fixture fixture(kShortTimeout);
  for (std::uint32_t i = 0; i < kShortTimeout.unanswered; ++i) fixture.connection.write32(0, i);
  fixture.connection.flush();
  EXPECT_FALSE(fixture.connection.failed());
  // One more has to wait for replies, and none comes.
  fixture.connection.write32(0, 99);
  EXPECT_EQ(fixture.connection.failure(), ConnectionFailure::silent);
  EXPECT_EQ(fixture.peer.receive().find("0x63"), std::string::npos);
}

TEST(QtestConnection, RepliesAllowFurtherCommands) {
  Fixture fixture({.unanswered = 8, .timeout = kLongTimeout.timeout});
  for (int round = 0; round < 100; ++round) {
    for (std::uint32_t i = 0; i < 8; ++i) fixture.connection.write32(0, i);
    // The first command of the next round reads these.
    fixture.peer.send(repeat("OK\n", 8));
  }
  EXPECT_FALSE(fixture.connection.failed());
}

TEST(QtestConnection, SendsMoreThanItsBuffersHold) {
  std::atomic<unsigned> seen = 0;
  FakeQemu qemu([&](const std::string& command) {
    ++seen;
    return command.starts_with("writel") ? std::string("OK\n") : std::string("OK 0x5\n");
  });
  for (unsigned i = 0; i < 20000; ++i) qemu.connection().write32(0xC0000000 + i, ~i);
  EXPECT_EQ(qemu.connection().read32(0), 5u);
  EXPECT_EQ(seen, 20001u);
  EXPECT_EQ(qemu.commands()[19999], "writel 0xc0004e1f 0xffffb1e0");
  EXPECT_FALSE(qemu.connection().failed());
}

// The peer reads no commands while its replies are unread. This must not deadlock.
TEST(QtestConnection, DoesNotDeadlockWithAPeerThatHasSmallBuffers) {
  SocketPair pair;
  const int small = 2048;
  for (const int end : {pair.near.get(), pair.far.get()}) {
    ASSERT_EQ(::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  }
  const int far = pair.far.get();
  std::thread peer([far] {
    char letter = 0;
    while (::recv(far, &letter, 1, 0) == 1) {
      if (letter == '\n' && ::send(far, "OK\n", 3, MSG_NOSIGNAL) != 3) return;
    }
  });
  {
    QtestConnection connection(std::move(pair.near), kLongTimeout);
    for (unsigned i = 0; i < 10000; ++i) {
      connection.write32(0, i);
      if (i % 100 == 0) connection.flush();
    }
    connection.flush();
    EXPECT_FALSE(connection.failed());
  }
  peer.join();
}

TEST(QtestConnection, ThreadsGetTheirOwnReplies) {
  FakeQemu qemu([](const std::string& command) {
    return command.starts_with("writel") ? std::string("OK\n") : "OK " + command.substr(6) + "\n";
  });
  std::atomic<unsigned> wrong = 0;
  const auto ask = [&](std::uint32_t first) {
    for (std::uint32_t i = 0; i < 2000; ++i) {
      qemu.connection().write32(1, 2);
      if (qemu.connection().read32(first + i) != first + i) ++wrong;
    }
  };
  std::thread other([&] { ask(0x10000); });
  ask(0x80000);
  other.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace pollux::qtest
