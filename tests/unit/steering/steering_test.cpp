// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <random>
#include <string>

#include "steering_fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;
using Numbers = std::vector<std::uint64_t>;

class SteeringTest : public SteeringFixture {
 protected:
  [[nodiscard]] MbufPtr tcp(packet::Ipv4Address from, std::uint16_t from_port, packet::Ipv4Address to,
                            std::uint16_t to_port) {
    MbufPtr mbuf = cache_.allocate();
    const auto frame = packet::Builder({mbuf->tail(), mbuf->tailroom()})
                           .ethernet({})
                           .ipv4({.source = from, .destination = to})
                           .tcp({.source_port = from_port, .destination_port = to_port})
                           .finish();
    EXPECT_TRUE(frame);
    EXPECT_NE(mbuf->append(static_cast<std::uint32_t>(frame->size())), nullptr);
    return mbuf;
  }
};

TEST_F(SteeringTest, SpreadsFlowsAndKeepsEachOnOneConsumer) {
  open({.consumers = 4});
  std::array<std::uint64_t, 4> flows{};
  for (unsigned flow = 0; flow < 1024; ++flow) {
    const auto low = static_cast<std::uint8_t>(flow);
    const auto high = static_cast<std::uint8_t>(flow >> 8);
    const std::uint16_t chosen =
        steering_->consumer_of(steering_->flow_hash(*tcp({10, 0, high, low}, 1, {1, 1, 1, 1}, 2)));
    for (int frame = 0; frame < 3; ++frame) {
      steer(tcp({10, 0, high, low}, 1, {1, 1, 1, 1}, 2));
      ASSERT_EQ(poll(chosen).size(), 1U) << flow;
    }
    ++flows[chosen];
  }
  for (const std::uint64_t share : flows) {
    EXPECT_GT(share, 200U);
    EXPECT_LT(share, 312U);
  }
  EXPECT_EQ(steering_->stats().moves, 0U);
}

TEST_F(SteeringTest, UsesTheHashOfTheCardUnlessAskedNotTo) {
  const auto other_hash = [&](const MbufPtr& frame) {
    SoftwareRxMetadata{.rss_hash = 0x12345678}.attach_to(*frame);
    return steering_->flow_hash(*frame);
  };
  open({.consumers = 4});
  const auto in_software = steering_->flow_hash(*tcp({10, 0, 0, 1}, 1, {10, 0, 0, 2}, 2));
  // RSS as Microsoft defines it, of the fields in the order of the wire.
  constexpr std::array<std::uint8_t, 12> kInput{10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2};
  EXPECT_EQ(in_software, packet::ToeplitzHash()(kInput));
  EXPECT_EQ(other_hash(tcp({10, 0, 0, 1}, 1, {10, 0, 0, 2}, 2)), 0x12345678U);
  open({.consumers = 4, .card_hash = false});
  EXPECT_EQ(other_hash(tcp({10, 0, 0, 1}, 1, {10, 0, 0, 2}, 2)), in_software);
}

TEST_F(SteeringTest, ASymmetricKeyJoinsBothDirections) {
  const auto agree = [&] {
    unsigned same = 0;
    std::mt19937 random(3);
    for (int flow = 0; flow < 200; ++flow) {
      const packet::Ipv4Address one{10, 1, static_cast<std::uint8_t>(random()), static_cast<std::uint8_t>(random())};
      const packet::Ipv4Address two{10, 2, static_cast<std::uint8_t>(random()), static_cast<std::uint8_t>(random())};
      const auto port = static_cast<std::uint16_t>(random());
      if (steering_->flow_hash(*tcp(one, port, two, 80)) == steering_->flow_hash(*tcp(two, 80, one, port))) ++same;
    }
    return same;
  };
  open({.consumers = 4, .key = packet::kSymmetricRssKey});
  EXPECT_EQ(agree(), 200U);
  open({.consumers = 4});
  EXPECT_LT(agree(), 5U);
}

TEST_F(SteeringTest, AFlowFollowsTheApplicationOnceItsEarlierFramesAreHandled) {
  open({.consumers = 2});
  const std::uint32_t flow = flow_on(0);
  steer(hashed(flow, 100));
  ASSERT_TRUE(steering_->follow(flow, 1));
  steer(hashed(flow, 101));
  EXPECT_EQ(poll(1), Numbers{}) << "the first is still in ring 0";
  EXPECT_EQ(poll(0), (Numbers{100, 101}));
  steer(hashed(flow, 102));
  EXPECT_EQ(poll(1), Numbers{}) << "nobody knows yet that consumer 0 has handled what it took";
  EXPECT_EQ(poll(0), Numbers{102});
  EXPECT_EQ(poll(0), Numbers{});
  steer(hashed(flow, 103));
  EXPECT_EQ(poll(0), Numbers{});
  EXPECT_EQ(poll(1), Numbers{103});
  EXPECT_EQ(steering_->stats().moves, 1U);
  EXPECT_EQ(steering_->stats().held_moves, 2U);
  steer(hashed(flow_on(0, 1), 104));
  EXPECT_EQ(poll(0), Numbers{104}) << "another flow stays";
}

TEST_F(SteeringTest, ASilentFlowNoLongerFollows) {
  open({.consumers = 2, .max_age = 30s});
  const std::uint32_t flow = flow_on(0);
  ASSERT_TRUE(steering_->follow(flow, 1));
  for (int use = 0; use < 3; ++use) {
    steer(hashed(flow, 1));
    EXPECT_EQ(poll(1), Numbers{1});
    clock_->advance(30s);
  }
  EXPECT_EQ(poll(1), Numbers{});
  clock_->advance(1ms);
  steer(hashed(flow, 2));
  EXPECT_EQ(poll(0), Numbers{2});
  EXPECT_EQ(steering_->stats().aged, 1U);
}

TEST_F(SteeringTest, RejectsToFollowToNowhere) {
  open({.consumers = 2});
  EXPECT_FALSE(steering_->follow(1, 2));
  for (int i = 0; i < 1024; ++i) ASSERT_TRUE(steering_->follow(1, 1)) << i;
  EXPECT_FALSE(steering_->follow(1, 1)) << "until the steering thread has taken them";
  steer(hashed(1, 1));
  EXPECT_TRUE(steering_->follow(1, 1));
  EXPECT_EQ(poll(1), Numbers{1});
}

TEST_F(SteeringTest, MoreFlowsThanTheTableHoldsAreEvictedAndCounted) {
  open({.consumers = 2, .flows = 8});
  for (std::uint32_t flow = 0; flow < 20; ++flow) ASSERT_TRUE(steering_->follow(flow, 1));
  steer(hashed(19, 1));
  EXPECT_EQ(poll(1), Numbers{1});
  EXPECT_EQ(steering_->stats().evicted, 12U);
}

TEST_F(SteeringTest, DropsByNameWhatAConsumerHasNoRoomFor) {
  open({.consumers = 2, .ring = 8});
  for (std::uint64_t number = 0; number < 30; ++number) {
    Burst<8> burst;
    for (std::uint64_t same = 0; same < 4; ++same) {
      MbufPtr slow = hashed(flow_on(0), number * 4 + same);
      MbufPtr fast = hashed(flow_on(1), number * 4 + same);
      ASSERT_TRUE(burst.push(slow));
      ASSERT_TRUE(burst.push(fast));
    }
    steering_->steer(burst, cache_);
    EXPECT_EQ(poll(1), (Numbers{number * 4, number * 4 + 1, number * 4 + 2, number * 4 + 3}));
  }
  EXPECT_EQ(steering_->consumer_stats(0).ring_full, 112U);
  EXPECT_EQ(steering_->consumer_stats(0).frames, 8U);
  EXPECT_EQ(steering_->consumer_stats(1).ring_full, 0U);
  EXPECT_EQ(steering_->consumer_stats(1).frames, 120U);
  EXPECT_EQ(poll(0), (Numbers{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(pool_.stats().unnamed_drops, 0U);
}

TEST_F(SteeringTest, TakesBurstsThatAreLongerThanItsStage) {
  open({.consumers = 1, .ring = 512});
  Burst<512> burst;
  for (std::uint64_t number = 0; number < 500; ++number) {
    MbufPtr frame = hashed(static_cast<std::uint32_t>(number) << 20, number);
    ASSERT_TRUE(burst.push(frame));
  }
  steering_->steer(burst, cache_);
  std::uint64_t next = 0;
  for (Numbers found = poll(0); !found.empty(); found = poll(0)) {
    for (const std::uint64_t number : found) EXPECT_EQ(number, next++);
  }
  EXPECT_EQ(next, 500U);
}

TEST_F(SteeringTest, TakesAnyBytes) {
  open({.consumers = 4, .ring = 4096});
  std::mt19937 random(5);
  const MbufPtr whole = tcp({10, 0, 0, 1}, 1, {10, 0, 0, 2}, 2);
  std::uint64_t steered = 0;
  const auto steer_bytes = [&](std::span<const std::uint8_t> bytes) {
    MbufPtr frame = cache_.allocate();
    std::copy(bytes.begin(), bytes.end(), frame->append(static_cast<std::uint32_t>(bytes.size())));
    steer(std::move(frame));
    ++steered;
  };
  for (std::size_t length = 0; length <= whole->length(); ++length) steer_bytes(whole->bytes().first(length));
  for (int i = 0; i < 1000; ++i) {
    std::vector<std::uint8_t> bytes(random() % 200);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    if (bytes.size() > 14) packet::store16(&bytes[12], i % 2 == 0 ? 0x0800 : 0x86DD);
    steer_bytes(bytes);
  }
  std::uint64_t received = 0;
  for (std::uint16_t consumer = 0; consumer < 4; ++consumer) {
    for (std::size_t found = poll(consumer).size(); found != 0; found = poll(consumer).size()) received += found;
  }
  EXPECT_EQ(received, steered);
}

TEST_F(SteeringTest, APollerSleepsOnAConsumer) {
  open({.consumers = 2});
  Poller poller(context_);
  Numbers handled;
  const auto polled = must(poller.add(steering_->consumer(0),
                                      [&](Burst<64>& burst) {
                                        for (Mbuf& frame : burst) handled.push_back(frame.user());
                                        burst.drop(handled_, cache_);
                                      },
                                      {.mode = PollMode::interrupt}));
  const auto run = [&](Time until) {
    while (clock_->now() < until) ASSERT_TRUE(poller.run_once(until));
  };
  steer(hashed(flow_on(0), 1));
  run(clock_->now() + 1ms);
  EXPECT_EQ(handled, Numbers{1});
  EXPECT_EQ(polled->stats().wakeups, 0U);
  steer(hashed(flow_on(1), 2));
  run(clock_->now() + 1ms);
  EXPECT_EQ(polled->stats().wakeups, 0U) << "another consumer's frame wakes nobody";
  clock_->follow([&, sent = false](Duration now) mutable {
    if (now >= 3ms && !std::exchange(sent, true)) steer(hashed(flow_on(0), 3));
  });
  run(4ms);
  EXPECT_EQ(handled, (Numbers{1, 3}));
  EXPECT_EQ(polled->stats().wakeups, 1U);
  ASSERT_TRUE(poller.remove(*polled));
}

TEST_F(SteeringTest, ArmingTellsOfFramesAndWakesForLaterOnes) {
  open({.consumers = 1});
  RxQueue& queue = steering_->consumer(0);
  const auto readable = [&] {
    pollfd waiting{queue.event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  };
  steer(hashed(1));
  EXPECT_FALSE(readable()) << "nobody asked";
  EXPECT_FALSE(queue.arm());
  poll(0);
  EXPECT_TRUE(queue.arm());
  EXPECT_FALSE(readable());
  steer(hashed(1));
  EXPECT_TRUE(readable());
  queue.disarm();
  EXPECT_FALSE(readable());
  EXPECT_FALSE(queue.arm());
  EXPECT_FALSE(readable());
}

TEST_F(SteeringTest, WhatIsLeftReturnsToItsPool) {
  open({.consumers = 2});
  for (std::uint32_t i = 0; i < 100; ++i) steer(hashed(i << 25));
  steering_ = nullptr;
  EXPECT_EQ(pool_.stats().unnamed_drops, 100U);
  EXPECT_EQ(pool_.stats().in_use(), 0U);
}

TEST_F(SteeringTest, RejectsSenselessOptionsWholeAndByName) {
  const auto rejected = [&](const SteeringOptions& options, const char* part) {
    const auto made = PacketSteering::create(context_, options);
    ASSERT_FALSE(made) << part;
    EXPECT_EQ(made.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(made.error().hint.empty());
    EXPECT_NE(made.error().message().find(part), std::string::npos) << made.error().message();
  };
  rejected({.consumers = 0}, "0 consumers are outside of 1 to 256");
  rejected({.consumers = 257}, "257 consumers");
  rejected({.ring = 0}, "ring is 0");
  rejected({.ring = 100}, "ring is 100");
  rejected({.ring = 131072}, "ring is 131072");
  rejected({.slots = 8}, "slots is 8");
  rejected({.slots = 4095}, "slots is 4095");
  rejected({.flows = 0}, "a capacity of 0");
  rejected({.max_age = 0s}, "maximum age");
}

TEST_F(SteeringTest, AConsumerThatSleepsHasHandledItsFrames) {
  open({.consumers = 2});
  const std::uint32_t flow = flow_on(0);
  steer(hashed(flow, 1));
  EXPECT_EQ(poll(0), Numbers{1});
  ASSERT_TRUE(steering_->consumer(0).arm());
  ASSERT_TRUE(steering_->follow(flow, 1));
  steer(hashed(flow, 2));
  EXPECT_EQ(poll(1), Numbers{2});
  EXPECT_EQ(steering_->stats().held_moves, 0U);
}

TEST_F(SteeringTest, AFlowMayLeaveAFullConsumerThatHasNoneOfItsFrames) {
  open({.consumers = 2, .ring = 2});
  const std::uint32_t flow = flow_on(0);
  for (int i = 0; i < 10; ++i) {
    steer(hashed(flow, 1));
    EXPECT_EQ(poll(0), Numbers{1});
  }
  EXPECT_EQ(poll(0), Numbers{});
  for (unsigned i = 0; i < 2; ++i) steer(hashed(flow_on(1, i), 2));
  ASSERT_TRUE(steering_->follow(flow, 1));
  steer(hashed(flow, 3));
  EXPECT_EQ(steering_->consumer_stats(1).ring_full, 1U);
  ASSERT_TRUE(steering_->follow(flow, 0));
  steer(hashed(flow, 4));
  EXPECT_EQ(poll(0), Numbers{4});
}

}  // namespace
}  // namespace pollux::test
