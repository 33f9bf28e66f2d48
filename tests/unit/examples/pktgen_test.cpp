// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "common/account.hpp"
#include "pktgen/numbered_frames.hpp"
#include "pktgen/receiver.hpp"
#include "pktgen/sender.hpp"
#include "unit/examples/fixture.hpp"

namespace pollux::tools {
namespace {

using examples::Fixture;

constexpr MacAddress kMac{0x02, 0, 0, 0, 0, 1};
constexpr std::array<std::uint16_t, 3> kFlows{300, 301, 302};

Sender make_sender(Fixture& fixture, std::uint64_t count, const std::vector<std::uint32_t>& lengths = {60},
                   const NumberedFrames::Flows& flows = {}) {
  return {fixture.port(0).tx(0), fixture.cache(), fixture.clock(),
          std::make_unique<NumberedFrames>(lengths, kMac, kMac, flows), Sender::Options{.burst = 32, .count = count}};
}

void run(Sender& sender, Receiver& receiver, int polls = 1000) {
  for (int i = 0; i < polls; ++i) {
    sender.poll();
    receiver.poll();
  }
}

TEST(Pktgen, SendsTheConfiguredFramesAndReceivesThemIntact) {
  for (const std::uint32_t length : {60U, 1514U}) {
    Fixture fixture(2);
    Sender sender = make_sender(fixture, 1003, {length});
    Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {.check = true});
    run(sender, receiver);
    EXPECT_TRUE(sender.done());
    EXPECT_EQ(sender.taken().frames, 1003U);
    EXPECT_EQ(sender.taken().bytes, 1003U * length);
    EXPECT_EQ(receiver.good(), 1003U);
    EXPECT_EQ(receiver.received().bytes, 1003U * length);
    EXPECT_EQ(receiver.sequences().unique(), 1003U);
    ASSERT_NE(receiver.sequences().flow(0), nullptr);
    EXPECT_EQ(receiver.sequences().flow(0)->first(), 0U);
    EXPECT_EQ(receiver.sequences().missing(), 0U);
  }
}

TEST(Pktgen, SendsFlowsInTurnEachWithItsOwnNumbers) {
  Fixture fixture(2);
  Sender sender = make_sender(fixture, 100, {60}, {.first = kFlows[0], .count = kFlows.size()});
  Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {.check = true});
  run(sender, receiver);
  EXPECT_EQ(receiver.good(), 100U);
  EXPECT_EQ(receiver.sequences().unique(), 100U);
  EXPECT_EQ(receiver.sequences().missing() + receiver.sequences().reordered() + receiver.sequences().duplicated(), 0U);
  EXPECT_EQ(receiver.sequences().count(), kFlows.size());
  for (const std::uint16_t flow : kFlows) {
    const SequenceTracker* const one = receiver.sequences().flow(flow);
    ASSERT_NE(one, nullptr);
    EXPECT_EQ(one->unique(), flow == 300 ? 34U : 33U);
  }
  EXPECT_EQ(receiver.sequences().flow(0), nullptr);
}

TEST(Pktgen, GivesEachFlowAllLengthsInTurn) {
  Fixture fixture(2);
  Sender sender = make_sender(fixture, 12, {60, 590, 1514}, {.count = 3});
  for (int i = 0; i < 10; ++i) sender.poll();
  std::vector<std::size_t> lengths;
  for (const auto& frame : fixture.receive(1)) lengths.push_back(frame.size());
  EXPECT_THAT(lengths, testing::ElementsAre(60, 590, 1514, 590, 1514, 60, 1514, 60, 590, 60, 590, 1514));
  EXPECT_EQ(sender.taken().bytes, 4U * (60 + 590 + 1514));
}

TEST(Pktgen, ChecksMixedLengthsOfManyFlows) {
  Fixture fixture(2);
  Sender sender = make_sender(fixture, 5000, {60, 590, 60, 1514}, {.first = 60'000, .count = 1000});
  Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {.check = true});
  run(sender, receiver);
  EXPECT_EQ(receiver.good(), 5000U);
  EXPECT_EQ(receiver.sequences().count(), 1000U);
  EXPECT_EQ(receiver.sequences().missing() + receiver.sequences().reordered() + receiver.sequences().duplicated(), 0U);
}

TEST(Pktgen, SendsAndChecksFramesOfSeveralBuffers) {
  Settings config;
  config.mtu = 9500;
  Fixture fixture(2, config);
  Sender sender = make_sender(fixture, 300, {9514});
  Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {.check = true});
  run(sender, receiver);
  EXPECT_EQ(receiver.good(), 300U);
  EXPECT_EQ(receiver.corrupt(), 0U);
}

TEST(Pktgen, AccountsForEveryFrameIncludingUnsentOnes) {
  Settings config;
  config.tx[0].ring = 32;
  Fixture fixture(2, config);
  Sender sender = make_sender(fixture, 1000);
  Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {});
  for (int i = 0; i < 7; ++i) sender.poll();
  ASSERT_TRUE(fixture.port(0).stop());
  sender.poll();  // builds frames that the stopped port does not accept
  sender.finish();
  while (receiver.poll() != 0) continue;
  ASSERT_TRUE(stop_all(fixture.ports()));

  const DropCounter* const application[] = {&sender.unsent()};
  Account account = take_account(fixture.ports(), fixture.pool(), application);
  account.made = sender.built();
  account.kept = receiver.received().frames;
  EXPECT_GT(account.drops.at("unsent"), 0U);
  EXPECT_EQ(account.conservation(), "yes");
}

TEST(Pktgen, ContinuesIfTheRingOrThePoolIsSmallerThanABurst) {
  Settings config;
  config.tx[0].ring = 8;
  config.rx[0].ring = 64;
  Fixture fixture(2, config, 160);
  Sender sender = make_sender(fixture, 500);
  Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {.check = true});
  run(sender, receiver, 5000);
  EXPECT_TRUE(sender.done());
  EXPECT_EQ(receiver.corrupt(), 0U);
  // Frames for which the receive queue had no buffer are counted.
  const Drops drops = collect_drops(fixture.ports(), {});
  EXPECT_EQ(receiver.good() + drops.at("rx_pool_empty"), 500U) << describe(drops);
}

TEST(Pktgen, SendsSmallerBurstsIfThePoolIsNearlyExhausted) {
  Fixture fixture(2);
  std::vector<MbufPtr> all;
  while (MbufPtr mbuf = fixture.cache().allocate()) all.push_back(std::move(mbuf));
  for (int i = 0; i < 5; ++i) {
    fixture.cache().free(std::move(all.back()));
    all.pop_back();
  }
  Sender sender = make_sender(fixture, 1000);
  sender.poll();
  EXPECT_EQ(sender.taken().frames, 4U) << "a burst of 32 was halved three times";
}

TEST(Pktgen, CountsForeignFramesSeparately) {
  Fixture fixture(2);
  Receiver receiver(fixture.port(1).rx(0), fixture.cache(), {.check = true});
  fixture.send(0, std::vector<std::uint8_t>(60, 0x02));
  receiver.poll();
  EXPECT_EQ(receiver.received().frames, 1U);
  EXPECT_EQ(receiver.foreign(), 1U);
  EXPECT_EQ(receiver.good(), 0U);
}

/// A faulty wire: `damage` modifies each burst between sim:1 and sim:2.
class FaultyWire : public testing::Test {
 protected:
  using Damage = std::function<void(Burst<512>&)>;

  void run_through(const Damage& damage) {
    Burst<512> burst;
    for (int i = 0; i < 500; ++i) {
      sender_.poll();
      fixture_.port(1).rx(0).rx_burst(burst);
      if (!burst.empty()) damage(burst);
      fixture_.port(2).tx(0).tx_burst(burst);
      receiver_.poll();
    }
  }

  Fixture fixture_{4};
  DropCounter lost_{"lost"};
  Sender sender_ = make_sender(fixture_, 320);
  Receiver receiver_{fixture_.port(3).rx(0), fixture_.cache(), {.burst = 512, .check = true}};
};

TEST_F(FaultyWire, WithoutAFaultDeliversAllFrames) {
  run_through([](Burst<512>&) {});
  EXPECT_EQ(receiver_.good(), 320U);
  EXPECT_EQ(receiver_.corrupt(), 0U);
  EXPECT_EQ(receiver_.foreign(), 0U);
  EXPECT_EQ(receiver_.sequences().missing(), 0U);
  EXPECT_EQ(receiver_.sequences().duplicated(), 0U);
  EXPECT_EQ(receiver_.sequences().reordered(), 0U);
}

TEST_F(FaultyWire, CausesCorruptFramesIfItFlipsBits) {
  run_through([](Burst<512>& burst) { burst[0].data()[58] ^= 1; });
  EXPECT_EQ(receiver_.corrupt(), 10U);
  EXPECT_EQ(receiver_.good(), 310U);
}

TEST_F(FaultyWire, CausesMissingFramesIfItLosesSome) {
  run_through([&](Burst<512>& burst) {
    bool first = true;
    burst.drop_if(lost_, [&](Mbuf&) { return std::exchange(first, false); });
  });
  EXPECT_EQ(lost_.value(), 10U);
  EXPECT_EQ(receiver_.good(), 310U);
  // The first frame is lost, too. It is not counted as missing: the receiver begins with the first sequence it gets.
  ASSERT_NE(receiver_.sequences().flow(0), nullptr);
  EXPECT_EQ(receiver_.sequences().flow(0)->first(), 1U);
  EXPECT_EQ(receiver_.sequences().missing(), 9U);
}

TEST_F(FaultyWire, CausesDuplicatesIfItRepeatsFrames) {
  run_through([&](Burst<512>& burst) {
    MbufPtr clone = burst[3].clone(fixture_.cache());
    ASSERT_NE(clone, nullptr);
    ASSERT_TRUE(burst.push(clone));
  });
  EXPECT_EQ(receiver_.sequences().duplicated(), 10U);
  EXPECT_EQ(receiver_.sequences().unique(), 320U);
}

TEST_F(FaultyWire, CausesReorderingIfItSwapsFrames) {
  run_through([](Burst<512>& burst) {
    MbufPtr last = burst.pop();
    MbufPtr before = burst.pop();
    ASSERT_TRUE(burst.push(last));
    ASSERT_TRUE(burst.push(before));
  });
  EXPECT_EQ(receiver_.sequences().reordered(), 10U);
  EXPECT_EQ(receiver_.sequences().missing(), 0U);
}

}  // namespace
}  // namespace pollux::tools
