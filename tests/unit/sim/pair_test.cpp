// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "pollux/net/link_control.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;

/// Two ports, opened by their URIs and connected by a wire.
struct Pair {
  explicit Pair(std::shared_ptr<Clock> clock)
      : context({.clock = std::move(clock), .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}),
        pool(Mempool::create(context, {.count = 2048}).value()) {
    const Settings config{.rx = {{.pool = pool, .ring = 128}}, .tx = {{.ring = 128}}};
    left = open_port("sim:0", config);
    right = open_port("sim:1", config);
  }
  [[nodiscard]] std::optional<Port> open_port(std::string_view uri, const Settings& config) {
    auto port = open(context, uri, config);
    EXPECT_TRUE(port) << port.error().message();
    return port ? std::optional<Port>(*std::move(port)) : std::nullopt;
  }
  [[nodiscard]] bool linked() { return left->wait_for_link(5s).has_value() && right->wait_for_link(5s).has_value(); }

  Context context;
  Mempool pool;
  std::optional<Port> left;
  std::optional<Port> right;
};

MbufPtr make(MempoolCache& cache, const Frame& frame) {
  MbufPtr mbuf = cache.allocate();
  if (mbuf == nullptr) return mbuf;
  std::uint8_t* const data = mbuf->append(static_cast<std::uint32_t>(frame.size()));
  std::memcpy(data, frame.data(), frame.size());
  return mbuf;
}

// Both ends get their link at the same time, one after the other.
TEST(SimPair, CarriesBothWaysWhatWaitedForTheLink) {
  Pair pair(std::make_shared<ManualClock>());
  ASSERT_TRUE(pair.left && pair.right);
  ASSERT_TRUE(pair.linked());
  MempoolCache cache(pair.pool);
  for (auto [from, to] : {std::pair{&*pair.left, &*pair.right}, {&*pair.right, &*pair.left}}) {
    ASSERT_TRUE(from->capability<LinkControl>()->restart_negotiation());
    ASSERT_FALSE(from->link().up || to->link().up);
    for (Port* const port : {from, to}) {
      MbufPtr mbuf = make(cache, counting_frame(60, 1));
      Burst<1> out;
      ASSERT_TRUE(out.push(mbuf));
      ASSERT_EQ(port->tx(0).tx_burst(out), 1u);
    }
    ASSERT_TRUE(pair.linked());
    for (Port* const port : {from, to}) {
      Burst<4> in;
      EXPECT_EQ(port->rx(0).rx_burst(in), 1u) << port->info().name;
    }
  }
}

TEST(SimPair, CarriesFramesBothWays) {
  Pair pair(std::make_shared<ManualClock>());
  ASSERT_TRUE(pair.left && pair.right);
  ASSERT_TRUE(pair.linked());
  MempoolCache cache(pair.pool);
  for (unsigned i = 0; i < 500; ++i) {
    for (auto [from, to] : {std::pair{&*pair.left, &*pair.right}, {&*pair.right, &*pair.left}}) {
      const Frame frame = counting_frame(60 + i, i);
      MbufPtr mbuf = make(cache, frame);
      Burst<1> out;
      ASSERT_TRUE(out.push(mbuf));
      ASSERT_EQ(from->tx(0).tx_burst(out), 1u);
      Burst<4> in;
      ASSERT_EQ(to->rx(0).rx_burst(in), 1u);
      EXPECT_EQ(content(in[0]), frame);
    }
  }
  EXPECT_EQ(pair.left->stats().tx_packets, 500u);
  EXPECT_EQ(pair.right->stats().rx_packets, 500u);
}

TEST(SimPair, OpensEachPortOnlyOnce) {
  Pair pair(std::make_shared<ManualClock>());
  const auto again = open_unconfigured(pair.context, "sim:1");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::busy);
  ASSERT_TRUE(pair.right->close());
  pair.right.reset();
  EXPECT_TRUE(open_unconfigured(pair.context, "sim:1"));
}

TEST(SimPair, LinkComesUpWithOneOpenPortInRealTime) {
  Context context({.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30});
  auto pool = Mempool::create(context, {.count = 1024});
  ASSERT_TRUE(pool);
  auto port = open(context, "sim:8", {.rx = {{.pool = *pool}}});
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_TRUE(port->wait_for_link(10s));
}

/// One thread sends at one end. Another thread receives at the other end and sends back.
TEST(SimPair, CarriesFramesBetweenTwoThreads) {
  constexpr unsigned kFrames = 5000;
  Pair pair(std::make_shared<SteadyClock>());
  ASSERT_TRUE(pair.left && pair.right);
  ASSERT_TRUE(pair.linked());
  std::atomic<bool> stop{false};
  std::thread reflector([&] {
    Burst<32> burst;
    while (!stop.load(std::memory_order_relaxed)) {
      if (!burst.full()) pair.right->rx(0).rx_burst(burst);
      pair.right->tx(0).tx_burst(burst);
    }
    DropCounter left_over("left over");
    burst.drop(left_over);
    EXPECT_EQ(left_over.value(), 0u);
  });
  MempoolCache cache(pair.pool);
  unsigned sent = 0;
  unsigned back = 0;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (back < kFrames && std::chrono::steady_clock::now() < deadline) {
    if (sent < kFrames && sent - back < 100) {
      MbufPtr mbuf = make(cache, counting_frame(60 + sent % 500, sent));
      Burst<1> out;
      if (out.push(mbuf)) sent += pair.left->tx(0).tx_burst(out);
    }
    Burst<32> in;
    pair.left->rx(0).rx_burst(in);
    for (Mbuf& mbuf : in) {
      ASSERT_EQ(content(mbuf), counting_frame(60 + back % 500, back));
      ++back;
    }
    DropCounter counted("counted");
    in.drop(counted, cache);
  }
  stop.store(true, std::memory_order_relaxed);
  reflector.join();
  EXPECT_EQ(back, kFrames);
}

}  // namespace
}  // namespace pollux::test
