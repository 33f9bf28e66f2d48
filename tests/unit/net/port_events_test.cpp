// SPDX-License-Identifier: BSD-3-Clause
// The events of a port: what its handler is called with, when, and on which thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "fake_driver.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;
using test::FakeCard;
using test::FakeDriver;
using test::on;
using testing::ElementsAre;
using testing::IsEmpty;

class PortEvents : public testing::Test {
 protected:
  void open_and_start(Context& context) {
    port_.emplace(context.state(), std::make_unique<FakeDriver>(card_, "fake:0"));
    ASSERT_TRUE(test::configure_port(*port_, test::sending_only()));
    ASSERT_TRUE(port_->start());
  }
  void listen() {
    port_->on_event([this](const PortEvent& event) { seen_.push_back(to_string(event)); });
  }
  void run_control() { static_cast<void>(context_.control().run_due()); }
  void pass_a_second() {
    clock_->advance(1s);
    run_control();
  }
  /// The events since the last call.
  std::vector<std::string> seen() { return std::exchange(seen_, {}); }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<FakeCard> card_ = std::make_shared<FakeCard>();
  std::vector<std::string> seen_;
  Context context_{on(clock_)};
  std::optional<Port> port_;
};

TEST_F(PortEvents, ReportsEachChangeOfTheLinkOnce) {
  open_and_start(context_);
  listen();
  pass_a_second();
  EXPECT_THAT(seen(), IsEmpty()) << "a handler starts with the link down";
  card_->speed = 1000;
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
  pass_a_second();
  EXPECT_THAT(seen(), IsEmpty());
  card_->speed = 100;
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("link up, 100 Mb/s, full duplex"));
  card_->speed = 0;
  ASSERT_TRUE(port_->service());
  EXPECT_THAT(seen(), ElementsAre("link down")) << "also by a service that the program calls itself";
}

TEST_F(PortEvents, ALinkIsDownWhileThePortIsNotStarted) {
  card_->speed = 1000;
  open_and_start(context_);
  listen();
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
  ASSERT_TRUE(port_->stop());
  EXPECT_THAT(seen(), ElementsAre("link down"));
  pass_a_second();
  EXPECT_THAT(seen(), IsEmpty());
  ASSERT_TRUE(port_->start());
  EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
  ASSERT_TRUE(port_->close());
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(PortEvents, ReportsARemovalOnceAndTheControlItsError) {
  open_and_start(context_);
  listen();
  card_->removed = true;
  clock_->advance(1s);
  const auto due = context_.control().run_due();
  ASSERT_FALSE(due);
  EXPECT_EQ(due.error().code, ErrorCode::device_removed);
  EXPECT_THAT(seen(), ElementsAre("removed: fake:0: the card was removed: open it again"));
  EXPECT_FALSE(port_->service());
  EXPECT_THAT(seen(), IsEmpty());
}

TEST_F(PortEvents, ReportsAFaultAsAnError) {
  open_and_start(context_);
  listen();
  card_->faulty = true;
  EXPECT_FALSE(port_->service());
  EXPECT_THAT(seen(), ElementsAre("error: fake:0: the card does not answer: reset it"));
}

TEST_F(PortEvents, AHandlerMayCallItsPort) {
  card_->speed = 1000;
  open_and_start(context_);
  port_->on_event([this](const PortEvent& event) {
    seen_.push_back(to_string(event));
    if (event.kind == PortEventKind::link_up) {
      EXPECT_TRUE(port_->stop());
    }
    if (event.kind == PortEventKind::removed) {
      EXPECT_TRUE(port_->close());
    }
  });
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex", "link down"));
  card_->removed = true;
  EXPECT_FALSE(port_->service());
  EXPECT_THAT(seen(), ElementsAre("removed: fake:0: the card was removed: open it again"));
  EXPECT_EQ(port_->state(), PortState::closed);
}

// What a call in the handler causes comes after the event that the handler is at.
TEST_F(PortEvents, AHandlerIsNotCalledWithinItself) {
  card_->speed = 1000;
  open_and_start(context_);
  port_->on_event([this](const PortEvent& event) {
    seen_.push_back("begin " + to_string(event));
    if (event.kind == PortEventKind::link_up) {
      EXPECT_TRUE(port_->stop());
    }
    seen_.push_back("end " + to_string(event));
  });
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("begin link up, 1000 Mb/s, full duplex", "end link up, 1000 Mb/s, full duplex",
                                  "begin link down", "end link down"));
}

TEST_F(PortEvents, AHandlerThatThrowsEndsNeitherTheEventsNorTheService) {
  card_->speed = 1000;
  open_and_start(context_);
  port_->on_event([this](const PortEvent& event) {
    seen_.push_back(to_string(event));
    throw std::runtime_error("broken");
  });
  clock_->advance(1s);
  EXPECT_THROW(run_control(), std::runtime_error);
  EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex"));
  card_->speed = 0;
  clock_->advance(1s);
  EXPECT_THROW(run_control(), std::runtime_error);
  EXPECT_THAT(seen(), ElementsAre("link down"));
  card_->speed = 100;
  EXPECT_THROW(static_cast<void>(port_->service()), std::runtime_error);
  EXPECT_THAT(seen(), ElementsAre("link up, 100 Mb/s, full duplex"));
  EXPECT_THROW(static_cast<void>(port_->stop()), std::runtime_error);
  EXPECT_EQ(port_->state(), PortState::configured);
}

TEST_F(PortEvents, AHandlerMayBeReplacedAlsoByItself) {
  card_->speed = 1000;
  open_and_start(context_);
  port_->on_event([this](const PortEvent&) {
    seen_.emplace_back("first");
    listen();
  });
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("first"));
  pass_a_second();
  EXPECT_THAT(seen(), ElementsAre("link up, 1000 Mb/s, full duplex")) << "a new handler learns the state";
  port_->on_event({});
  card_->speed = 0;
  pass_a_second();
  EXPECT_THAT(seen(), IsEmpty());
}

/// A thread that is in the handler of a started port, which has seen that the link is up, until it is released.
class ThreadInAHandler {
 public:
  explicit ThreadInAHandler(Port& port) {
    port.on_event([this, leave = leave_.get_future().share()](const PortEvent& event) {
      seen_.push_back(to_string(event));
      if (seen_.size() == 1) {
        entered_.set_value();
        leave.wait();
      }
    });
    thread_ = std::thread([&port] { EXPECT_TRUE(port.service()); });
    entered_.get_future().wait();
  }
  /// Lets the handler return, and returns what it has seen.
  [[nodiscard]] std::vector<std::string> release() {
    leave_.set_value();
    thread_.join();
    return seen_;
  }

 private:
  std::promise<void> entered_;
  std::promise<void> leave_;
  std::thread thread_;
  std::vector<std::string> seen_;  // of the threads that deliver, one at a time
};

// Otherwise two ports whose handlers stop each other's port would wait for each other.
TEST_F(PortEvents, ACallDoesNotWaitForAHandlerThatAnotherThreadRuns) {
  card_->speed = 1000;
  open_and_start(context_);
  ThreadInAHandler other(*port_);
  std::promise<void> done;
  std::thread caller([&] {
    EXPECT_TRUE(port_->stop());
    EXPECT_TRUE(port_->start());
    done.set_value();
  });
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_THAT(other.release(),
              ElementsAre("link up, 1000 Mb/s, full duplex", "link down", "link up, 1000 Mb/s, full duplex"))
      << "the thread in the handler delivers what came meanwhile";
  caller.join();
}

TEST_F(PortEvents, AHandlerMayReplaceThatOfAnotherPortWhichRuns) {
  card_->speed = 1000;
  open_and_start(context_);
  ThreadInAHandler other(*port_);
  const auto card = std::make_shared<FakeCard>();
  card->speed = 100;
  Port replacing(context_.state(), std::make_unique<FakeDriver>(card, "fake:1"));
  ASSERT_TRUE(test::configure_port(replacing, test::sending_only()));
  std::promise<void> done;
  replacing.on_event([&](const PortEvent&) {
    port_->on_event({});
    done.set_value();
  });
  std::thread caller([&] { EXPECT_TRUE(replacing.start()); });
  EXPECT_EQ(done.get_future().wait_for(10s), std::future_status::ready);
  EXPECT_THAT(other.release(), ElementsAre("link up, 1000 Mb/s, full duplex"));
  caller.join();
}

TEST_F(PortEvents, RunOnTheControlThreadAndEndWithTheirHandler) {
  card_->speed = 1000;
  const FileDescriptor link(::eventfd(0, EFD_CLOEXEC));
  card_->events = {link.get()};
  Context context(on(nullptr, true));
  open_and_start(context);
  std::atomic<int> calls{0};
  std::atomic<bool> inside{false};
  port_->on_event([&, caller = std::this_thread::get_id()](const PortEvent&) {
    inside = true;
    EXPECT_NE(std::this_thread::get_id(), caller);
    ++calls;
    inside = false;
  });
  ASSERT_EQ(::eventfd_write(link.get(), 1), 0);
  EXPECT_TRUE(wait_until(context.clock(), "the event", 60s, [&] { return calls == 1; }));
  card_->speed = 100;
  ASSERT_EQ(::eventfd_write(link.get(), 1), 0);
  port_->on_event({});
  EXPECT_FALSE(inside) << "on_event waits for the handler";
  const int before = calls;
  card_->speed = 10;
  ASSERT_TRUE(port_->service());
  EXPECT_EQ(calls, before);
}

}  // namespace
}  // namespace pollux
