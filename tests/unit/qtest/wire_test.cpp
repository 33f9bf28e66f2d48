// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/wire.hpp"

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
using test::FarEnd;
using test::kPatient;
using test::SocketPair;

struct Talk {
  explicit Talk(Wire::Limits limits = kPatient)
      : far(std::move(pair.far)), wire(std::move(pair.near), limits, [this] { ++failures; }) {}
  SocketPair pair;
  FarEnd far;
  int failures = 0;
  Wire wire;
};

constexpr Wire::Limits kHasty{.unanswered = 8, .patience = milliseconds(40)};

std::string repeat(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(Wire, WritesAreQueuedUntilFlushed) {
  Talk talk;
  talk.wire.write32(0xC0000018, 0xDEADBEEF);
  talk.wire.write32(0xC0003818, 0);
  EXPECT_EQ(talk.far.hear(), "");
  talk.wire.flush();
  EXPECT_EQ(talk.far.hear(), "writel 0xc0000018 0xdeadbeef\nwritel 0xc0003818 0x0\n");
}

TEST(Wire, AReadGoesBehindEveryEarlierWrite) {
  Talk talk;
  talk.wire.write32(0x10, 1);
  talk.wire.write32(0x14, 2);
  talk.far.say("OK\nOK\nOK 0x00000000cafe0008\n");
  EXPECT_EQ(talk.wire.read32(0x8), 0xCAFE0008u);
  EXPECT_EQ(talk.far.hear(), "writel 0x10 0x1\nwritel 0x14 0x2\nreadl 0x8\n");
}

TEST(Wire, AValueIsTakenWhole) {
  Talk talk;
  talk.far.say("OK 0xfedcba9876543210\n");
  EXPECT_EQ(talk.wire.ask("readq 0x0"), 0xFEDCBA9876543210u);
}

TEST(Wire, InterruptLinesBetweenRepliesAreNoReplies) {
  Talk talk;
  talk.wire.write32(0x10, 1);
  talk.far.say("IRQ raise 11\nOK\nIRQ lower 11\nIRQ raise 3\nOK 0x7\nIRQ lower 3\n");
  EXPECT_EQ(talk.wire.read32(0), 7u);
  talk.far.say("OK 0x8\n");
  EXPECT_EQ(talk.wire.read32(0), 8u);
}

TEST(Wire, RepliesMayComeLateAndInPieces) {
  Talk talk;
  std::thread slow([&] {
    for (const char letter : std::string("OK\nIRQ raise 1\nOK 0x0000000000000042\n")) {
      std::this_thread::sleep_for(milliseconds(1));
      talk.far.say({&letter, 1});
    }
  });
  talk.wire.write32(0, 0);
  EXPECT_EQ(talk.wire.read32(0), 0x42u);
  slow.join();
}

TEST(Wire, WhatTheProtocolDoesNotHaveEndsTheConversation) {
  for (const char* const reply :
       {"FAIL\n", "ERR unknown\n", "\n", "OK 0x\n", "OK 12\n", "OK 0x12 \n", "OK 0xg\n", "OK -1\n", "OK 0x1 0x2\n",
        "OK 0x11111111111111111\n", "OK\n", "ok 0x1\n", "OK\tOK\n", "\xFF\n"}) {
    Talk talk;
    talk.far.say(reply);
    EXPECT_EQ(talk.wire.ask("readl 0x0"), std::nullopt) << reply;
    EXPECT_EQ(talk.wire.failure(), WireFailure::garbled) << reply;
    EXPECT_EQ(talk.failures, 1) << reply;
  }
}

TEST(Wire, AValueIsNoAnswerToAWrite) {
  Talk talk;
  talk.wire.write32(0, 0);
  talk.far.say("OK 0x1\nOK 0x1\n");
  EXPECT_EQ(talk.wire.read32(0), ~0u);
  EXPECT_EQ(talk.wire.failure(), WireFailure::garbled);
}

TEST(Wire, AnAnswerThatNobodyAskedForEndsTheConversation) {
  Talk talk;
  talk.wire.write32(0, 0);
  talk.wire.flush();
  talk.far.say("OK\nOK\n");
  talk.wire.flush();
  EXPECT_EQ(talk.wire.failure(), WireFailure::garbled);
}

TEST(Wire, ALineWithoutEndIsRefusedAtABound) {
  Talk talk;
  talk.far.say("OK 0x" + std::string(8000, '0'));
  EXPECT_EQ(talk.wire.read32(0), ~0u);
  EXPECT_EQ(talk.wire.failure(), WireFailure::garbled);
}

TEST(Wire, AClosedSocketReadsAllOnesAtOnceAndForEver) {
  Talk talk;
  talk.far.say("OK 0x");
  talk.far.hang_up();
  EXPECT_EQ(talk.wire.read32(0), ~0u);
  EXPECT_EQ(talk.wire.failure(), WireFailure::closed);
  EXPECT_EQ(talk.wire.read32(0), ~0u);
  EXPECT_EQ(talk.wire.ask("inl 0xcfc"), std::nullopt);
  talk.wire.write32(0, 0);
  talk.wire.flush();
  EXPECT_EQ(talk.failures, 1);
}

TEST(Wire, WritingToAClosedSocketRaisesNoSignal) {
  Talk talk;
  talk.far.hang_up();
  talk.wire.write32(0, 0);
  talk.wire.flush();
  EXPECT_EQ(talk.wire.failure(), WireFailure::closed);
}

TEST(Wire, SilenceEndsARead) {
  Talk talk(kHasty);
  EXPECT_EQ(talk.wire.read32(0), ~0u);
  EXPECT_EQ(talk.wire.failure(), WireFailure::silent);
  EXPECT_EQ(talk.failures, 1);
}

TEST(Wire, TalkThatAnswersNothingIsSilence) {
  Talk talk(kHasty);
  std::atomic<bool> stop = false;
  std::thread chatter([&] {
    while (!stop) {
      talk.far.say("IRQ raise 1\n");
      std::this_thread::sleep_for(milliseconds(1));
    }
  });
  EXPECT_EQ(talk.wire.read32(0), ~0u);
  stop = true;
  chatter.join();
  EXPECT_EQ(talk.wire.failure(), WireFailure::silent);
}

TEST(Wire, SilenceIsNoticedByPollsThatReadNothing) {
  Talk talk(kHasty);
  talk.wire.write32(0, 0);
  talk.wire.flush();
  EXPECT_FALSE(talk.wire.failed());
  std::this_thread::sleep_for(2 * kHasty.patience);
  talk.wire.flush();
  EXPECT_EQ(talk.wire.failure(), WireFailure::silent);
}

TEST(Wire, WhatIsUnansweredIsBounded) {
  Talk talk(kHasty);
  for (std::uint32_t i = 0; i < kHasty.unanswered; ++i) talk.wire.write32(0, i);
  talk.wire.flush();
  EXPECT_FALSE(talk.wire.failed());
  // One more has to wait for answers, of which there are none.
  talk.wire.write32(0, 99);
  EXPECT_EQ(talk.wire.failure(), WireFailure::silent);
  EXPECT_EQ(talk.far.hear().find("0x63"), std::string::npos);
}

TEST(Wire, AnswersMakeRoomForMore) {
  Talk talk({.unanswered = 8, .patience = kPatient.patience});
  for (int round = 0; round < 100; ++round) {
    for (std::uint32_t i = 0; i < 8; ++i) talk.wire.write32(0, i);
    // The first of the next round takes these.
    talk.far.say(repeat("OK\n", 8));
  }
  EXPECT_FALSE(talk.wire.failed());
}

TEST(Wire, MoreThanItsBuffersHoldGoesThrough) {
  std::atomic<unsigned> seen = 0;
  FakeQemu qemu([&](const std::string& command) {
    ++seen;
    return command.starts_with("writel") ? std::string("OK\n") : std::string("OK 0x5\n");
  });
  for (unsigned i = 0; i < 20000; ++i) qemu.wire().write32(0xC0000000 + i, ~i);
  EXPECT_EQ(qemu.wire().read32(0), 5u);
  EXPECT_EQ(seen, 20001u);
  EXPECT_EQ(qemu.commands()[19999], "writel 0xc0004e1f 0xffffb1e0");
  EXPECT_FALSE(qemu.wire().failed());
}

// A peer that reads nothing as long as its own answers are not taken must not stop both sides.
TEST(Wire, APeerWithSmallBuffersIsNotWaitedForWithItsAnswersUntaken) {
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
    Wire wire(std::move(pair.near), kPatient);
    for (unsigned i = 0; i < 10000; ++i) {
      wire.write32(0, i);
      if (i % 100 == 0) wire.flush();
    }
    wire.flush();
    EXPECT_FALSE(wire.failed());
  }
  peer.join();
}

TEST(Wire, ThreadsGetTheirOwnAnswers) {
  FakeQemu qemu([](const std::string& command) {
    return command.starts_with("writel") ? std::string("OK\n") : "OK " + command.substr(6) + "\n";
  });
  std::atomic<unsigned> wrong = 0;
  const auto ask = [&](std::uint32_t first) {
    for (std::uint32_t i = 0; i < 2000; ++i) {
      qemu.wire().write32(1, 2);
      if (qemu.wire().read32(first + i) != first + i) ++wrong;
    }
  };
  std::thread other([&] { ask(0x10000); });
  ask(0x80000);
  other.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace pollux::qtest
