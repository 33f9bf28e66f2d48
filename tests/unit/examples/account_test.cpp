// SPDX-License-Identifier: BSD-3-Clause
#include "common/account.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>

#include "common/rates.hpp"
#include "unit/examples/fixture.hpp"

namespace pollux::tools {
namespace {

using examples::Fixture;

using testing::HasSubstr;

TEST(Account, IsConservedIfEveryFrameIsAccountedFor) {
  Account account;
  account.received = 100;
  account.sent = 90;
  account.drops = {{"tx_ring_full", 6}, {"rx_error", 1}};
  account.in_flight = 3;
  EXPECT_TRUE(account.conserved());
  EXPECT_EQ(account.conservation(), "yes");
}

TEST(Account, NamesMissingFrames) {
  Account account;
  account.received = 100;
  account.sent = 93;
  EXPECT_FALSE(account.conserved());
  EXPECT_THAT(account.conservation(), HasSubstr("7 frames are missing"));
}

TEST(Account, NamesSurplusFrames) {
  Account account;
  account.sent = 2;
  EXPECT_THAT(account.conservation(), HasSubstr("2 frames too many"));
}

TEST(Account, NamesBuffersThatAreStillAllocated) {
  Account account;
  account.mbufs_in_use = 4;
  EXPECT_FALSE(account.conserved());
  EXPECT_THAT(account.conservation(), HasSubstr("4 buffers"));
}

TEST(Account, IncludesFramesMadeByAGeneratorAndKeptByAReceiver) {
  Account account;
  account.made = 10;
  account.sent = 10;
  account.received = 8;
  account.kept = 8;
  EXPECT_TRUE(account.conserved());
}

TEST(Account, DescribesOnlyDropsThatHappened) {
  EXPECT_EQ(describe({{"rx_error", 0}, {"tx_ring_full", 3}, {"tx_stopped", 1}}), "tx_ring_full 3, tx_stopped 1");
  EXPECT_EQ(describe({{"rx_error", 0}}), "none");
}

TEST(Account, DetectsAFrameThatWasFreedWithoutADropCounter) {
  Fixture fixture(2);
  fixture.send(0, std::vector<std::uint8_t>(60, 0x02));
  {
    Burst<4> forgotten;
    ASSERT_EQ(fixture.port(1).rx(0).rx_burst(forgotten), 1U);
  }
  drain(fixture.ports(), fixture.clock(), std::chrono::milliseconds(10));
  ASSERT_TRUE(stop_all(fixture.ports()));
  const Account account = take_account(std::span(&fixture.port(1), 1), fixture.pool(), {});
  EXPECT_EQ(account.received, 1U);
  EXPECT_EQ(account.difference(), 1);
}

TEST(Account, CountsFramesThatWereNotPolledBeforeTheStop) {
  Fixture fixture(2);
  for (int i = 0; i < 5; ++i) fixture.send(0, std::vector<std::uint8_t>(60, 0x02));
  ASSERT_TRUE(stop_all(fixture.ports()));
  const Account account = take_account(std::span(&fixture.port(1), 1), fixture.pool(), {});
  EXPECT_EQ(account.received, 5U);
  EXPECT_EQ(account.drops.at("rx_stopped"), 5U);
  EXPECT_TRUE(account.conserved()) << account.conservation();
}

TEST(Account, CountsFramesInFlightOfEveryTransmitQueue) {
  Context context;
  auto pool = Mempool::create(context, {.count = 2048});
  ASSERT_TRUE(pool);
  std::vector<Port> ports;
  ports.push_back(open(context, "sim:0", {.rx = {{.pool = *pool}}, .tx = std::vector<TxQueueConfig>(2)}).value());
  for (std::uint16_t queue = 0; queue < 2; ++queue) {
    Burst<1> burst;
    MbufPtr mbuf = pool->allocate();
    std::memset(mbuf->append(60), 0x02, 60);
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(ports[0].tx(queue).tx_burst(burst), 1U);
  }
  const Account account = take_account(ports, *pool, {});
  EXPECT_EQ(account.in_flight, 2U);
  EXPECT_EQ(account.sent, 0U);
  ASSERT_TRUE(ports[0].wait_for_link(std::chrono::seconds(10)));
  drain(ports, context.clock(), std::chrono::seconds(10));
  EXPECT_EQ(take_account(ports, *pool, {}).in_flight, 0U);
}

TEST(Account, CountsABufferThatIsStillAllocated) {
  Fixture fixture(2);
  const MbufPtr kept = fixture.pool().allocate();
  ASSERT_TRUE(stop_all(fixture.ports()));
  EXPECT_EQ(take_account(fixture.ports(), fixture.pool(), {}).mbufs_in_use, 1U);
}

TEST(Account, StopAllAcceptsPortsThatAreAlreadyStopped) {
  Fixture fixture(2);
  ASSERT_TRUE(fixture.port(0).stop());
  EXPECT_TRUE(stop_all(fixture.ports()));
  EXPECT_NE(fixture.port(1).state(), PortState::started);
}

TEST(Account, StopAllClosesAFailedPortAndFreesItsBuffers) {
  Context context;
  auto pool = Mempool::create(context, {.count = 2048});
  ASSERT_TRUE(pool);
  std::vector<Port> ports;
  ports.push_back(open(context, "fault:removal@3000,sim:0", {.rx = {{.pool = *pool}}}).value());
  ASSERT_TRUE(ports[0].wait_for_link(std::chrono::seconds(10)));
  for (int i = 0; i < 100'000 && ports[0].service(); ++i) {
  }
  ASSERT_EQ(ports[0].state(), PortState::failed);
  EXPECT_TRUE(stop_all(ports)) << "the card is removed, so it can no longer write to the buffers";
  EXPECT_EQ(ports[0].state(), PortState::closed);
  const Account account = take_account(ports, *pool, {});
  EXPECT_TRUE(account.conserved()) << account.conservation();
  EXPECT_THAT(card_remarks(ports), testing::Contains(HasSubstr("512 buffers")));
}

TEST(Rates, IncludeFcsAndAreZeroForZeroSeconds) {
  const Rate rate = rate_of({.frames = 1'000'000, .bytes = 60'000'000}, 2);
  EXPECT_DOUBLE_EQ(rate.mpps, 0.5);
  EXPECT_DOUBLE_EQ(rate.mbps, 256);
  EXPECT_EQ(rate_of({.frames = 1, .bytes = 60}, 0).mpps, 0);
  EXPECT_EQ(rate_of({.frames = 1, .bytes = 60}, 0).mbps, 0);
}

}  // namespace
}  // namespace pollux::tools
