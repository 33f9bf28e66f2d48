// SPDX-License-Identifier: BSD-3-Clause
#include "l2fwd/l2fwd.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "common/account.hpp"
#include "l2fwd/workers.hpp"
#include "pollux/net/queue_driver.hpp"
#include "unit/examples/fixture.hpp"

namespace pollux::examples {
namespace {

using namespace tools;
using Bytes = std::vector<std::uint8_t>;

/// A queue that accepts at most `room` frames in all, and keeps them.
class SmallQueue final : public TxQueueDriver {
 public:
  explicit SmallQueue(std::uint32_t room) : room_(room) { gate_.open(&take); }
  ~SmallQueue() { EXPECT_TRUE(kept_.size() <= Burst<512>::capacity()); }

  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return static_cast<std::uint32_t>(kept_.size()); }
  [[nodiscard]] int calls() const { return calls_; }

 private:
  static std::uint32_t take(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept {
    auto& queue = static_cast<SmallQueue&>(base);
    ++queue.calls_;
    std::uint32_t taken = 0;
    for (; taken < count && queue.kept_.size() < queue.room_; ++taken) queue.kept_.emplace_back(mbufs[taken]);
    return taken;
  }

  std::uint32_t room_;
  int calls_ = 0;
  std::vector<MbufPtr> kept_;
};

Bytes numbered_frame(std::uint8_t number, std::size_t length = 60) {
  Bytes bytes(length, number);
  std::memset(bytes.data(), 0x02, 12);
  return bytes;
}

/// sim:1 and sim:2 are l2fwd's first and second port. sim:0 and sim:3 are their link partners.
class TwoPorts : public testing::Test {
 protected:
  std::vector<Port> inner() {
    std::vector<Port> ports;
    ports.push_back(std::move(fixture_.port(1)));
    ports.push_back(std::move(fixture_.port(2)));
    return ports;
  }
  static void run(Forwarder& forwarder, int polls = 20) {
    for (int i = 0; i < polls; ++i) forwarder.poll();
  }

  Fixture fixture_{4};
};

TEST_F(TwoPorts, ForwardFramesWithForwardPaths) {
  for (const std::size_t i : {1u, 2u}) ASSERT_TRUE(fixture_.port(i).stop());
  std::vector<std::unique_ptr<ForwardPath>> paths;
  for (const std::size_t i : {1u, 2u}) {
    auto path = fixture_.port(i).forward_path(0, fixture_.port(3 - i), 0);
    ASSERT_TRUE(path) << path.error().message();
    paths.push_back(*std::move(path));
  }
  for (const std::size_t i : {1u, 2u}) ASSERT_TRUE(fixture_.port(i).start());
  for (const std::size_t i : {1u, 2u}) ASSERT_TRUE(fixture_.port(i).wait_for_link(std::chrono::seconds(10)));
  std::vector<Port> ports = inner();
  Forwarder forwarder(make_routes(ports, paths), {}, fixture_.cache());
  for (std::uint8_t number = 0; number < 200; ++number) {
    fixture_.send(0, numbered_frame(number));
    fixture_.send(3, numbered_frame(number, 1500));
    run(forwarder, 2);
  }
  run(forwarder);
  EXPECT_EQ(forwarder.forwarded().frames, 400U);
  const std::vector<Bytes> there = fixture_.receive(3);
  ASSERT_EQ(there.size(), 200U);
  Bytes expected = numbered_frame(199);
  const MacPair macs = l2fwd_macs(1, ports[1].mac());
  std::copy(macs.begin(), macs.end(), expected.begin());
  EXPECT_EQ(there.back(), expected);
  EXPECT_EQ(fixture_.receive(0).size(), 200U);
  EXPECT_EQ(ports[0].stats().rx_burst_packets, 200U);
  EXPECT_EQ(ports[1].stats().tx_burst_packets, 200U);
  for (Port& port : ports) EXPECT_TRUE(port.stop());
  paths.clear();
  for (const std::size_t i : {0u, 3u}) EXPECT_TRUE(fixture_.port(i).stop());
  EXPECT_EQ(fixture_.pool().stats().in_use(), 0U);
}

TEST_F(TwoPorts, WriteTheAddressesOfDpdksL2fwd) {
  std::vector<Port> ports = inner();
  Forwarder forwarder(make_routes(ports), {}, fixture_.cache());
  fixture_.send(0, numbered_frame(1));
  fixture_.send(3, numbered_frame(2));
  run(forwarder);

  const MacAddress first = ports[0].mac();
  const MacAddress second = ports[1].mac();
  ASSERT_NE(first, second);
  Bytes there = numbered_frame(1);
  const std::uint8_t to_second[] = {0x02, 0, 0, 0, 0, 1};
  std::copy(std::begin(to_second), std::end(to_second), there.begin());
  std::copy(second.begin(), second.end(), there.begin() + 6);
  EXPECT_EQ(fixture_.receive(3), std::vector<Bytes>{there});
  Bytes back = numbered_frame(2);
  const std::uint8_t to_first[] = {0x02, 0, 0, 0, 0, 0};
  std::copy(std::begin(to_first), std::end(to_first), back.begin());
  std::copy(first.begin(), first.end(), back.begin() + 6);
  EXPECT_EQ(fixture_.receive(0), std::vector<Bytes>{back});
}

TEST_F(TwoPorts, KeepTheAddressesIfConfigured) {
  std::vector<Port> ports = inner();
  Forwarder forwarder(make_routes(ports), {.update_macs = false}, fixture_.cache());
  fixture_.send(0, numbered_frame(7));
  run(forwarder);
  EXPECT_EQ(fixture_.receive(3), std::vector<Bytes>{numbered_frame(7)});
}

TEST_F(TwoPorts, KeepTheOrderAndCountForwardedFrames) {
  std::vector<Port> ports = inner();
  Forwarder forwarder(make_routes(ports), {.burst = 8, .update_macs = false}, fixture_.cache());
  std::vector<Bytes> sent;
  for (std::uint8_t i = 0; i < 200; ++i) {
    sent.push_back(numbered_frame(i, 60 + i));
    fixture_.send(0, sent.back());
  }
  run(forwarder, 30);
  EXPECT_EQ(fixture_.receive(3), sent);
  EXPECT_EQ(forwarder.forwarded().frames, 200U);
  EXPECT_EQ(forwarder.forwarded().bytes, 200U * 60 + 199 * 200 / 2);
  EXPECT_EQ(forwarder.polls(), 60U);
  EXPECT_EQ(forwarder.empty_polls(), 35U) << "200 frames take 25 bursts of 8";
}

TEST_F(TwoPorts, ForwardNoMoreThanTheLimit) {
  std::vector<Port> ports = inner();
  Forwarder forwarder(make_routes(ports), {.limit = 50}, fixture_.cache());
  for (int i = 0; i < 100; ++i) fixture_.send(0, numbered_frame(1));
  run(forwarder);
  EXPECT_TRUE(forwarder.limit_reached());
  EXPECT_EQ(forwarder.forwarded().frames, 50U);
  EXPECT_EQ(fixture_.receive(3).size(), 50U);
}

TEST_F(TwoPorts, AccountForEveryFrame) {
  std::vector<Port> ports = inner();
  Forwarder forwarder(make_routes(ports), {}, fixture_.cache());
  for (int i = 0; i < 300; ++i) fixture_.send(0, numbered_frame(1));
  for (int i = 0; i < 5; ++i) forwarder.poll();  // 160 of 300
  drain(ports, fixture_.clock(), std::chrono::milliseconds(10));
  ASSERT_TRUE(stop_all(ports));
  const DropCounter* const application[] = {&forwarder.ring_full()};
  const Account account = take_account(ports, fixture_.pool(), application);
  EXPECT_EQ(account.received, 300U);
  EXPECT_EQ(account.sent, 160U);
  EXPECT_EQ(account.drops.at("rx_stopped"), 140U);
  EXPECT_EQ(account.difference(), 0);
}

TEST_F(TwoPorts, CountFramesThatAFullRingRejects) {
  SmallQueue small(5);
  Forwarder forwarder({{&fixture_.port(1).rx(0), &small, {}}}, {}, fixture_.cache());
  for (int i = 0; i < 20; ++i) fixture_.send(0, numbered_frame(1));
  forwarder.poll();
  EXPECT_EQ(small.in_flight(), 5U);
  EXPECT_EQ(small.calls(), Forwarder::kTxTries);
  EXPECT_EQ(forwarder.forwarded().frames, 5U);
  EXPECT_EQ(forwarder.forwarded().bytes, 300U);
  EXPECT_EQ(forwarder.ring_full().name(), "tx_ring_full");
  EXPECT_EQ(forwarder.ring_full().value(), 15U);
}

TEST(OnePort, SendsFramesBackToTheSamePort) {
  Fixture fixture(2);
  std::vector<Port> ports;
  ports.push_back(std::move(fixture.port(1)));
  Forwarder forwarder(make_routes(ports), {}, fixture.cache());
  fixture.send(0, numbered_frame(9));
  for (int i = 0; i < 5; ++i) forwarder.poll();
  const std::vector<Bytes> back = fixture.receive(0);
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0][5], 0) << "the only port is number 0";
  EXPECT_EQ(std::memcmp(&back[0][6], ports[0].mac().data(), 6), 0);
}

TEST(Idle, FreesEverySentBuffer) {
  Fixture fixture(4);
  std::vector<Port> ports;
  ports.push_back(std::move(fixture.port(1)));
  ports.push_back(std::move(fixture.port(2)));
  Forwarder forwarder(make_routes(ports), {}, fixture.cache());
  for (int i = 0; i < 100; ++i) fixture.send(0, numbered_frame(1));
  for (int i = 0; i < 20; ++i) forwarder.poll();
  EXPECT_EQ(forwarder.forwarded().frames, 100U);
  EXPECT_EQ(ports[1].tx(0).in_flight(), 0U);
}

}  // namespace
}  // namespace pollux::examples
