// SPDX-License-Identifier: BSD-3-Clause
// The events of a port have limits: how many wait for a handler, and how many one call delivers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fake_driver.hpp"
#include "net/port_core.hpp"
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

constexpr const char* kUp = "link up, 1000 Mb/s, full duplex";
constexpr const char* kDown = "link down";
/// So many events show that the handlers would never come to an end.
constexpr unsigned kForEver = 5000;

/// A started port, and the events that its handler has seen.
struct Watched {
  Watched(Context& context, const std::string& name) : port(context.state(), std::make_unique<FakeDriver>(card, name)) {
    card->speed = 1000;
    EXPECT_TRUE(test::configure_port(port, test::sending_only()));
    EXPECT_TRUE(port.start());
  }
  void restart() {
    static_cast<void>(port.stop());
    static_cast<void>(port.start());
  }
  /// The events since the last call.
  std::vector<std::string> take() { return std::exchange(seen, {}); }

  std::shared_ptr<FakeCard> card = std::make_shared<FakeCard>();
  std::vector<std::string> seen;  // of the threads that deliver, one at a time
  Port port;
};

class PortEventLimits : public testing::Test {
 protected:
  void run_control() {
    clock_->advance(1ms);
    static_cast<void>(context_.control().run_due());
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Context context_{on(clock_)};
};

TEST_F(PortEventLimits, OfTheChangesOfALinkThatWaitTheLastTwoAreReported) {
  Watched a(context_, "fake:0");
  a.port.on_event([&](const PortEvent& event) {
    a.seen.push_back(to_string(event));
    if (a.seen.size() > 1) return;
    for (int i = 0; i < 1000; ++i) a.restart();
    a.card->speed = 100;
    EXPECT_TRUE(a.port.service());
  });
  ASSERT_TRUE(a.port.service());
  EXPECT_THAT(a.take(), ElementsAre(kUp, kDown, "link up, 100 Mb/s, full duplex"));
}

TEST_F(PortEventLimits, AChangeThatIsUndoneWhileItWaitsIsNotReported) {
  Watched a(context_, "fake:0");
  a.port.on_event([&](const PortEvent& event) {
    a.seen.push_back(to_string(event));
    if (a.seen.size() > 1) return;
    a.restart();
    EXPECT_TRUE(a.port.stop());
  });
  ASSERT_TRUE(a.port.service());
  EXPECT_THAT(a.take(), ElementsAre(kUp, kDown)) << "it went down twice, and was up only between";
}

TEST_F(PortEventLimits, EachEventWaitsOnceForEachKindAndQueue) {
  PortEventQueue queue(*context_.state());
  const Link up{.up = true, .speed = 1000};
  std::vector<std::string> seen;
  queue.set_handler([&](const PortEvent& event) {
    seen.push_back(to_string(event));
    if (seen.size() > 1) return;
    for (int i = 0; i < 1000; ++i) {
      queue.note_failure({ErrorCode::device_removed, "gone", "put it back"});
      queue.note_failure({ErrorCode::device_fault, "broken", "reset it"});
      queue.note_link(up);
      queue.note_failure({ErrorCode::device_fault, "broken", "reset it"});
      queue.note_link(up);
      queue.note_link({});
      queue.note_timeout(PortEventKind::tx_timeout, 0);
      queue.note_timeout(PortEventKind::tx_timeout, 1);
      queue.note_timeout(PortEventKind::rx_timeout, 1);
    }
  });
  queue.note_link(up);
  queue.deliver();
  EXPECT_THAT(seen, ElementsAre(kUp, "removed: gone: put it back", "error: broken: reset it", kUp, kDown,
                                "transmit queue 0 sent nothing; the port was reset",
                                "transmit queue 1 sent nothing; the port was reset",
                                "receive queue 1 takes none of the frames that arrive"));
}

TEST_F(PortEventLimits, AHandlerThatRestartsItsPortHoldsUpNoCall) {
  Watched a(context_, "fake:0");
  bool feeds = true;
  a.port.on_event([&](const PortEvent& event) {
    a.seen.push_back(to_string(event));
    if (feeds && a.seen.size() < kForEver) a.restart();
  });
  ASSERT_TRUE(a.port.service());
  EXPECT_EQ(a.take().size(), 1 + PortEventQueue::kFurther);
  run_control();
  EXPECT_THAT(a.take().size(), testing::AllOf(testing::Gt(0), testing::Le(2 * (2 + PortEventQueue::kFurther))))
      << "one run of the Control comes to an end, too";
  feeds = false;
  run_control();
  EXPECT_THAT(a.take(), ElementsAre(kDown, kUp)) << "the rest, merged";
  run_control();
  EXPECT_THAT(a.take(), IsEmpty());
}

TEST_F(PortEventLimits, HandlersThatRestartEachOthersPortsHoldUpNoCall) {
  Watched a(context_, "fake:0");
  Watched b(context_, "fake:1");
  bool feeds = true;
  unsigned events = 0;
  const auto feed = [&](Watched& from, Watched& to) {
    from.port.on_event([&](const PortEvent& event) {
      from.seen.push_back(to_string(event));
      if (feeds && ++events < kForEver) to.restart();
    });
  };
  feed(a, b);
  feed(b, a);
  ASSERT_TRUE(a.port.stop());
  EXPECT_THAT(a.take(), IsEmpty()) << "a handler starts with the link down";
  ASSERT_TRUE(a.port.start());
  EXPECT_EQ(events, 1 + PortEventQueue::kFurther);
  feeds = false;
  run_control();
  EXPECT_EQ(a.take().back(), kUp);
  EXPECT_EQ(b.take().back(), kUp) << "the last state of each port gets to its handler";
  run_control();
  EXPECT_THAT(a.take(), IsEmpty());
  EXPECT_THAT(b.take(), IsEmpty());
}

TEST_F(PortEventLimits, TheControlDeliversWhatAFailedPortHasLeft) {
  Watched a(context_, "fake:0");
  a.port.on_event([&](const PortEvent& event) {
    a.seen.push_back(to_string(event));
    if (event.kind != PortEventKind::link_up) return;
    a.card->removed = true;
    EXPECT_FALSE(a.port.service());
    throw std::runtime_error("broken");
  });
  EXPECT_THROW(static_cast<void>(a.port.service()), std::runtime_error);
  EXPECT_THAT(a.take(), ElementsAre(kUp));
  run_control();
  EXPECT_THAT(a.take(), ElementsAre("removed: fake:0: the card was removed: open it again"));
}

TEST(PortEventLimitsOfThreads, HandlersThatRestartEachOthersPortsRunOnceAtATimeAndSeeTheLastState) {
  Context context(on(nullptr, true));
  Watched a(context, "fake:0");
  Watched b(context, "fake:1");
  std::atomic<unsigned> events = 0;
  std::atomic<bool> feeds = true;
  std::atomic<bool> overlapped = false;
  std::array<std::atomic<bool>, 2> inside{};
  std::array<std::atomic<bool>, 2> is_up{};
  const auto feed = [&](Watched& from, Watched& to, unsigned own) {
    from.port.on_event([&, own](const PortEvent& event) {
      if (inside[own].exchange(true)) overlapped = true;
      is_up[own] = event.kind == PortEventKind::link_up;
      if (feeds && ++events < kForEver) to.restart();
      if (feeds && events < kForEver) from.restart();
      inside[own] = false;
    });
  };
  feed(a, b, 0);
  feed(b, a, 1);
  const auto restart = [](Watched& of) {
    for (int i = 0; i < 10; ++i) of.restart();
  };
  std::thread one([&] { restart(a); });
  std::thread other([&] { restart(b); });
  one.join();
  other.join();
  feeds = false;
  EXPECT_TRUE(wait_until(context.clock(), "the last events", 60s, [&] { return is_up[0] && is_up[1]; }));
  EXPECT_FALSE(overlapped);
  a.port.on_event({});
  b.port.on_event({});
}

}  // namespace
}  // namespace pollux
