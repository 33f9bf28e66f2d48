// SPDX-License-Identifier: BSD-3-Clause
#include "top/rates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pollux::tool::top {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;
using testing::SizeIs;

PortSample sample_at(double seconds) {
  PortSample sample{.seconds = seconds, .link_up = true, .link_speed = 1000};
  sample.rx = {{.packets = 0}};
  sample.tx = {{.packets = 0}};
  sample.drops = {{"tx_too_long", 0}};
  return sample;
}

TEST(TopRates, AreChangesForEachSecondOfTheProgramsClock) {
  PortSample before = sample_at(10);
  before.rx_packets = 1000;
  before.tx_bytes = 500;
  PortSample now = sample_at(12);
  now.rx_packets = 3000;
  now.rx_bytes = 128'000;
  now.tx_bytes = 1500;
  const PortRates rates = rates_of(&before, now);
  EXPECT_THAT(rates.rx_packets, Optional(1000.0));
  EXPECT_THAT(rates.rx_bits, Optional(512'000.0));
  EXPECT_THAT(rates.tx_packets, Optional(0.0));
  EXPECT_THAT(rates.tx_bits, Optional(4000.0));
}

TEST(TopRates, AreUnknownForAFirstSampleAndForOneOfAnotherTime) {
  PortSample now = sample_at(12);
  now.drops["tx_too_long"] = 3;
  const PortRates first = rates_of(nullptr, now);
  EXPECT_FALSE(first.rx_packets);
  EXPECT_FALSE(first.drops);
  ASSERT_THAT(first.reasons, SizeIs(1));
  EXPECT_FALSE(first.reasons[0].rate);
  EXPECT_EQ(first.reasons[0].total, 3U);
  PortSample later = sample_at(13);
  EXPECT_FALSE(rates_of(&later, now).rx_packets) << "the clock went back";
  PortSample silent = sample_at(11);
  silent.answers = false;
  EXPECT_FALSE(rates_of(&silent, now).rx_packets);
}

TEST(TopRates, ACountThatWentBackIsUnknown) {
  PortSample before = sample_at(1);
  before.rx_packets = 10;
  EXPECT_FALSE(rates_of(&before, sample_at(2)).rx_packets);
}

TEST(TopRates, DropsAreThoseOfTheLibraryAndOfTheCardWithTheirReasons) {
  const PortSample before = sample_at(1);
  PortSample now = sample_at(2);
  now.drops = {{"rx_pool_empty", 30}, {"tx_too_long", 0}};
  now.missed = 12;
  const PortRates rates = rates_of(&before, now);
  EXPECT_THAT(rates.drops, Optional(42.0));
  ASSERT_THAT(rates.reasons, SizeIs(2)) << "only reasons that dropped";
  EXPECT_EQ(rates.reasons[0].reason, "rx_pool_empty");
  EXPECT_THAT(rates.reasons[0].rate, Optional(30.0));
  EXPECT_EQ(rates.reasons[1].reason, "missed by the card");
  EXPECT_EQ(rates.reasons[1].total, 12U);
}

TEST(TopRates, TheProgramsOwnDropsHaveTheirRates) {
  PortSample before = sample_at(1);
  before.program_drops = {{"not_for_us", 90}};
  PortSample now = sample_at(3);
  now.program_drops = {{"no_route", 0}, {"not_for_us", 1090}, {"ring_full", 4}};
  const PortRates rates = rates_of(&before, now);
  ASSERT_THAT(rates.program_reasons, SizeIs(2)) << "only reasons that dropped";
  EXPECT_EQ(rates.program_reasons[0].reason, "not_for_us");
  EXPECT_THAT(rates.program_reasons[0].rate, Optional(500.0));
  EXPECT_EQ(rates.program_reasons[0].total, 1090U);
  EXPECT_THAT(rates.program_reasons[1].rate, Optional(2.0));
  EXPECT_THAT(rates.reasons, IsEmpty());
}

TEST(TopRates, MetersAreThoseOfTheInterval) {
  PortSample before = sample_at(1);
  before.rx[0].meter = MeterSample{
      .bursts = 1, .empty_polls = 100, .frames = 1, .busy_cycles = 0, .busy_frames = 0, .burst_sizes = {0, 1}};
  PortSample now = sample_at(3);
  now.rx[0].packets = 64;
  now.rx[0].drops = 8;
  now.rx[0].bytes = 640;
  now.rx[0].meter = MeterSample{.bursts = 5,
                                .empty_polls = 104,
                                .frames = 65,
                                .busy_cycles = 6400,
                                .busy_frames = 64,
                                .burst_sizes = {0, 3, 0, 0, 0, 0, 2}};
  const PortRates rates = rates_of(&before, now);
  EXPECT_THAT(rates.empty_polls, Optional(0.5));
  EXPECT_THAT(rates.cycles_per_frame, Optional(100.0));
  EXPECT_THAT(rates.burst_share, ElementsAre(0, 0.5, 0, 0, 0, 0, 0.5));
  ASSERT_THAT(rates.queues, SizeIs(2));
  const QueueRates& queue = rates.queues[0];
  EXPECT_EQ(queue.name, "rx0");
  EXPECT_THAT(queue.packets, Optional(32.0));
  EXPECT_THAT(queue.drops, Optional(4.0));
  EXPECT_FALSE(queue.bits) << "bytes were not counted before";
  EXPECT_THAT(queue.burst, Optional(DoubleNear(16, 1e-9)));
  EXPECT_EQ(rates.queues[1].name, "tx0");
  EXPECT_FALSE(rates.queues[1].burst);
}

TEST(TopRates, WithoutMetersTheyAreUnknown) {
  const PortSample before = sample_at(1);
  const PortRates rates = rates_of(&before, sample_at(2));
  EXPECT_FALSE(rates.empty_polls);
  EXPECT_FALSE(rates.cycles_per_frame);
  EXPECT_THAT(rates.burst_share, IsEmpty());
}

TEST(TopRates, AQueueThatIsNewHasNoRates) {
  const PortSample before = sample_at(1);
  PortSample now = sample_at(2);
  now.rx.push_back({.packets = 9});
  const PortRates rates = rates_of(&before, now);
  ASSERT_THAT(rates.queues, SizeIs(3));
  EXPECT_EQ(rates.queues[1].name, "rx1");
  EXPECT_FALSE(rates.queues[1].packets);
}

}  // namespace
}  // namespace pollux::tool::top
