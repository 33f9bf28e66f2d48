// SPDX-License-Identifier: BSD-3-Clause
// The pool that a port creates if none is configured.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"
#include "unit/mem/fake_domain.hpp"

namespace pollux {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A Context that a test can destroy, with its reports of misuse.
class OwnPool : public testing::Test {
 protected:
  [[nodiscard]] Port opened(const std::string& uri, const Settings& config = {}) {
    auto port = open(*context_, uri, config);
    if (!port) throw std::runtime_error(port.error().message());
    return *std::move(port);
  }
  [[nodiscard]] Port unconfigured(const std::string& uri) {
    auto port = open_unconfigured(*context_, uri);
    if (!port) throw std::runtime_error(port.error().message());
    return *std::move(port);
  }
  /// Sends a frame through a ring that is connected to itself, in an mbuf of the port's own pool.
  [[nodiscard]] static MbufPtr through(Port& port) {
    MbufPtr mbuf = port.rx_pool()->allocate();
    if (mbuf == nullptr || mbuf->append(60) == nullptr) return {};
    std::fill_n(mbuf->data(), 60, std::uint8_t{0xFF});
    Burst<1> burst;
    if (!burst.push(mbuf) || port.tx(0).tx_burst(burst) != 1 || port.rx(0).rx_burst(burst) != 1) return {};
    return burst.pop();
  }

  std::vector<std::string> misuses_;
  std::unique_ptr<Context> context_ = std::make_unique<Context>(
      ContextOptions{.on_misuse = [this](const Misuse& misuse) { misuses_.push_back(misuse.what); },
                     .huge_pages = HugePages::never,
                     .arena_size = std::size_t{1} << 30});
};

TEST_F(OwnPool, HasTheSizeThatTheRingsNeed) {
  const Port plain = opened("null:");
  ASSERT_TRUE(plain.rx_pool());
  EXPECT_EQ(plain.rx_pool()->options().count, 512U + 512 + 512 + 64 + 2048) << "as documented at RxQueueConfig::pool";
  EXPECT_EQ(plain.rx_pool()->options().data_room, 2048U);
  EXPECT_EQ(plain.rx_pool()->options().name, "null:");
  const Port wide = opened("null:", {.rx = {2, {.ring = 64}}, .tx = {3, {.ring = 128}}});
  EXPECT_EQ(wide.rx_pool(1)->options().count, 2U * (64 + 512) + 3U * (128 + 64) + 2048);
  EXPECT_FALSE(wide.rx_pool(2)) << "there are two queues";
}

TEST_F(OwnPool, IsMadeOnlyForPortsThatReceive) {
  EXPECT_FALSE(opened("null:", {.rx = {}}).rx_pool());
  EXPECT_FALSE(unconfigured("null:").rx_pool());
}

TEST_F(OwnPool, CarriesFrames) {
  Port port = opened("ring:own");
  const std::optional<Mempool> pool = port.rx_pool();
  const MbufPtr mbuf = through(port);
  ASSERT_NE(mbuf, nullptr);
  EXPECT_EQ(mbuf->packet_length(), 60U);
  EXPECT_EQ(pool->stats().in_use(), 1U);
}

TEST_F(OwnPool, ServesOtherPorts) {
  const Port first = opened("null:");
  const auto pool = first.rx_pool();
  const Port second = opened("null:", {.rx = {{.pool = *pool}}});
  EXPECT_EQ(second.rx_pool()->core(), pool->core());
}

TEST_F(OwnPool, IsKeptIfTheSizeDoesNotChange) {
  Port port = unconfigured("null:");
  ASSERT_TRUE(test::configure_port(port, {}));
  const auto first = port.rx_pool()->core();
  ASSERT_TRUE(test::configure_port(port, {.promiscuous = true}));
  EXPECT_EQ(port.rx_pool()->core(), first);
  ASSERT_FALSE(test::configure_port(port, {.rx = {{.ring = 100}}}));
  EXPECT_EQ(port.rx_pool()->core(), first) << "a rejected configuration must change nothing";
  ASSERT_TRUE(test::configure_port(port, {.rx = {{.ring = 1024}}}));
  EXPECT_NE(port.rx_pool()->core(), first);
  const auto given = Mempool::create(*context_, {.count = 100});
  ASSERT_TRUE(given);
  ASSERT_TRUE(test::configure_port(port, {.rx = {{.pool = *given}}}));
  EXPECT_EQ(port.rx_pool()->core(), given->core());
  ASSERT_TRUE(test::configure_port(port, {}));
  EXPECT_NE(port.rx_pool()->core(), given->core());
}

TEST_F(OwnPool, ReportsMissingMemoryAndChangesNothing) {
  constexpr std::uint64_t kMi = std::uint64_t{1} << 20;
  Context small({.huge_pages = HugePages::never});
  ASSERT_TRUE(small.attach(
      std::make_shared<test::FakeDomain>(std::vector<IovaRange>{{.first = 16 * kMi, .last = 28 * kMi - 1}})));
  auto port = open_unconfigured(small, "null:");
  ASSERT_TRUE(port) << port.error().message();
  const auto refused = test::configure_port(*port, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::no_memory);
  EXPECT_THAT(refused.error().what,
              AllOf(HasSubstr("null:"), HasSubstr("the port's own pool"), HasSubstr("3648 mbufs")));
  EXPECT_THAT(refused.error().hint, HasSubstr("give the queues an existing pool"));
  EXPECT_EQ(port->state(), PortState::opened);
  EXPECT_TRUE(test::configure_port(*port, {.rx = {{.ring = 8}}, .tx = {{.ring = 8}}}))
      << "the memory is enough for smaller rings";
}

TEST_F(OwnPool, OutlivesItsPortWhileMbufsAreInUse) {
  MbufPtr mbuf;
  {
    Port port = opened("ring:own");
    mbuf = through(port);
  }
  ASSERT_NE(mbuf, nullptr);
  EXPECT_EQ(mbuf->data()[59], 0xFF);
  mbuf.reset();
  context_.reset();
  EXPECT_THAT(misuses_, IsEmpty()) << "a frame that is freed late is not a leak";
}

#if POLLUX_CHECKED
TEST_F(OwnPool, ReportsALeakWhenTheContextIsDestroyed) {
  MbufPtr leaked;
  {
    Port port = opened("ring:own");
    leaked = through(port);
  }
  EXPECT_THAT(misuses_, IsEmpty());
  context_.reset();
  EXPECT_THAT(misuses_, ElementsAre(AllOf(
                            HasSubstr("mempool ring:own: 1 mbufs were still allocated when its Context was destroyed"),
                            HasSubstr("own_pool_test.cpp"))));
}

TEST_F(OwnPool, ReportsALeakWhenItsPortIsDestroyedAfterTheContext) {
  std::optional<Port> port = opened("ring:own");
  const MbufPtr leaked = through(*port);
  context_.reset();
  EXPECT_THAT(misuses_, IsEmpty());
  port.reset();
  EXPECT_THAT(misuses_, ElementsAre(HasSubstr("ring:own: 1 mbufs were still allocated")));
}
#endif

}  // namespace
}  // namespace pollux
