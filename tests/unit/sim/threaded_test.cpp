// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include "pollux/backends/sim/wire.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

using namespace std::chrono_literals;

/// Far more than any run takes. Only a failing test waits this long.
constexpr auto kLimit = 60s;

class SimThreaded : public testing::Test {
 protected:
  [[nodiscard]] std::optional<Port> open_port(std::string_view uri) {
    auto port = open(context, uri, {.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}});
    EXPECT_TRUE(port) << port.error().message();
    return port ? std::optional<Port>(*std::move(port)) : std::nullopt;
  }
  [[nodiscard]] MbufPtr make(const Frame& frame) {
    MbufPtr mbuf = cache.allocate();
    if (mbuf == nullptr) return mbuf;
    std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
    return mbuf;
  }
  [[nodiscard]] bool keep_going() const { return std::chrono::steady_clock::now() < deadline; }

  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::now() + kLimit;
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  Mempool pool = Mempool::create(context, {.count = 1024}).value();
  MempoolCache cache{pool};
};

/// The cards write descriptors back while the driver polls.
TEST_F(SimThreaded, CarriesEveryFrameInOrder) {
  constexpr unsigned kFrames = 5000;
  auto left = open_port("sim:0?thread");
  auto right = open_port("sim:1");
  ASSERT_TRUE(left && right);
  ASSERT_TRUE(left->wait_for_link(10s) && right->wait_for_link(10s));
  unsigned sent = 0;
  unsigned received = 0;
  DropCounter checked("checked");
  while (received < kFrames && keep_going()) {
    if (sent < kFrames && sent - received < 48) {
      MbufPtr mbuf = make(counting_frame(60 + sent % 900, sent));
      Burst<1> out;
      if (out.push(mbuf)) sent += left->tx(0).tx_burst(out);
    }
    Burst<32> in;
    right->rx(0).rx_burst(in);
    for (const Mbuf& mbuf : in) {
      ASSERT_EQ(content(mbuf), counting_frame(60 + received % 900, received));
      ++received;
    }
    if (in.empty()) std::this_thread::yield();
    in.drop(checked, cache);
  }
  EXPECT_EQ(received, kFrames);
  const auto counters = sim::wire_counters(context, 0);
  ASSERT_TRUE(counters);
  EXPECT_EQ(counters->carried, kFrames);
  EXPECT_EQ(right->stats().rx_packets, kFrames);
}

TEST_F(SimThreaded, DelayedFramesArriveWithoutRegisterAccess) {
  auto left = open_port("sim:2?thread,delay=2ms");
  auto right = open_port("sim:3");
  ASSERT_TRUE(left && right);
  ASSERT_TRUE(left->wait_for_link(10s) && right->wait_for_link(10s));
  MbufPtr mbuf = make(counting_frame(60));
  Burst<1> out;
  ASSERT_TRUE(out.push(mbuf));
  ASSERT_EQ(left->tx(0).tx_burst(out), 1u);
  const auto carried = [&] { return sim::wire_counters(context, 2)->carried; };
  while (carried() == 0 && keep_going()) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(carried(), 1u);
}

TEST_F(SimThreaded, StopsAndStartsWithItsPorts) {
  for (int round = 0; round < 5; ++round) {
    auto port = open_port("sim:4?thread");
    ASSERT_TRUE(port);
    ASSERT_TRUE(port->wait_for_link(10s)) << round;
    const auto closed = port->close();
    ASSERT_TRUE(closed) << closed.error().message();
  }
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

}  // namespace
}  // namespace pollux::test
