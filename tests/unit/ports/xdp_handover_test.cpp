// SPDX-License-Identifier: BSD-3-Clause
// Handovers between two Contexts of this process: what the successor gets, what is refused, and that the old one goes
// on.
#include <sys/stat.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "xdp_handover_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::HasSubstr;

TEST_F(XdpHandover, ASuccessorWithOtherBuffersGoesOn) {
  expect_echo(5);
  Program next({.count = 700, .data_room = 1024, .headroom = 256});
  const auto taken = next.take_over(path_);
  ASSERT_TRUE(taken) << taken.error().message();
  ASSERT_TRUE(soon([&] { return old_.has_left(); }));
  EXPECT_EQ(old_.port().state(), PortState::closed);
  next.run();
  expect_echo(200);      // more than the rings have slots
  expect_echo(3, 1514);  // more than a buffer has room for
  EXPECT_EQ(next.received(), 203U);
  EXPECT_EQ(counter(next.port(), "rx_packets"), 203U);
  EXPECT_EQ(counter(next.port(), "tx_packets"), 203U);
  EXPECT_EQ(counter(next.port(), "rx_missed_errors"), 0U);
  next.stop();
  ASSERT_TRUE(next.port().stop());
  ASSERT_TRUE(next.port().start()) << "on its own pool";
  next.run();
  expect_echo(3);
}

// The kernel exchanges the program of a link for one of the same kind alone (cilium#44063).
TEST_F(XdpHandover, RulesMayChangeAfterwards) {
  Program next;
  ASSERT_TRUE(next.take_over(path_));
  ASSERT_TRUE(soon([&] { return old_.has_left(); }));
  const auto rules = next.port().settings().rules;
  const auto changed = next.port().change([](Settings& settings) { settings.rules.clear(); });
  ASSERT_TRUE(changed) << changed.error().message();
  kernel_->send(framed(60, 9));  // the kernel's, and answered by nobody
  const auto again = next.port().change([&](Settings& settings) { settings.rules = rules; });
  ASSERT_TRUE(again) << again.error().message();
  next.run();
  expect_echo(3);
  EXPECT_EQ(next.received(), 3U);
}

TEST_F(XdpHandover, FramesThatWaitAreTheSuccessors) {
  expect_echo(1);
  Program next;
  auto takeover = Takeover::begin(next.context(), path_);
  ASSERT_TRUE(takeover && *takeover) << takeover.error().message();
  ASSERT_TRUE(next.open("xdp:plxu0?rule=all", next.settings()));
  for (std::uint8_t i = 0; i < 20; ++i) kernel_->send(framed(60, i));  // nobody polls
  ASSERT_TRUE((*takeover)->finish());
  next.run();
  for (std::uint8_t i = 0; i < 20; ++i) EXPECT_EQ(receive(*kernel_), framed(60, i));
  EXPECT_EQ(next.received(), 20U);
  ASSERT_TRUE(soon([&] { return old_.has_left(); }));
  EXPECT_EQ(old_.received(), 1U);
}

TEST_F(XdpHandover, FramesForWhichTheRingHasNoRoomAreCountedOnce) {
  expect_echo(1);
  Program next;
  auto takeover = Takeover::begin(next.context(), path_);
  ASSERT_TRUE(takeover && *takeover);
  ASSERT_TRUE(next.open("xdp:plxu0?rule=all", next.settings()));
  for (int i = 0; i < 200; ++i) kernel_->send(framed(60, 1));  // nobody polls, and the ring has 64
  ASSERT_TRUE((*takeover)->finish());
  ASSERT_TRUE(soon([&] { return old_.has_left(); }));
  next.run();
  for (int i = 0; i < 64; ++i) EXPECT_EQ(receive(*kernel_), framed(60, 1));
  EXPECT_EQ(next.received(), 64U);
  EXPECT_EQ(counter(next.port(), "rx_missed_errors"), 136U);
  EXPECT_EQ(counter(old_.port(), "rx_missed_errors"), 0U);
}

TEST_F(XdpHandover, PassesOnFromSuccessorToSuccessorWithoutALeak) {
  std::vector<std::unique_ptr<Program>> programs;
  const auto succeed = [&] {
    auto next = std::make_unique<Program>();
    ASSERT_TRUE(next->take_over(path_));
    Program& before = programs.empty() ? old_ : *programs.back();
    ASSERT_TRUE(soon([&] { return before.has_left(); }));
    programs.clear();
    ASSERT_TRUE(next->offer(path_));
    next->run();
    programs.push_back(std::move(next));
  };
  succeed();
  const std::size_t files = open_files();
  for (int i = 0; i < 10; ++i) {
    succeed();
    expect_echo(i % 3 == 0 ? 0 : 70);
    EXPECT_TRUE(soon([&] { return open_files() == files; }));
  }
}

TEST_F(XdpHandover, WhatDiffersIsRefusedAndTheOldOneGoesOn) {
  const std::size_t files = open_files();
  {
    Program next;
    expect_refusal(next, "xdp:plxu0?rule=udp:53", next.settings(), "the flow rules differ");
    expect_refusal(next, "xdp:plxu0?rule=all", next.settings(128), "has other rings");
    Settings two = next.settings();
    two.rx.push_back(two.rx.front());
    expect_refusal(next, "xdp:plxu0?rule=all", two, "the numbers of queues differ");
    expect_refusal(next, "xdp:plxu0?rule=all,mode=generic", next.settings(), "the options of the URI differ");
    const auto other = next.take_over(path_, "null:", {});
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().what, HasSubstr("was not started here"));
    expect_echo(3);
  }
  EXPECT_TRUE(soon([&] { return open_files() == files; }));
  Program next;
  ASSERT_TRUE(next.take_over(path_));
  next.run();
  expect_echo(3);
}

TEST_F(XdpHandover, AnotherDriverIsRefusedByName) {
  const Port other = must(pollux::open(old_.context(), "null:"));
  Program next;
  expect_refusal(next, "xdp:plxu0?rule=all", next.settings(), "the driver null cannot hand its port over");
}

TEST_F(XdpHandover, NobodyThereIsNoError) {
  Program next;
  const auto takeover = Takeover::begin(next.context(), file("nobody"));
  ASSERT_TRUE(takeover) << takeover.error().message();
  EXPECT_FALSE(*takeover);
}

TEST_F(XdpHandover, ASecondOneIsToldToWait) {
  const FileDescriptor first = connected();
  ask(first, "hello");
  ASSERT_TRUE(handover::receive(first.get(), "program"));
  Program next;
  const auto taken = next.take_over(path_);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::busy);
  expect_echo(3);
}

TEST_F(XdpHandover, ASuccessorThatEndsChangesNothing) {
  const std::size_t files = open_files();
  for (const int step : {0, 1, 2, 3, 4}) {
    SCOPED_TRACE(step);
    {
      FileDescriptor client = connected();
      if (step > 0) ask(client, "hello");
      if (step > 1) static_cast<void>(handover::receive(client.get(), "program"));
      if (step > 2) ask(client, "freeze");
      if (step > 3) {
        ASSERT_TRUE(handover::receive(client.get(), "port"));
        ASSERT_TRUE(handover::receive(client.get(), "queue"));
        ASSERT_TRUE(handover::receive(client.get(), "frozen"));
      }
    }
    expect_echo(70);
  }
  EXPECT_FALSE(old_.has_left());
  ASSERT_TRUE(soon([&] { return open_files() == files; }));
  Program next;
  ASSERT_TRUE(next.take_over(path_)) << "the next one may come";
}

// The old program learns of both in one look at its sockets.
TEST_F(XdpHandover, OneMayComeRightAfterAnotherHasEnded) {
  FileDescriptor client = connected();
  for (int i = 0; i < 50; ++i) {
    ask(client, "hello");
    const auto answer = handover::receive(client.get(), "program");
    ASSERT_TRUE(answer) << i << ": " << answer.error().message();
    client = {};
    client = connected();
  }
}

TEST_F(XdpHandover, GarbageEndsTheConnectionAlone) {
  for (const std::string& bytes : {std::string(), std::string("{"), std::string(2000, 'x'), std::string(300, '['),
                                   std::string(R"({"message": "taken"})"), std::string(R"({"message": "freeze"})"),
                                   std::string(R"({"message": 1})")}) {
    const FileDescriptor client = connected();
    EXPECT_EQ(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    EXPECT_FALSE(handover::receive(client.get(), "program"));
    expect_echo(2);
  }
  EXPECT_FALSE(old_.has_left());
}

TEST_F(XdpHandover, WhatIsSentInsteadOfTakenIsNoConsent) {
  const FileDescriptor client = connected();
  ask(client, "hello");
  ASSERT_TRUE(handover::receive(client.get(), "program"));
  ASSERT_TRUE(handover::receive(client.get(), "port"));
  ask(client, "freeze");
  ASSERT_TRUE(handover::receive(client.get(), "queue"));
  ASSERT_TRUE(handover::receive(client.get(), "frozen"));
  ask(client, "freeze");
  expect_echo(3);
  EXPECT_FALSE(old_.has_left());
}

// It hangs while the queues stand still.
TEST_F(XdpHandover, ASuccessorThatIsTooLateLearnsIt) {
  {
    Program next;
    auto takeover = Takeover::begin(next.context(), path_);
    ASSERT_TRUE(takeover && *takeover);
    ASSERT_TRUE(next.open("xdp:plxu0?rule=all", next.settings()));
    kernel_->send(framed(60, 9));
    EXPECT_EQ(receive(*kernel_), framed(60, 9)) << "the old one goes on after a second";
    const auto finished = (*takeover)->finish();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().code, ErrorCode::io_error);
  }
  EXPECT_FALSE(old_.has_left());
  expect_echo(70);
}

TEST_F(XdpHandover, TheSocketIsTheUsersAlone) {
  struct stat found {};
  ASSERT_EQ(::stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600U);
  Program other;
  const auto offered = other.offer(path_);
  ASSERT_FALSE(offered);
  EXPECT_EQ(offered.error().code, ErrorCode::busy);
}

}  // namespace
}  // namespace pollux::ports
