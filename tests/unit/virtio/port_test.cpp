// SPDX-License-Identifier: BSD-3-Clause
// The port on two in-process devices: the restart of a queue, and a device that needs a reset.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/sim/device.hpp"
#include "backends/sim/wire.hpp"
#include "mem/context_state.hpp"
#include "models/virtio/net/card.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/rss.hpp"
#include "pollux/open.hpp"
#include "support/chain.hpp"
#include "support/settings_edits.hpp"
#include "unit/models/virtio/frames.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// Two ports whose devices are of the same kind, on one wire.
class VirtioPorts : public testing::TestWithParam<const char*> {
 protected:
  void open(const std::string& options, std::uint16_t queues = 1) {
    kind_ = "?card=virtio-net" + std::string(GetParam()) + options;
    config_.rx.resize(queues, config_.rx[0]);
    config_.tx.resize(queues, config_.tx[0]);
    left_.emplace(pollux::open(context_, "sim:0" + kind_, config_).value());
    right_.emplace(pollux::open(context_, "sim:1" + kind_, config_).value());
  }
  static Bytes broadcast(std::uint8_t first) {
    Bytes frame = frame_of(60, first);
    std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
    return frame;
  }
  std::uint32_t send(Port& port, std::uint16_t queue, std::uint8_t first, std::uint32_t count = 1) {
    Burst<32> burst;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Bytes frame = broadcast(first);
      MbufPtr mbuf = pool_.allocate();
      std::copy(frame.begin(), frame.end(), mbuf->append(static_cast<std::uint32_t>(frame.size())));
      EXPECT_TRUE(burst.push(mbuf));
    }
    const std::uint32_t taken = port.tx(queue).tx_burst(burst);
    burst.drop(seen_);
    return taken;
  }
  std::vector<Bytes> receive(Port& port) {
    std::vector<Bytes> frames;
    for (std::uint16_t queue = 0; port.rx_queue(queue) != nullptr; ++queue) {
      Burst<32> burst;
      port.rx(queue).rx_burst(burst);
      for (const Mbuf& mbuf : burst) frames.emplace_back(mbuf.data(), mbuf.data() + mbuf.length());
      burst.drop(seen_);
    }
    return frames;
  }
  /// A frame passes from each queue of one port to the other, and back.
  void expect_traffic() {
    for (std::uint16_t queue = 0; queue < config_.tx.size(); ++queue) {
      const auto number = static_cast<std::uint8_t>(queue + 1);
      EXPECT_EQ(send(*left_, queue, number), 1U);
      EXPECT_THAT(receive(*right_), ElementsAre(broadcast(number)));
      EXPECT_EQ(send(*right_, queue, number), 1U);
      EXPECT_THAT(receive(*left_), ElementsAre(broadcast(number)));
    }
  }

  // A clock that stands still: limits of interrupts do not end during a slow test.
  Context context_{{.clock = std::make_shared<ManualClock>(), .huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 1024, .name = "ports"}).value();
  Settings config_{.rx = {{.pool = pool_, .ring = 64}}, .tx = {{.ring = 64}}};
  std::string kind_;
  std::optional<Port> left_;
  std::optional<Port> right_;
  DropCounter seen_{"seen"};
};

INSTANTIATE_TEST_SUITE_P(Formats, VirtioPorts, testing::Values("+no-ring-packed", ""),
                         [](const auto& format) { return *format.param != 0 ? "split" : "packed"; });

TEST_P(VirtioPorts, AQueueIsRestartedByAResetOfTheDeviceWithoutRingReset) {
  open("+no-ring-reset", 2);
  expect_traffic();
  EXPECT_EQ(send(*left_, 0, 1, 3), 3U);
  for (std::uint16_t queue = 0; queue < 2; ++queue) {
    const auto receiver = pollux::test::restart_rx(*right_, queue, {.pool = pool_, .ring = 128});
    ASSERT_TRUE(receiver) << receiver.error().message();
    const auto sender = pollux::test::restart_tx(*right_, queue, {.ring = 32});
    ASSERT_TRUE(sender) << sender.error().message();
    EXPECT_EQ(right_->config().rx[queue].ring, 128U);
    EXPECT_EQ(right_->config().tx[queue].ring, 32U);
    EXPECT_EQ(right_->state(), PortState::started);
    expect_traffic();
  }
  for (const Counter& counter : right_->stats().drops) {
    EXPECT_EQ(counter.value, counter.name == "rx_stopped" ? 3U : 0U) << counter.name;
  }
  EXPECT_EQ(right_->stop_queue(QueueId::rx(0)).error().code, ErrorCode::not_supported);
  expect_traffic();
}

// Another thread may be sending on the other queue.
TEST_P(VirtioPorts, ARestartOfAQueueTakesNothingBackFromTheOthers) {
  open("", 2);
  EXPECT_EQ(send(*left_, 1, 1, 3), 3U);
  EXPECT_THAT(receive(*right_), SizeIs(3));
  const auto in_use = pool_.stats().in_use();
  const auto restarted = pollux::test::restart_tx(*left_, 0, {.ring = 32});
  ASSERT_TRUE(restarted) << restarted.error().message();
  EXPECT_EQ(pool_.stats().in_use(), in_use) << "the three are taken back by the next burst on their queue";
  const auto own = pollux::test::restart_tx(*left_, 1, {.ring = 32});
  ASSERT_TRUE(own) << own.error().message();
  EXPECT_EQ(pool_.stats().in_use(), in_use - 3);
  expect_traffic();
}

TEST_P(VirtioPorts, AControlQueueThatDoesNotAnswerIsATimeoutAndFailsThePort) {
  open("+fault=no-answer@8");
  std::optional<ErrorCode> code;
  for (int command = 0; !code && command < 20; ++command) {
    if (const auto set = pollux::test::set_promiscuous(*left_, command % 2 == 0); !set) code = set.error().code;
  }
  EXPECT_EQ(code, ErrorCode::timeout);
  EXPECT_EQ(left_->state(), PortState::failed) << "nobody knows which settings the device has";
  EXPECT_EQ(send(*left_, 0, 1), 0U);
}

// With IN_ORDER the next entry stands for that buffer, too, and all later ones are in another place than it says.
TEST_P(VirtioPorts, AReceiveBufferThatIsNeverUsedEndsThePort) {
  open("+fault=rx-used-never@10");
  std::uint32_t frames = 0;
  for (; right_->service(); ++frames) {
    ASSERT_LT(frames, 100U);
    send(*left_, 0, 1);
    receive(*right_);
  }
  EXPECT_LT(frames, 15U);
  EXPECT_EQ(right_->state(), PortState::failed);
  EXPECT_EQ(right_->service().error().code, ErrorCode::device_fault);
}

TEST_P(VirtioPorts, ADeviceThatNeedsAResetFailsThePortUntilItsDeviceIsAttachedAgain) {
  open("+fault=tx-needs-reset@40");
  std::vector<PortEvent> events;
  left_->on_event([&](const PortEvent& event) {
    if (event.kind == PortEventKind::error) events.push_back(event);
  });
  std::uint32_t frames = 0;
  for (; left_->service(); ++frames) {
    ASSERT_LT(frames, 100U);
    send(*left_, 0, 1);
    receive(*right_);
  }
  EXPECT_EQ(left_->state(), PortState::failed);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].error.code, ErrorCode::device_fault);
  EXPECT_THAT(events[0].error.what, testing::HasSubstr("NEEDS_RESET"));
  EXPECT_EQ(send(*left_, 0, 1), 0U);
  ASSERT_TRUE(left_->detach());
  auto device = open_device(context_, "sim:0" + kind_);
  ASSERT_TRUE(device) << device.error().message();
  const auto attached = left_->attach(*std::move(device));
  ASSERT_TRUE(attached) << attached.error().message();
  EXPECT_EQ(left_->state(), PortState::started);
  expect_traffic();
}

// 5.1.6.5.9: a queue that is enabled again has forgotten its limits.
TEST_P(VirtioPorts, AQueueThatIsRestartedStillLimitsItsInterrupts) {
  open("");
  const auto wakes = [&] {
    EXPECT_TRUE(right_->rx(0).arm() || right_->rx(0).arm()) << "only a start of the queue refuses once";
    EXPECT_EQ(send(*left_, 0, 1), 1U);
    pollfd waiting{.fd = right_->rx(0).event_fd(), .events = POLLIN, .revents = 0};
    const int ready = poll(&waiting, 1, 0);
    right_->rx(0).disarm();
    EXPECT_THAT(receive(*right_), SizeIs(1));
    return ready == 1;
  };
  EXPECT_TRUE(wakes());
  const auto moderate = [&](Duration interval) {
    return right_->change([=](Settings& settings) { settings.moderation[0] = {.interval = interval}; });
  };
  ASSERT_TRUE(moderate(Interrupts::kMaxInterval));
  EXPECT_FALSE(wakes());
  ASSERT_TRUE(pollux::test::restart_rx(*right_, 0, {.pool = pool_, .ring = 128}));
  EXPECT_FALSE(wakes());
  ASSERT_TRUE(right_->stop_queue(QueueId::rx(0)));
  EXPECT_TRUE(moderate(Duration(0))) << "for the next start";
  ASSERT_TRUE(right_->start_queue(QueueId::rx(0)));
  EXPECT_TRUE(wakes());
}

TEST_P(VirtioPorts, RssDoesNotNameAStoppedQueue) {
  open("", 2);
  RssConfig config = pollux::test::rss_of(*right_);
  const auto set_rss = [&] { return right_->change([&](Settings& settings) { settings.rss = config; }); };
  ASSERT_THAT(config.table, Contains(1));
  ASSERT_TRUE(right_->stop_queue(QueueId::rx(1)));
  config.key[0] ^= 1;
  EXPECT_EQ(set_rss().error().code, ErrorCode::bad_state);
  EXPECT_EQ(right_->state(), PortState::started);
  std::ranges::fill(config.table, std::uint16_t{0});
  EXPECT_TRUE(set_rss());
  EXPECT_EQ(pollux::test::rss_of(*right_), config);
  ASSERT_TRUE(right_->start_queue(QueueId::rx(1)));
  expect_traffic();
}

TEST_P(VirtioPorts, AFrameOfMoreMbufsThanTheQueueHasDescriptorsIsDroppedAndCounted) {
  config_.rx[0].ring = config_.tx[0].ring = 8;
  open("+queue-size=8");
  EXPECT_EQ(left_->info().limits.max_tx_segments, 7U);
  EXPECT_EQ(left_->offloads().max_segments, 7U);
  for (const std::size_t segments : {7U, 8U, 40U}) {
    Burst<1> burst;
    MbufPtr frame = pollux::test::make_chain(pool_, broadcast(1), 60 - segments + 1, 1);
    ASSERT_EQ(frame->segments(), segments);
    ASSERT_TRUE(burst.push(frame));
    EXPECT_EQ(left_->tx(0).tx_burst(burst), 1U);
    EXPECT_THAT(receive(*right_), SizeIs(segments == 7 ? 1 : 0));
    EXPECT_TRUE(left_->service()) << segments << " mbufs";
  }
  EXPECT_EQ(left_->stats().tx_dropped, 2U);
  expect_traffic();
}

// The device has a ring's buffers, and none for the rest of such a frame.
TEST_P(VirtioPorts, ARingTooSmallForUnsegmentedFramesGetsSegments) {
  constexpr std::uint16_t kSegment = 1400;
  for (const std::uint32_t ring : {16U, 64U}) {
    config_.rx[0].ring = ring;
    left_.reset();
    right_.reset();
    open("");
    const models::virtio::PacketKind kind{};
    const models::virtio::Bytes packet = models::virtio::packet(kind, 40'000, false);
    Bytes bytes(packet.size());
    std::memcpy(bytes.data(), packet.data(), packet.size());
    std::fill_n(bytes.begin(), 6, std::uint8_t{0xFF});
    MbufPtr frame = pollux::test::make_chain(pool_, bytes, 2000, 2000);
    frame->set_tx_offload({.flags = TxOffload::tcp_segmentation,
                           .l2 = 14,
                           .l3 = static_cast<std::uint16_t>(kind.l4() - kind.ip()),
                           .l4 = static_cast<std::uint16_t>(kind.payload() - kind.l4()),
                           .segment_size = kSegment});
    Burst<1> burst;
    ASSERT_TRUE(burst.push(frame));
    EXPECT_EQ(left_->tx(0).tx_burst(burst), 1U);
    EXPECT_EQ(send(*left_, 0, 1), 1U);
    std::size_t received = 0;
    for (std::size_t more = 1; more != 0; received += more) more = receive(*right_).size();
    EXPECT_EQ(received, 1 + (ring == 64 ? 1 : (40'000 + kSegment - 1) / kSegment)) << "ring " << ring;
    const auto shorter = pollux::test::restart_rx(*right_, 0, {.pool = pool_, .ring = 8});
    EXPECT_EQ(shorter.has_value(), ring == 16) << "the device does not segment meanwhile";
    if (!shorter) {
      EXPECT_EQ(shorter.error().code, ErrorCode::bad_state);
    }
    expect_traffic();
  }
}

TEST_P(VirtioPorts, ARingThatCannotHoldAFrameOfTheDeviceIsRefused) {
  config_.rx[0].ring = 16;
  const std::string uri = "?card=virtio-net" + std::string(GetParam());
  const auto refused = pollux::open(context_, "sim:0" + uri + "+no-mtu", config_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().what, HasSubstr("a frame of 65553 bytes"));
  EXPECT_THAT(refused.error().what, HasSubstr("ring = 16 has buffers of 2048"));
  auto port = pollux::open(context_, "sim:0" + uri + "+mtu=9000", config_);
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->info().limits.max_rx_frame, 9018U);
}

// 5.1.6.5.1: in promiscuous mode the device passes all, and Settings::vlans concern that mode, too.
TEST_P(VirtioPorts, VlansAreFilteredInPromiscuousModeToo) {
  open("");
  ASSERT_TRUE(right_->stop());
  ASSERT_TRUE(right_->change(pollux::test::with_vlan(5)));
  ASSERT_TRUE(right_->start());
  const auto passes = [&](std::optional<std::uint8_t> vlan) {
    Bytes frame = frame_of(64, 2);  // to another station
    if (vlan) std::copy_n(Bytes{0x81, 0, 0xE0, *vlan}.begin(), 4, frame.begin() + 12);
    Burst<1> burst;
    MbufPtr mbuf = pollux::test::make_chain(pool_, frame, 64, 64);
    EXPECT_TRUE(burst.push(mbuf));
    EXPECT_EQ(left_->tx(0).tx_burst(burst), 1U);
    return receive(*right_).size() == 1;
  };
  for (const bool promiscuous : {false, true, false, true}) {
    ASSERT_TRUE(pollux::test::set_promiscuous(*right_, promiscuous));
    for (const auto vlan : std::initializer_list<std::optional<std::uint8_t>>{std::nullopt, 0, 5}) {
      EXPECT_EQ(passes(vlan), promiscuous) << int{vlan.value_or(0)};
    }
    EXPECT_FALSE(passes(6));
  }
  ASSERT_TRUE(right_->change(pollux::test::with_vlan(6)));
  ASSERT_TRUE(right_->change(pollux::test::with_vlan(5, false)));
  EXPECT_TRUE(passes(6));
  EXPECT_FALSE(passes(5));
  expect_traffic();
}

// What a device must drop is counted as dropped, and not as sent.
TEST_P(VirtioPorts, SuperframesBeyondTheLimitsAreDroppedAndCounted) {
  config_.rx[0].ring = config_.tx[0].ring = 128;
  open("");
  const OffloadLimits limits = left_->offloads();
  EXPECT_EQ(limits.max_tcp_segments, 4096U);
  struct Case {
    std::size_t payload;
    std::uint16_t segment_size;
    const char* drop;  // nullptr: sent
  };
  for (const auto& [payload, segment_size, drop] :
       {Case{65'495, 1400, nullptr}, Case{65'496, 1400, "tx_too_long"}, Case{65'503, 1400, "tx_too_long"},
        Case{4096, 1, nullptr}, Case{4097, 1, "tx_too_many_segments"}}) {
    Bytes bytes(54 + payload, 0);
    const Bytes headers{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2,  0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64,  6,
                        0,    0,    10,   0,    0,    1,    10, 0, 0, 2, 0, 1, 0, 2, 0,    0, 0, 0, 0, 0, 0, 0, 0x50};
    std::copy(headers.begin(), headers.end(), bytes.begin());
    MbufPtr frame = pollux::test::make_chain(pool_, bytes, 2000, 2000);
    frame->set_tx_offload(
        {.flags = TxOffload::tcp_segmentation, .l2 = 14, .l3 = 20, .l4 = 20, .segment_size = segment_size});
    const auto dropped = [&] {
      std::uint64_t all = 0;
      for (const Counter& counter : left_->stats().drops)
        all += drop == nullptr || counter.name == drop ? counter.value : 0;
      return all;
    };
    const auto entered = [&] { return sim::wire_counters(context_, 0)->entered; };
    const std::uint64_t before = dropped();
    const std::uint64_t on_wire = entered();
    Burst<1> burst;
    ASSERT_TRUE(burst.push(frame));
    EXPECT_EQ(left_->tx(0).tx_burst(burst), 1U);
    while (!receive(*right_).empty()) {
    }
    EXPECT_EQ(dropped() - before, drop == nullptr ? 0U : 1U) << payload << " bytes";
    EXPECT_EQ(entered() - on_wire, drop == nullptr ? 1U : 0U) << payload << " bytes";
  }
}

// 5.1.6.5.4: the device asks once, until the driver has acknowledged it.
TEST(VirtioPort, ARequestToAnnounceIsAcknowledgedAndCounted) {
  Context context({.huge_pages = HugePages::never});
  auto made = std::make_unique<models::virtio::Card>(models::virtio::CardOptions{});
  models::virtio::Card& card = *made;
  const auto wire = sim::Wire::create(context.state()->clock(), std::move(made), [](auto /*frame*/) {});
  Port port = pollux::open(context, sim::SimDevice::create(context, "sim:announces", wire, 0).value()).value();
  const auto announcements = [&] {
    EXPECT_TRUE(port.service());
    const auto counters = port.extended_stats();
    const auto found =
        std::find_if(counters.begin(), counters.end(), [](const Counter& c) { return c.name == "announcements"; });
    return found != counters.end() ? std::optional(found->value) : std::nullopt;
  };
  EXPECT_EQ(announcements(), 0U);
  for (std::uint64_t times : {1U, 2U}) {
    wire->with_card(0, [&](DeviceModel&) { card.announce(); });
    EXPECT_EQ(announcements(), times);
    EXPECT_EQ(announcements(), times) << "it is asked once";
  }
}

}  // namespace
}  // namespace pollux::drivers::virtio::test
