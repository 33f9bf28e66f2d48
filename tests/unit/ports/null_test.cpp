// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <span>
#include <thread>

#include "fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::ports {
namespace {

using testing::HasSubstr;
using NullPort = PortFixture;

TEST_F(NullPort, DiscardsAndCountsFrames) {
  Port port = started("null:");
  EXPECT_EQ(send(port, {numbered(60, 1), numbered(1000, 2)}), 2U);
  EXPECT_EQ(port.stats().tx_packets, 2U);
  EXPECT_EQ(port.stats().tx_bytes, 60U + 1000U);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
  EXPECT_TRUE(poll(port).empty());
}

TEST_F(NullPort, GeneratesFramesOfTheGivenLength) {
  Port port = started("null:?rx=64");
  const std::vector<Bytes> frames = poll(port);
  ASSERT_EQ(frames.size(), 32U);
  EXPECT_EQ(frames[0].size(), 60U);
  EXPECT_EQ(frames[0][12], 0x88);
  EXPECT_EQ(frames[0][59], 0);
  EXPECT_EQ(poll(port), frames);
}

TEST_F(NullPort, GeneratesLongFramesInChainsIfTheMtuAllows) {
  const Error error = [&] {
    const auto port = open(context_, "null:?rx=9018", config());
    return port ? Error{} : port.error();
  }();
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.hint, HasSubstr("8996"));
  Settings jumbo = config();
  jumbo.mtu = 8996;
  Port port = must(open(context_, "null:?rx=9018", jumbo));
  const auto frames = poll(port);
  ASSERT_EQ(frames.size(), 32U);
  EXPECT_EQ(frames[31].size(), 9014U);
  EXPECT_FALSE(test::set_mtu(port, 1500));
  EXPECT_EQ(port.settings().mtu, 8996U);
}

// Virtual time passes at once, but the thread in the burst needs time of the machine.
TEST_F(NullPort, StopsInVirtualTimeWhileAThreadIsInABurst) {
  class Slow final : public RxObserver {
   public:
    void received(const RxQueue&, std::span<Mbuf* const>) noexcept override {
      is_inside = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    std::atomic<bool> is_inside{false};
  };
  Port port = started("null:?rx=64");
  Slow slow;
  ASSERT_TRUE(port.attach_observer(0, slow));
  std::thread thread([&] { EXPECT_EQ(poll(port).size(), 32U); });
  while (!slow.is_inside) std::this_thread::yield();
  const auto stopped = port.stop();
  thread.join();
  EXPECT_TRUE(stopped) << stopped.error().message();
}

TEST_F(NullPort, QueuesFollowEachChangeByWhateverReference) {
  Port port = must(open_unconfigured(context_, "null:"));
  EXPECT_EQ(port.rx_queue(0), nullptr);
  const auto with = [](std::uint16_t rx, std::uint16_t tx) {
    return [=](Settings& settings) {
      settings.rx.resize(rx);
      settings.tx.resize(tx);
    };
  };
  ASSERT_TRUE(open_ports(context_).at(0)->change(with(3, 2)));
  RxQueue* const last = port.rx_queue(2);
  EXPECT_EQ(last, &port.rx(2));
  EXPECT_NE(last, nullptr);
  EXPECT_NE(port.tx_queue(1), nullptr);
  EXPECT_EQ(port.rx_queue(3), nullptr);
  EXPECT_EQ(port.tx_queue(2), nullptr);
  Port moved(std::move(port));
  EXPECT_EQ(moved.rx_queue(2), last);
  EXPECT_EQ(open_ports(context_).at(0)->rx_queue(2), last);
  port = must(open_unconfigured(context_, "null:"));
  EXPECT_EQ(port.rx_queue(0), nullptr) << "of the other port";
  port = std::move(moved);
  ASSERT_TRUE(port.change(with(1, 3)));
  EXPECT_EQ(port.rx_queue(1), nullptr);
  EXPECT_NE(port.tx_queue(2), nullptr);
  ASSERT_TRUE(open_ports(context_).at(0)->close());
  EXPECT_EQ(port.rx_queue(0), nullptr);
  EXPECT_EQ(port.tx_queue(0), nullptr);
}

TEST_F(NullPort, RejectsUnknownOptions) {
  for (const char* uri :
       {"null:?rx=17", "null:?rx=65540", "null:?rx=", "null:?rx=6x", "null:?tx=64", "null:x", "null:?rx=64,rx=65"}) {
    const Error error = refused(uri);
    EXPECT_EQ(error.code, ErrorCode::invalid_argument) << uri;
    EXPECT_THAT(error.hint, HasSubstr("null:?rx=64")) << uri;
  }
}

TEST_F(NullPort, ResumesWhenThePoolHasMbufsAgain) {
  auto small = must(Mempool::create(context_, {.count = 16}));
  Port port = must(open(context_, "null:?rx=64", {.rx = {{.pool = small}}}));
  Burst<32> held;
  EXPECT_EQ(port.rx(0).rx_burst(held), 16U);
  Burst<32> none;
  EXPECT_EQ(port.rx(0).rx_burst(none), 0U);
  DropCounter inspected("inspected");
  held.drop(inspected);
  EXPECT_EQ(port.rx(0).rx_burst(none), 16U);
  none.drop(inspected);
}

}  // namespace
}  // namespace pollux::ports
