// SPDX-License-Identifier: BSD-3-Clause
// Observers of queues, for every port.
#include <span>
#include <utility>
#include <vector>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

/// Copies all observed frames.
class Recorder final : public RxObserver, public TxObserver {
 public:
  void received(const RxQueue& queue, std::span<Mbuf* const> frames) noexcept override {
    rx = &queue;
    for (const Mbuf* frame : frames) seen.push_back(content(*frame));
  }
  void sending(const TxQueue& queue, std::span<Mbuf* const> frames) noexcept override {
    tx = &queue;
    for (const Mbuf* frame : frames) given.push_back(content(*frame));
  }
  void sent(const TxQueue&, std::uint32_t count) noexcept override {
    given.resize(count);
    for (Bytes& frame : given) seen.push_back(std::move(frame));
    given.clear();
  }

  std::vector<Bytes> seen;
  std::vector<Bytes> given;
  const RxQueue* rx = nullptr;
  const TxQueue* tx = nullptr;
};

using Observers = Conformance;

CONFORMANCE_TEST_WHERE(Observers, SeeWhatIsSentAndReceived, traits.delivers && !traits.by_file) {
  start_both();
  Recorder sent;
  Recorder received;
  Recorder second;
  ASSERT_TRUE(left().attach_observer(0, static_cast<TxObserver&>(sent)));
  ASSERT_TRUE(right().attach_observer(0, static_cast<RxObserver&>(received)));
  ASSERT_TRUE(right().attach_observer(0, static_cast<RxObserver&>(second)));
  const auto frames = make_frames(40, 100);
  const auto arrived = exchange(left(), right(), frames);
  EXPECT_EQ(arrived, frames);
  EXPECT_EQ(sent.seen, frames);
  EXPECT_EQ(sent.tx, &left().tx(0));
  EXPECT_EQ(received.rx, &right().rx(0));
  EXPECT_EQ(received.seen, second.seen);
  if (!traits().needs_relay) {  // the kernel has frames of its own
    EXPECT_EQ(received.seen, frames);
  }
  EXPECT_GE(received.seen.size(), frames.size());

  ASSERT_TRUE(left().detach_observer(0, static_cast<TxObserver&>(sent)));
  ASSERT_TRUE(right().detach_observer(0, static_cast<RxObserver&>(received)));
  const std::size_t before = received.seen.size();
  EXPECT_EQ(exchange(left(), right(), frames), frames);
  EXPECT_EQ(sent.seen.size(), frames.size());
  EXPECT_EQ(received.seen.size(), before);
  EXPECT_GE(second.seen.size(), 2 * frames.size());
  ASSERT_TRUE(right().detach_observer(0, static_cast<RxObserver&>(second)));
}

CONFORMANCE_TEST_WHERE(Observers, StayWhenAPortIsStoppedAndStarted, traits.delivers && !traits.by_file) {
  start_both();
  Recorder received;
  Recorder sent;
  stop_both();
  ASSERT_TRUE(right().attach_observer(0, static_cast<RxObserver&>(received)));
  ASSERT_TRUE(left().attach_observer(0, static_cast<TxObserver&>(sent)));
  for (int round = 1; round <= 2; ++round) {
    start_again();
    const auto frames = make_frames(5, 64);
    EXPECT_EQ(exchange(left(), right(), frames), frames);
    EXPECT_GE(received.seen.size(), static_cast<std::size_t>(round) * frames.size());
    EXPECT_EQ(sent.seen.size(), static_cast<std::size_t>(round) * frames.size());
    stop_both();
  }
}

CONFORMANCE_TEST(Observers, AreRejectedWithANamedError) {
  Recorder recorder;
  RxObserver& rx = recorder;
  TxObserver& tx = recorder;
  EXPECT_EQ(right().attach_observer(0, rx).error().code, ErrorCode::bad_state);
  start_both();
  EXPECT_EQ(right().attach_observer(1, rx).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(left().attach_observer(1, tx).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(right().detach_observer(0, rx).error().code, ErrorCode::not_found);
  EXPECT_EQ(left().detach_observer(0, tx).error().code, ErrorCode::not_found);
  ASSERT_TRUE(right().attach_observer(0, rx));
  EXPECT_EQ(right().attach_observer(0, rx).error().code, ErrorCode::busy);
  ASSERT_TRUE(left().attach_observer(0, tx));
  EXPECT_EQ(left().attach_observer(0, tx).error().code, ErrorCode::busy);
  ASSERT_TRUE(right().close());
  EXPECT_EQ(right().detach_observer(0, rx).error().code, ErrorCode::bad_state);
}

CONFORMANCE_TEST_WHERE(Observers, EndWithTheirQueue, traits.several_queues) {
  pollux::Settings two = config();
  two.rx.resize(2, two.rx[0]);
  two.tx.resize(2, two.tx[0]);
  ASSERT_TRUE(test::configure_port(left(), two));
  Recorder recorder;
  RxObserver& rx = recorder;
  TxObserver& tx = recorder;
  ASSERT_TRUE(left().attach_observer(0, rx));
  ASSERT_TRUE(left().attach_observer(1, rx));
  ASSERT_TRUE(left().attach_observer(1, tx));
  ASSERT_TRUE(test::configure_port(left(), config()));
  EXPECT_EQ(left().detach_observer(1, rx).error().code, ErrorCode::invalid_argument);
  ASSERT_TRUE(test::configure_port(left(), two));
  EXPECT_EQ(left().detach_observer(1, rx).error().code, ErrorCode::not_found);
  EXPECT_EQ(left().detach_observer(1, tx).error().code, ErrorCode::not_found);
  EXPECT_TRUE(left().detach_observer(0, rx)) << "a queue that stays keeps its observer";
}

}  // namespace
}  // namespace pollux::conformance
