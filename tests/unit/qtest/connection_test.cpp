// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/connection.hpp"

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
using test::FakeQemu;
using test::kPatient;
using test::LinkPartner;
using test::SocketPair;

struct Talk {
  explicit Talk(QtestConnection::Limits limits = kPatient)
      : far(std::move(pair.far)), connection(std::move(pair.near), limits, [this] { ++failures; }) {}
  SocketPair pair;
  LinkPartner far;
  int failures = 0;
  QtestConnection connection;
};

constexpr QtestConnection::Limits kHasty{.unanswered = 8, .patience = milliseconds(40)};

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(QtestConnection, WritesAreQueuedUntilFlushed) {
  Talk talk;
  talk.connection.write32(0xC0000018, 0xDEADBEEF);
  talk.connection.write32(0xC0003818, 0);
  EXPECT_EQ(talk.far.hear(), "");
  talk.connection.flush();
  EXPECT_EQ(talk.far.hear(), "writel 0xc0000018 0xdeadbeef\nwritel 0xc0003818 0x0\n");
}

TEST(QtestConnection, AReadGoesBehindEveryEarlierWrite) {
  Talk talk;
  talk.connection.write32(0x10, 1);
  talk.connection.write32(0x14, 2);
  talk.far.say("OK\nOK\nOK 0x00000000cafe0008\n");
  EXPECT_EQ(talk.connection.read32(0x8), 0xCAFE0008u);
  EXPECT_EQ(talk.far.hear(), "writel 0x10 0x1\nwritel 0x14 0x2\nreadl 0x8\n");
}

TEST(QtestConnection, NarrowAccessesHaveCommandsOfTheirOwn) {
  Talk talk;
  talk.connection.write(0x10, 1, 0xAB);
  talk.connection.write(0x12, 2, 0xCDEF);
  talk.far.say("OK\nOK\nOK 0x7f\n");
  EXPECT_EQ(talk.connection.read(0x11, 1), 0x7Fu);
  talk.far.say("OK 0x1234\n");
  EXPECT_EQ(talk.connection.read(0x12, 2), 0x1234u);
  EXPECT_EQ(talk.far.hear(), "writeb 0x10 0xab\nwritew 0x12 0xcdef\nreadb 0x11\nreadw 0x12\n");
  talk.far.hang_up();
  EXPECT_EQ(talk.connection.read(0x11, 1), 0xFFu);
  EXPECT_EQ(talk.connection.read(0x12, 2), 0xFFFFu);
}

TEST(QtestConnection, AValueIsTakenWhole) {
  Talk talk;
  talk.far.say("OK 0xfedcba9876543210\n");
  EXPECT_EQ(talk.connection.ask("readq 0x0"), 0xFEDCBA9876543210u);
}

TEST(QtestConnection, InterruptLinesBetweenRepliesAreNoReplies) {
  Talk talk;
  talk.connection.write32(0x10, 1);
  talk.far.say("IRQ raise 11\nOK\nIRQ lower 11\nIRQ raise 3\nOK 0x7\nIRQ lower 3\n");
  EXPECT_EQ(talk.connection.read32(0), 7u);
  talk.far.say("OK 0x8\n");
  EXPECT_EQ(talk.connection.read32(0), 8u);
}

TEST(QtestConnection, RepliesMayComeLateAndInPieces) {
  Talk talk;
  std::thread slow([&] {
    for (const char letter : std::string("OK\nIRQ raise 1\nOK 0x0000000000000042\n")) {
      std::this_thread::sleep_for(milliseconds(1));
      talk.far.say({&letter, 1});
    }
  });
  talk.connection.write32(0, 0);
  EXPECT_EQ(talk.connection.read32(0), 0x42u);
  slow.join();
}

TEST(QtestConnection, WhatTheProtocolDoesNotHaveEndsTheConversation) {
  for (const char* const reply :
       {"FAIL\n", "ERR unknown\n", "\n", "OK 0x\n", "OK 12\n", "OK 0x12 \n", "OK 0xg\n", "OK -1\n", "OK 0x1 0x2\n",
        "OK 0x11111111111111111\n", "OK\n", "ok 0x1\n", "OK\tOK\n", "\xFF\n"}) {
    Talk talk;
    talk.far.say(reply);
    EXPECT_EQ(talk.connection.ask("readl 0x0"), std::nullopt) << reply;
    EXPECT_EQ(talk.connection.failure(), WireFailure::garbled) << reply;
    EXPECT_EQ(talk.failures, 1) << reply;
  }
}

TEST(QtestConnection, AValueIsNoAnswerToAWrite) {
  Talk talk;
  talk.connection.write32(0, 0);
  talk.far.say("OK 0x1\nOK 0x1\n");
  EXPECT_EQ(talk.connection.read32(0), ~0u);
  EXPECT_EQ(talk.connection.failure(), WireFailure::garbled);
}

TEST(QtestConnection, AnAnswerThatNobodyAskedForEndsTheConversation) {
  Talk talk;
  talk.connection.write32(0, 0);
  talk.connection.flush();
  talk.far.say("OK\nOK\n");
  talk.connection.flush();
  EXPECT_EQ(talk.connection.failure(), WireFailure::garbled);
}

TEST(QtestConnection, ALineWithoutEndIsRefusedAtABound) {
  Talk talk;
  talk.far.say("OK 0x" + std::string(8000, '0'));
  EXPECT_EQ(talk.connection.read32(0), ~0u);
  EXPECT_EQ(talk.connection.failure(), WireFailure::garbled);
}

TEST(QtestConnection, AClosedSocketReadsAllOnesAtOnceAndForEver) {
  Talk talk;
  talk.far.say("OK 0x");
  talk.far.hang_up();
  EXPECT_EQ(talk.connection.read32(0), ~0u);
  EXPECT_EQ(talk.connection.failure(), WireFailure::closed);
  EXPECT_EQ(talk.connection.read32(0), ~0u);
  EXPECT_EQ(talk.connection.ask("inl 0xcfc"), std::nullopt);
  talk.connection.write32(0, 0);
  talk.connection.flush();
  EXPECT_EQ(talk.failures, 1);
}

TEST(QtestConnection, WritingToAClosedSocketRaisesNoSignal) {
  Talk talk;
  talk.far.hang_up();
  talk.connection.write32(0, 0);
  talk.connection.flush();
  EXPECT_EQ(talk.connection.failure(), WireFailure::closed);
}

TEST(QtestConnection, SilenceEndsARead) {
  Talk talk(kHasty);
  EXPECT_EQ(talk.connection.read32(0), ~0u);
  EXPECT_EQ(talk.connection.failure(), WireFailure::silent);
  EXPECT_EQ(talk.failures, 1);
}

TEST(QtestConnection, TalkThatAnswersNothingIsSilence) {
  Talk talk(kHasty);
  std::atomic<bool> stop = false;
  std::thread chatter([&] {
    while (!stop) {
      talk.far.say("IRQ raise 1\n");
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  EXPECT_EQ(talk.connection.read32(0), ~0u);
  stop = true;
  chatter.join();
  EXPECT_EQ(talk.connection.failure(), WireFailure::silent);
}

TEST(QtestConnection, SilenceIsNoticedByPollsThatReadNothing) {
  Talk talk(kHasty);
  talk.connection.write32(0, 0);
  talk.connection.flush();
  EXPECT_FALSE(talk.connection.failed());
  std::this_thread::sleep_for(2 * kHasty.patience);
  talk.connection.flush();
  EXPECT_EQ(talk.connection.failure(), WireFailure::silent);
}

TEST(QtestConnection, WhatIsUnansweredIsBounded) {
  Talk talk(kHasty);
  for (std::uint32_t i = 0; i < kHasty.unanswered; ++i) talk.connection.write32(0, i);
  talk.connection.flush();
  EXPECT_FALSE(talk.connection.failed());
  // One more has to wait for answers, of which there are none.
  talk.connection.write32(0, 99);
  EXPECT_EQ(talk.connection.failure(), WireFailure::silent);
  EXPECT_EQ(talk.far.hear().find("0x63"), std::string::npos);
}

TEST(QtestConnection, AnswersMakeRoomForMore) {
  Talk talk({.unanswered = 8, .patience = kPatient.patience});
  for (int round = 0; round < 100; ++round) {
    for (std::uint32_t i = 0; i < 8; ++i) talk.connection.write32(0, i);
    // The first of the next round takes these.
    talk.far.say(repeat("OK\n", 8));
  }
  EXPECT_FALSE(talk.connection.failed());
}

TEST(QtestConnection, MoreThanItsBuffersHoldGoesThrough) {
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

// A peer that reads nothing as long as its own answers are not taken must not stop both sides.
TEST(QtestConnection, APeerWithSmallBuffersIsNotWaitedForWithItsAnswersUntaken) {
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
    QtestConnection connection(std::move(pair.near), kPatient);
    for (unsigned i = 0; i < 10000; ++i) {
      connection.write32(0, i);
      if (i % 100 == 0) connection.flush();
    }
    connection.flush();
    EXPECT_FALSE(connection.failed());
  }
  peer.join();
}

TEST(QtestConnection, ThreadsGetTheirOwnAnswers) {
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
