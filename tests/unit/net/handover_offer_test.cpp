// SPDX-License-Identifier: BSD-3-Clause
// How long a program that offers its ports waits for what the ports have received, in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "fake_driver.hpp"
#include "net/handover/port_handover.hpp"
#include "net/handover/record.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/handover.hpp"
#include "pollux/net/port.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// A port whose program has not taken all that was received, until it is told so.
struct WaitingPort final : handover::PortHandover {
  bool drained = false;
  int freezes = 0;
  int thaws = 0;

  Result<Offer> describe() override { return Offer{}; }
  Result<bool> stop_receiving() override { return drained; }
  Result<std::vector<handover::QueueRecord>> freeze() override {
    ++freezes;
    return std::vector<handover::QueueRecord>();
  }
  bool thaw() noexcept override {
    ++thaws;
    return false;
  }
  void leave() noexcept override {}
};

class HandoverOffer : public testing::Test {
 protected:
  void SetUp() override {
    card_->capabilities.push_back(offer<handover::PortHandover>(waiting_));
    port_.emplace(context_.state(), std::make_unique<test::FakeDriver>(card_, "fake:0"));
    ASSERT_TRUE(test::configure_port(*port_, test::sending_only()));
    ASSERT_TRUE(port_->start());
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
    const std::string path = folder_ + "/socket";
    auto offered = Handover::offer(context_, path);
    ASSERT_TRUE(offered) << offered.error().message();
    offered_.emplace(*std::move(offered));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::connect(successor_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    say("hello");
    pass(50ms);
    ASSERT_TRUE(handover::receive(successor_.get(), "program"));
    ASSERT_TRUE(handover::receive(successor_.get(), "port"));
    say("freeze");
    pass(1ms);
  }
  void TearDown() override {
    offered_.reset();
    std::filesystem::remove_all(folder_);
  }
  void say(const char* message) { ASSERT_TRUE(handover::send(successor_.get(), {{"message", message}})); }
  void pass(Duration span) {
    clock_->advance(span);
    ASSERT_TRUE(context_.control().run_due());
  }
  [[nodiscard]] bool is_answered() const {
    char byte = 0;
    return ::recv(successor_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
  }

  std::string folder_ = "/tmp/pollux-XXXXXX";
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Context context_{test::on(clock_)};
  WaitingPort waiting_;
  std::shared_ptr<test::FakeCard> card_ = std::make_shared<test::FakeCard>();
  std::optional<Port> port_;
  std::optional<Handover> offered_;
  FileDescriptor successor_{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
};

TEST_F(HandoverOffer, WaitsATenthOfASecondForWhatWasReceived) {
  pass(99ms);
  EXPECT_FALSE(is_answered());
  pass(1ms);
  ASSERT_TRUE(is_answered());
  const auto refused = handover::receive(successor_.get(), "frozen");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::timeout);
  EXPECT_THAT(refused.error().message(), HasSubstr("poll all receive queues of the old program"));
  EXPECT_EQ(waiting_.freezes, 0);
  EXPECT_EQ(waiting_.thaws, 1) << "the port goes on";
  EXPECT_FALSE(offered_->is_done());
  EXPECT_EQ(port_->state(), PortState::started);
}

TEST_F(HandoverOffer, StandsStillOnceAllIsTaken) {
  pass(99ms);
  waiting_.drained = true;
  say("taken");  // it is read once the port stands still
  pass(1ms);
  ASSERT_TRUE(is_answered());
  EXPECT_TRUE(handover::receive(successor_.get(), "frozen"));
  EXPECT_EQ(waiting_.freezes, 1);
  EXPECT_EQ(waiting_.thaws, 0);
  EXPECT_TRUE(offered_->is_done());
  EXPECT_EQ(port_->state(), PortState::closed);
}

}  // namespace
}  // namespace pollux
