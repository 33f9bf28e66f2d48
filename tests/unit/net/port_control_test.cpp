// SPDX-License-Identifier: BSD-3-Clause
// What a Port adds to its driver: one control call at a time, and a service that the Context's Control runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "fake_driver.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using namespace std::chrono_literals;
using test::FakeCard;
using test::FakeDriver;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PortControl : public testing::Test {
 protected:
  static ContextOptions options() {
    ContextOptions options;
    options.huge_pages = HugePages::never;
    return options;
  }
  ContextOptions watched() {
    ContextOptions options = PortControl::options();
    options.clock = clock_;
    options.on_misuse = [this](const Misuse& misuse) {
      misuses_.push_back(misuse.what);
      EXPECT_EQ(misuse.kind, MisuseKind::overdue);
      EXPECT_THAT(misuse.what, HasSubstr("fake:0"));
      if (on_misuse_) on_misuse_();
    };
    return options;
  }
  static Port open(Context& context, std::shared_ptr<FakeCard> card, std::string name = "fake:0") {
    return {context.state(), std::make_unique<FakeDriver>(std::move(card), std::move(name))};
  }
  void open_and_start() {
    port_.emplace(open(context_, card_));
    ASSERT_TRUE(test::configure_port(*port_, test::sending_only()));
    ASSERT_TRUE(port_->start());
  }
  /// Calls run_due at the times that it returns, for the given duration.
  void run_for(Duration span) {
    const Time end = clock_->now() + span;
    while (clock_->now() < end) {
      const auto due = context_.control().run_due();
      ASSERT_TRUE(due) << due.error().message();
      clock_->advance(std::min(*due, end) - clock_->now());
    }
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::shared_ptr<FakeCard> card_ = std::make_shared<FakeCard>();
  std::vector<std::string> misuses_;
  std::function<void()> on_misuse_;
  Context context_{watched()};
  std::optional<Port> port_;
};

TEST_F(PortControl, TheDefaultRingIsTheNearestThatThePortHas) {
  card_->limits = {
      .max_tx_queues = 1, .min_ring = 16, .max_ring = 240, .ring_multiple = 16, .min_mtu = 68, .max_mtu = 1500};
  Port small = open(context_, card_);
  ASSERT_TRUE(test::configure_port(small, test::sending_only()));
  EXPECT_EQ(small.config().tx[0].ring, 240U);
  card_->limits.min_ring = 1024;
  card_->limits.max_ring = 4096;
  Port large = open(context_, card_, "fake:1");
  ASSERT_TRUE(test::configure_port(large, test::sending_only()));
  EXPECT_EQ(large.config().tx[0].ring, 1024U);
}

TEST_F(PortControl, CapabilitiesAreFoundByNameAndVersion) {
  Port port = open(context_, card_);
  EXPECT_THAT(port.capabilities(), ElementsAre("radio"));
  ASSERT_TRUE(port.capability<test::Radio>());
  EXPECT_EQ(port.capability<test::Radio>()->channel, 7);
  EXPECT_FALSE(port.capability<test::NextRadio>());
}

TEST_F(PortControl, AMissingCapabilityIsAnErrorThatNamesThoseOfThePort) {
  const Error error = open(context_, card_).lacks(CapabilityId{"sonar"});
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, AllOf(HasSubstr("fake:0"), HasSubstr("sonar")));
  EXPECT_EQ(error.hint, "use another port; this one has radio");
}

TEST_F(PortControl, TheApplicationsFieldMovesWithThePort) {
  Port one = open(context_, card_);
  EXPECT_EQ(one.user(), 0U);
  one.set_user(0x0123456789ABCDEF);
  Port other = std::move(one);
  EXPECT_EQ(other.user(), 0x0123456789ABCDEFU);
  Port third = open(context_, std::make_shared<FakeCard>());
  third = std::move(other);
  EXPECT_EQ(third.user(), 0x0123456789ABCDEFU);
}

TEST_F(PortControl, ServicesEachOpenPortOnceASecond) {
  const auto second = std::make_shared<FakeCard>();
  open_and_start();
  {
    const Port other = open(context_, second, "fake:1");
    run_for(10500ms);
    EXPECT_EQ(card_->services, 10);
    EXPECT_EQ(second->services, 10);
  }
  run_for(5s);
  EXPECT_EQ(card_->services, 15);
  EXPECT_EQ(second->services, 10) << "a destroyed port is not serviced";
  ASSERT_TRUE(port_->close());
  EXPECT_EQ(context_.control().run_due().value(), Time::max()) << "a closed port is not serviced";
  EXPECT_EQ(card_->services, 15);
}

TEST_F(PortControl, AFailedPortIsReportedOnce) {
  open_and_start();
  card_->removed = true;
  clock_->advance(1s);
  const auto due = context_.control().run_due();
  ASSERT_FALSE(due);
  EXPECT_EQ(due.error().code, ErrorCode::device_removed);
  EXPECT_THAT(due.error().what, HasSubstr("fake:0"));
  EXPECT_EQ(port_->state(), PortState::failed);
  clock_->advance(5s);
  EXPECT_EQ(context_.control().run_due().value(), Time::max());
  EXPECT_EQ(card_->services, 1);
}

TEST_F(PortControl, AFailureReturnedByServiceIsNotReportedAgain) {
  open_and_start();
  card_->removed = true;
  EXPECT_EQ(port_->service().error().code, ErrorCode::device_removed);
  clock_->advance(5s);
  EXPECT_EQ(context_.control().run_due().value(), Time::max());
  EXPECT_EQ(port_->service().error().code, ErrorCode::device_removed) << "service itself returns it each time";
}

TEST_F(PortControl, AServiceByTheProgramDelaysTheNext) {
  open_and_start();
  clock_->advance(700ms);
  ASSERT_TRUE(port_->service());
  EXPECT_EQ(context_.control().run_due().value(), 1700ms);
}

TEST_F(PortControl, ADevicesEventRunsTheServiceAtOnce) {
  const FileDescriptor removal(::eventfd(0, EFD_CLOEXEC));
  card_->events = {-1, removal.get()};
  open_and_start();
  const int event = context_.control().event_fd();
  pollfd look{.fd = event, .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&look, 1, 0), 0);
  card_->removed = true;
  ASSERT_EQ(::eventfd_write(removal.get(), 1), 0);
  EXPECT_EQ(::poll(&look, 1, 0), 1);
  EXPECT_FALSE(context_.control().run_due());
  EXPECT_EQ(::poll(&look, 1, 0), 0) << "the event of a removed card is not watched any more";
}

TEST_F(PortControl, APortThatCannotCloseIsStillServiced) {
  open_and_start();
  card_->stuck = true;
  EXPECT_FALSE(port_->close());
  run_for(2500ms);
  EXPECT_EQ(card_->services, 2);
  card_->stuck = false;  // a driver that cannot close is never destroyed
}

TEST_F(PortControl, APortMayMove) {
  open_and_start();
  Port moved = *std::move(port_);
  port_.reset();
  EXPECT_FALSE(card_->destroyed);
  run_for(1500ms);
  EXPECT_EQ(card_->services, 1);
  const auto second = std::make_shared<FakeCard>();
  moved = open(context_, second, "fake:1");
  EXPECT_TRUE(card_->destroyed) << "assignment destroys the old port";
  EXPECT_EQ(moved.info().name, "fake:1");
  run_for(1500ms);
  EXPECT_EQ(card_->services, 1);
  EXPECT_EQ(second->services, 1);
}

TEST_F(PortControl, APortMayOutliveItsContext) {
  auto context = std::make_unique<Context>(options());
  Port port = open(*context, card_);
  context.reset();
  EXPECT_TRUE(port.service());
}

#if POLLUX_CHECKED

TEST_F(PortControl, AnOverdueServiceIsReportedOncePerLapse) {
  open_and_start();
  clock_->advance(20s);
  static_cast<void>(port_->stats());
  EXPECT_THAT(misuses_, IsEmpty()) << "late, but not overdue";
  clock_->advance(1us);
  static_cast<void>(port_->stats());
  static_cast<void>(port_->link());
  EXPECT_THAT(misuses_, ElementsAre(AllOf(HasSubstr("fake:0"), HasSubstr("20.0 s"), HasSubstr("control().run_due()"))));
  run_for(30s);
  EXPECT_EQ(misuses_.size(), 1u) << "it ran again";
  clock_->advance(1min);
  static_cast<void>(context_.control().run_due());
  EXPECT_EQ(misuses_.size(), 2u) << "run_due itself reports it";
  clock_->advance(1min);
  ASSERT_TRUE(port_->close());
  EXPECT_EQ(misuses_.size(), 3u);
}

TEST_F(PortControl, AServiceIsOverdueOnlyWhileStarted) {
  port_.emplace(open(context_, card_));
  clock_->advance(1min);
  ASSERT_TRUE(test::configure_port(*port_, test::sending_only()));
  clock_->advance(1min);
  ASSERT_TRUE(port_->start());
  static_cast<void>(port_->stats());
  ASSERT_TRUE(port_->stop());
  clock_->advance(1min);
  static_cast<void>(port_->stats());
  EXPECT_THAT(misuses_, IsEmpty());
  ASSERT_TRUE(port_->start());
  clock_->advance(1min);
  port_.reset();
  EXPECT_EQ(misuses_.size(), 1u) << "the destructor reports it, too";
}

TEST_F(PortControl, TheMisuseHandlerMayCallThePort) {
  open_and_start();
  on_misuse_ = [this] { EXPECT_EQ(port_->state(), PortState::started); };
  clock_->advance(1min);
  static_cast<void>(port_->stats());
  EXPECT_EQ(misuses_.size(), 1u);
}

TEST(PortQueues, AMissingQueueIsReportedAndCarriesNothing) {
  std::vector<std::string> misuses;
  ContextOptions options;
  options.huge_pages = HugePages::never;
  options.on_misuse = [&](const Misuse& misuse) {
    EXPECT_EQ(misuse.kind, MisuseKind::no_such_queue);
    misuses.push_back(misuse.what);
  };
  Context context(options);
  Port port(context.state(), std::make_unique<FakeDriver>(std::make_shared<FakeCard>(), "fake:0"));
  Burst<4> burst;
  const Site site = Site::here();
  EXPECT_EQ(port.rx(3).rx_burst(burst), 0u);
  EXPECT_EQ(port.tx(2).tx_burst(burst), 0u);
  const std::string file = std::string(site.file) + ":";
  EXPECT_THAT(misuses, ElementsAre(AllOf(HasSubstr("fake:0: there is no receive queue 3"),
                                         HasSubstr(file + std::to_string(site.line + 1)), HasSubstr("rx_queue()")),
                                   AllOf(HasSubstr("fake:0: there is no transmit queue 2"),
                                         HasSubstr(file + std::to_string(site.line + 2)), HasSubstr("tx_queue()"))));
  EXPECT_EQ(port.tx(0).in_flight(), 0u);
  EXPECT_EQ(port.rx_queue(3), nullptr) << "checking an index is no misuse";
  EXPECT_EQ(misuses.size(), 3u);
}

#else

TEST_F(PortControl, AnUncheckedBuildReportsNothing) {
  open_and_start();
  clock_->advance(1min);
  static_cast<void>(port_->stats());
  EXPECT_THAT(misuses_, IsEmpty());
}

#endif

TEST(PortThreads, ControlCallsOfAllThreadsWaitForEachOther) {
  ContextOptions options;
  options.huge_pages = HugePages::never;
  options.control_thread = true;
  Context context(options);
  const auto card = std::make_shared<FakeCard>();
  Port port(context.state(), std::make_unique<FakeDriver>(card, "fake:0"));
  constexpr int kRounds = 500;
  const auto repeat = [](auto call) {
    return std::thread([call] {
      for (int i = 0; i < kRounds; ++i) call();
    });
  };
  std::thread callers[] = {
      repeat([&] {
        EXPECT_TRUE(test::configure_port(port, test::sending_only()));
        EXPECT_TRUE(port.start());
        EXPECT_TRUE(port.stop());
      }),
      repeat([&] { static_cast<void>(port.stats()); }),
      repeat([&] { static_cast<void>(port.link()); }),
      repeat([&] { static_cast<void>(port.state()); }),
      repeat([&] { EXPECT_TRUE(port.service()); }),
      repeat([&] { EXPECT_TRUE(context.control().run_due()); }),
      repeat([&] {
        const auto second = std::make_shared<FakeCard>();
        const Port other(context.state(), std::make_unique<FakeDriver>(second, "fake:1"));
      }),
  };
  for (std::thread& caller : callers) caller.join();
  EXPECT_FALSE(card->overlapped);
}

// What a port waits for may be the service of another one.
TEST_F(PortControl, APortInAControlCallDoesNotHoldUpTheServiceOfOthers) {
  const auto other_card = std::make_shared<FakeCard>();
  Port busy = open(context_, card_);
  Port other = open(context_, other_card, "fake:1");
  ASSERT_TRUE(test::configure_port(busy, test::sending_only()));
  std::atomic<bool> inside{false};
  bool was_served = false;
  card_->during_start = [&] {
    inside = true;
    SteadyClock real;
    was_served =
        wait_until(real, "the other port's service", 5s, [&] { return other_card->services != 0; }).has_value();
  };
  std::thread starts([&] { EXPECT_TRUE(busy.start()); });
  while (!inside) std::this_thread::yield();
  clock_->advance(1s);
  EXPECT_TRUE(context_.control().run_due());
  starts.join();
  EXPECT_TRUE(was_served);
  const int before = card_->services;
  clock_->advance(1ms);
  EXPECT_TRUE(context_.control().run_due());
  EXPECT_EQ(card_->services, before + 1) << "its own service is done later";
}

TEST(PortThreads, TheControlThreadServicesAPort) {
  ContextOptions options;
  options.huge_pages = HugePages::never;
  options.control_thread = true;
  Context context(options);
  const FileDescriptor removal(::eventfd(0, EFD_CLOEXEC));
  const auto card = std::make_shared<FakeCard>();
  card->events = {removal.get()};
  Port port(context.state(), std::make_unique<FakeDriver>(card, "fake:0"));
  card->removed = true;
  ASSERT_EQ(::eventfd_write(removal.get(), 1), 0);
  EXPECT_TRUE(
      wait_until(context.clock(), "the port's failure", 60s, [&] { return port.state() == PortState::failed; }));
}

TEST_F(PortControl, AWaitForTheLinkSaysWhatToCheck) {
  Context context(watched());
  Port port = open(context, card_);
  ASSERT_TRUE(test::configure_port(port, test::sending_only()));
  const auto stopped = port.wait_for_link(20ms);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::timeout);
  EXPECT_THAT(stopped.error().what, HasSubstr("fake:0: the link is still down after 20 ms"));
  EXPECT_THAT(stopped.error().hint, HasSubstr("start the port"));
  ASSERT_TRUE(port.start());
  const auto started = port.wait_for_link(20ms);
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().hint, HasSubstr("cable"));
}

TEST_F(PortControl, AWaitForTheLinkOfARemovedCardSaysThatItWasRemoved) {
  Context context(watched());
  Port port = open(context, card_);
  ASSERT_TRUE(test::configure_port(port, test::sending_only()));
  ASSERT_TRUE(port.start());
  card_->removed = true;
  EXPECT_EQ(port.wait_for_link(20ms).error().code, ErrorCode::device_removed);
  const Duration before = context.clock().now();
  EXPECT_EQ(port.wait_for_link(1h).error().code, ErrorCode::device_removed)
      << "the port has failed: there is nothing to wait for";
  EXPECT_LT(context.clock().now() - before, 1s);
}

}  // namespace
}  // namespace pollux
