// SPDX-License-Identifier: BSD-3-Clause
// Faults of `pollux card --fault` in a card's memory accesses, as a driver on that card meets them, in virtual time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "card_fault.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/open.hpp"

namespace pollux::tool {
namespace {

using namespace std::chrono_literals;

/// The card of `faulty` has the fault; the other card sends frames to it.
class CardFaultTest : public testing::Test {
 protected:
  void open_with(std::string_view text) {
    auto device = open_device(context, "sim:0");
    ASSERT_TRUE(device);
    auto injected = CardFault::inject(context, text, *device);
    ASSERT_TRUE(injected) << injected.error().message();
    fault = *std::move(injected);
    faulty.emplace(*open(context, *std::move(device), {.rx = {{.pool = pool}}}));
    sender.emplace(*open(context, "sim:1", {.rx = {{.pool = pool}}}));
    ASSERT_TRUE(faulty->wait_for_link(10s) && sender->wait_for_link(10s));
  }
  void send(Port& port, unsigned frames) {
    for (unsigned frame = 0; frame < frames; ++frame) {
      MbufPtr mbuf = cache.allocate();
      std::memset(mbuf->append(60), 0xFF, 60);
      Burst<1> burst;
      ASSERT_TRUE(burst.push(mbuf));
      ASSERT_EQ(port.tx(0).tx_burst(burst), 1u);
    }
  }
  unsigned receive() {
    Burst<32> burst;
    return faulty->rx(0).rx_burst(burst);
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never}};
  Mempool pool = Mempool::create(context, {.count = 4096}).value();
  MempoolCache cache{pool};
  std::unique_ptr<CardFault> fault;  // outlives the ports
  std::optional<Port> faulty;
  std::optional<Port> sender;
};

TEST_F(CardFaultTest, AMissingWriteBackHidesItsFrameAndThoseBehindIt) {
  open_with("missing-receive-write-back@2");
  send(*sender, 2);
  EXPECT_EQ(receive(), 2u);
  EXPECT_FALSE(fault->has_begun());
  EXPECT_EQ(fault->outcome(), "0 times in 2 receive write-backs");
  send(*sender, 3);
  EXPECT_TRUE(fault->has_begun());
  EXPECT_FALSE(fault->has_begun()) << "it is told once";
  EXPECT_EQ(receive(), 0u);
  EXPECT_EQ(fault->outcome(), "1 time in 5 receive write-backs");
}

TEST_F(CardFaultTest, ALateWriteBackComesAfterItsDelay) {
  open_with("late-receive-write-back@0x2");
  send(*sender, 3);
  EXPECT_EQ(receive(), 0u);
  clock->advance(49ms);
  EXPECT_EQ(receive(), 0u);
  clock->advance(2ms);
  EXPECT_EQ(receive(), 3u);
  EXPECT_EQ(fault->outcome(), "2 times in 3 receive write-backs");
}

TEST_F(CardFaultTest, ARefusedReadSendsNothing) {
  open_with("refused-payload-read@1x1000");
  send(*faulty, 3);
  Burst<32> burst;
  EXPECT_EQ(sender->rx(0).rx_burst(burst), 1u);
  EXPECT_TRUE(fault->has_begun());
}

TEST_F(CardFaultTest, ARegistersFaultIsThatOfFaultUris) {
  open_with("removal@1000000");
  EXPECT_FALSE(fault->has_begun());
  EXPECT_THAT(fault->outcome(), testing::MatchesRegex("0 times in [0-9]+ register accesses"));
}

}  // namespace
}  // namespace pollux::tool
