// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "bridge/learning_bridge.hpp"

namespace pollux::examples {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kPorts = 4;

class BridgeTest : public testing::Test {
 protected:
  static MacAddress station(std::uint8_t number) { return {2, 0, 0, 0, 0, number}; }

  /// A frame that port `from` receives; `next` numbers the frames. Returns the ports to which it goes.
  std::vector<std::uint16_t> send(std::uint16_t from, const MacAddress& source, const MacAddress& destination,
                                  std::uint32_t length = 60) {
    MbufPtr frame = cache_.allocate();
    const packet::EthernetHeader header{.destination = destination, .source = source, .ether_type = 0x88B5};
    std::vector<std::uint8_t> bytes(std::max<std::size_t>(length, 14));
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    EXPECT_NE(header.write(bytes), 0U);
    bytes.resize(length);
    std::copy(bytes.begin(), bytes.end(), frame->append(length));
    Burst<LearningBridge::kBurst> burst;
    EXPECT_TRUE(burst.push(frame));
    bridge_->forward(from, burst, now_, cache_);
    EXPECT_TRUE(burst.empty());
    return sent_to(bytes);
  }
  std::vector<std::uint16_t> sent_to(const std::vector<std::uint8_t>& bytes) {
    std::vector<std::uint16_t> ports;
    for (std::uint16_t port = 0; port < kPorts; ++port) {
      for (Mbuf& frame : bridge_->out(port)) {
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), frame.bytes().begin(), frame.bytes().end()));
        ports.push_back(port);
      }
      bridge_->out(port).drop(checked_, cache_);
    }
    return ports;
  }
  [[nodiscard]] std::uint64_t drops(const std::string& name) const {
    for (const DropCounter* reason : bridge_->drops()) {
      if (reason->name() == name) return reason->value();
    }
    return ~std::uint64_t{0};
  }

  using Ports = std::vector<std::uint16_t>;
  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 256}).value();
  MempoolCache cache_{pool_};
  DropCounter checked_{"checked"};
  Time now_{};
  std::unique_ptr<LearningBridge> bridge_ = *LearningBridge::create({.ports = kPorts, .max_age = 300s});
};

TEST_F(BridgeTest, FloodsUntilItKnowsWhereAStationIs) {
  EXPECT_EQ(send(1, station(1), station(2)), (Ports{0, 2, 3}));
  EXPECT_EQ(send(3, station(2), station(1)), Ports{1});
  EXPECT_EQ(send(1, station(1), station(2)), Ports{3});
  EXPECT_EQ(bridge_->counts().flooded, 1U);
  EXPECT_EQ(bridge_->counts().forwarded, 2U);
}

TEST_F(BridgeTest, NeverSendsBackToWhereAFrameComesFrom) {
  for (std::uint16_t from = 0; from < kPorts; ++from) {
    const Ports to = send(from, station(static_cast<std::uint8_t>(10 + from)), {255, 255, 255, 255, 255, 255});
    EXPECT_EQ(to.size(), kPorts - 1U);
    EXPECT_EQ(std::ranges::count(to, from), 0);
  }
  EXPECT_EQ(send(0, station(1), station(9)), (Ports{1, 2, 3}));
  EXPECT_EQ(send(0, station(2), station(1)), Ports{});
  EXPECT_EQ(drops("same_port"), 1U);
}

TEST_F(BridgeTest, FollowsAStationThatMoves) {
  send(0, station(1), station(9));
  EXPECT_EQ(send(2, station(2), station(1)), Ports{0});
  send(3, station(1), station(9));
  EXPECT_EQ(send(2, station(2), station(1)), Ports{3});
  EXPECT_EQ(bridge_->counts().moved, 1U);
}

TEST_F(BridgeTest, ForgetsTheStationsBehindAPortWithoutALink) {
  send(0, station(1), station(9));
  send(2, station(2), station(9));
  send(2, station(3), station(9));
  bridge_->forget(2);
  EXPECT_EQ(send(0, station(1), station(2)), (Ports{1, 2, 3}));
  EXPECT_EQ(send(1, station(4), station(1)), Ports{0}) << "others are known still";
  EXPECT_EQ(bridge_->counts().forgotten, 2U);
}

TEST_F(BridgeTest, ForgetsAStationThatSendsNothing) {
  send(0, station(1), station(9));
  send(2, station(2), station(9));
  now_ += 300s;
  EXPECT_EQ(send(2, station(2), station(1)), Ports{0}) << "it was sent to, which does not keep it";
  now_ += 1ns;
  EXPECT_EQ(send(2, station(2), station(1)), (Ports{0, 1, 3}));
}

TEST_F(BridgeTest, DropsByNameWhatABridgeMustNotForward) {
  EXPECT_EQ(send(0, station(1), {0x01, 0x80, 0xC2, 0, 0, 0x0F}), Ports{});
  EXPECT_EQ(send(0, station(1), {0x01, 0x80, 0xC2, 0, 0, 0x10}), (Ports{1, 2, 3}));
  EXPECT_EQ(drops("reserved"), 1U);
  EXPECT_EQ(send(0, {3, 0, 0, 0, 0, 1}, station(1)), Ports{});
  for (const std::uint32_t length : {0U, 1U, 13U}) EXPECT_EQ(send(0, station(1), station(2), length), Ports{});
  EXPECT_EQ(drops("bad_frame"), 4U);
  EXPECT_EQ(bridge_->addresses().size(), 1U);
}

TEST_F(BridgeTest, CountsTheClonesForWhichThereIsNoMbuf) {
  Burst<LearningBridge::kBurst> frames;
  MbufPtr frame = cache_.allocate();
  ASSERT_NE(frame->append(60), nullptr);
  std::fill_n(frame->data(), 60, std::uint8_t{0});
  frame->data()[0] = 1;  // a group
  ASSERT_TRUE(frames.push(frame));
  std::vector<MbufPtr> rest;
  for (MbufPtr one = cache_.allocate(); one != nullptr; one = cache_.allocate()) rest.push_back(std::move(one));
  bridge_->forward(0, frames, now_, cache_);
  EXPECT_EQ(drops("no_mbuf"), 2U);
  EXPECT_EQ(bridge_->out(3).size(), 1U) << "the frame itself";
  bridge_->out(3).drop(checked_, cache_);
}

TEST_F(BridgeTest, NeedsTwoPorts) {
  const auto one = LearningBridge::create({.ports = 1});
  ASSERT_FALSE(one);
  EXPECT_NE(one.error().message().find("two ports"), std::string::npos);
  EXPECT_FALSE(LearningBridge::create({.addresses = 0}));
}

}  // namespace
}  // namespace pollux::examples
