// SPDX-License-Identifier: BSD-3-Clause
// What a capture rejects, and what happens to it when its port ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pcapng_reader.hpp"
#include "pollux/observe/capture.hpp"
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::CardFixture;
using test::counting_frame;
using testing::HasSubstr;

struct CaptureErrors : testing::Test {
  CardFixture fixture;

  void expect_refused(const CaptureOptions& options, ErrorCode code, const std::string& what) {
    const auto capture = Capture::start(fixture.port, options);
    ASSERT_FALSE(capture);
    EXPECT_EQ(capture.error().code, code);
    EXPECT_THAT(capture.error().what, HasSubstr(what));
    EXPECT_FALSE(capture.error().hint.empty());
  }
  /// Stops the capture.
  static auto file_of(Capture& capture) {
    std::vector<std::byte> bytes;
    EXPECT_TRUE(capture.stop());
    capture.drain(bytes, SIZE_MAX);
    capture.finish(bytes);
    return test::read_pcapng(bytes);
  }
  /// Whether nothing observes the queues: then a forward path can be made.
  [[nodiscard]] bool nothing_is_attached() {
    if (fixture.port.state() == PortState::started && !fixture.port.stop()) return false;
    return fixture.port.forward_path(0, fixture.port, 0).has_value();
  }
};

TEST_F(CaptureErrors, OptionsBeyondTheirLimitsAreRejected) {
  expect_refused({.filter = "no such word"}, ErrorCode::invalid_argument, "bad capture filter");
  expect_refused({.snaplen = 0}, ErrorCode::invalid_argument, "snapshot length");
  expect_refused({.snaplen = 262145}, ErrorCode::invalid_argument, "snapshot length");
  expect_refused({.snaplen = 64, .ring_bytes = 100}, ErrorCode::invalid_argument, "a ring of 100 bytes");
  expect_refused({.snaplen = 65535, .ring_bytes = 65536}, ErrorCode::invalid_argument, "a ring of 65536 bytes");
  expect_refused({.ring_bytes = std::size_t{1} << 40}, ErrorCode::invalid_argument, "a ring of");
  expect_refused({.queue = 1}, ErrorCode::invalid_argument, "there is no queue 1");
  expect_refused({.receive = false, .transmit = false}, ErrorCode::invalid_argument, "neither direction");
  EXPECT_TRUE(nothing_is_attached());
}

TEST_F(CaptureErrors, APortWithoutQueuesIsRejected) {
  CardFixture opened({.start = false});
  const auto capture = Capture::start(opened.port);
  ASSERT_FALSE(capture);
  EXPECT_EQ(capture.error().code, ErrorCode::bad_state);
}

TEST_F(CaptureErrors, AQueueWithAForwardPathIsRejectedAndTheOthersCanBeCaptured) {
  Settings two = fixture.config;
  two.tx.resize(2, two.tx[0]);
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(test::configure_port(fixture.port, two));
  auto path = fixture.port.forward_path(0, fixture.port, 1);
  ASSERT_TRUE(path);
  expect_refused({}, ErrorCode::busy, "forward path");
  const DropCounter reason("reason");
  expect_refused({.receive = false, .drops = {&reason}}, ErrorCode::busy, "forward path");
  EXPECT_FALSE(reason.is_observed());
  EXPECT_TRUE(Capture::start(fixture.port, {.queue = 0, .receive = false}));
  path->reset();
  EXPECT_TRUE(Capture::start(fixture.port)) << "transmit queue 0 was detached again";
}

TEST_F(CaptureErrors, DestroyingACaptureDetachesIt) {
  auto capture = Capture::start(fixture.port);
  ASSERT_TRUE(capture);
  EXPECT_FALSE(nothing_is_attached());
  capture->reset();
  EXPECT_TRUE(nothing_is_attached());
}

TEST_F(CaptureErrors, StoppingTwiceIsAllowed) {
  auto capture = Capture::start(fixture.port);
  ASSERT_TRUE(capture);
  EXPECT_TRUE((*capture)->stop());
  EXPECT_TRUE((*capture)->stop());
}

TEST_F(CaptureErrors, AClosedPortEndsItWithItsFramesAndStatistics) {
  auto capture = Capture::start(fixture.port);
  ASSERT_TRUE(capture);
  fixture.inject(counting_frame(60));
  ASSERT_EQ(fixture.receive_all().size(), 1U);
  EXPECT_TRUE((*capture)->is_port_open());
  ASSERT_TRUE(fixture.port.close());
  EXPECT_FALSE((*capture)->is_port_open());
  const auto file = file_of(**capture);
  EXPECT_EQ(file.packets.size(), 1U);
  EXPECT_EQ(file.statistics.size(), 2U);
}

TEST_F(CaptureErrors, AMovedPortGoesOnAndADestroyedPortEndsIt) {
  auto capture = Capture::start(fixture.port);
  ASSERT_TRUE(capture);
  std::optional<Port> moved(std::move(fixture.port));
  fixture.inject(counting_frame(60));
  Burst<4> burst;
  ASSERT_EQ(moved->rx(0).rx_burst(burst), 1U);
  EXPECT_TRUE((*capture)->is_port_open());
  EXPECT_EQ((*capture)->counts().captured, 1U);
  moved.reset();
  EXPECT_FALSE((*capture)->is_port_open());
  const auto file = file_of(**capture);
  EXPECT_EQ(file.packets.size(), 1U);
  EXPECT_FALSE(file.statistics.front().number(5)) << "its counters are gone";
}

TEST_F(CaptureErrors, AConfigurationWithoutItsQueueEndsThatQueue) {
  Settings two = fixture.config;
  two.rx.resize(2, two.rx[0]);
  two.tx.resize(2, two.tx[0]);
  ASSERT_TRUE(fixture.port.stop());
  ASSERT_TRUE(test::configure_port(fixture.port, two));
  auto capture = Capture::start(fixture.port);
  ASSERT_TRUE(capture);
  ASSERT_TRUE(test::configure_port(fixture.port, fixture.config));
  EXPECT_TRUE((*capture)->stop());
}

}  // namespace
}  // namespace pollux
