// SPDX-License-Identifier: BSD-3-Clause
#include <array>
#include <string>
#include <vector>

#include "unit/intel_queues/queue_fixture.hpp"

#if POLLUX_CHECKED

namespace pollux::test {
namespace {

using testing::ElementsAre;
using Parts = std::vector<std::string>;

class TxMisuse : public testing::Test {
 protected:
  TxMisuse() : fixture_({}) { fixture_.start(); }
  [[nodiscard]] MbufPtr good(Site site = Site::here()) {
    MbufPtr mbuf = fixture_.cache_handle->allocate(site);
    EXPECT_NE(mbuf->append(60), nullptr);
    std::fill_n(mbuf->data(), 60, std::uint8_t{7});
    return mbuf;
  }
  void push(Burst<4>& burst, MbufPtr mbuf) { ASSERT_TRUE(burst.push(mbuf)); }
  /// The good frames before and after the misused one are still sent.
  void expect_others_sent(Burst<4>& burst) {
    ASSERT_EQ(fixture_.tx.tx_burst(burst), 3u);
    look_at_others();
  }
  void look_at_others() {
    for (int i = 0; i < 2; ++i) fixture_.transmitter->expect(std::vector<std::uint8_t>(60, 7));
    fixture_.look();
    fixture_.transmitter->process(10);
    static_cast<void>(fixture_.tx.tx_done_cleanup());
    EXPECT_EQ(fixture_.transmitter->sent(), 2u);
    EXPECT_EQ(fixture_.tx.drops().unreachable, 1u);
    EXPECT_EQ(fixture_.in_use(), fixture_.options.rx_ring);
    EXPECT_TRUE(fixture_.memory.violations().empty());
  }

  QueueFixture fixture_;
};

TEST_F(TxMisuse, ANullMbufIsReportedAndSkipped) {
  const std::array<Mbuf*, 3> mbufs{good().release(), nullptr, good().release()};
  ASSERT_EQ(fixture_.tx.tx_burst(mbufs.data(), mbufs.size()), 3u);
  look_at_others();
  EXPECT_THAT(fixture_.fixture.misuses(), ElementsAre(IsMisuse(MisuseKind::null_mbuf, Parts{"null mbuf", "tx_burst"})));
}

TEST_F(TxMisuse, AnotherContextsMbufIsReportedAndFreed) {
  PoolFixture elsewhere;
  Mempool pool = elsewhere.pool({.count = 4, .name = "elsewhere"});
  const Site site = Site::here();
  MbufPtr foreign = pool.allocate(site);
  ASSERT_NE(foreign->append(60), nullptr);
  Burst<4> burst;
  push(burst, good());
  push(burst, std::move(foreign));
  push(burst, good());
  expect_others_sent(burst);
  EXPECT_THAT(fixture_.fixture.misuses(),
              ElementsAre(IsMisuse(MisuseKind::foreign_mbuf, Parts{"mempool elsewhere", location(site)})));
  EXPECT_EQ(pool.stats().in_use(), 0u);
}

TEST_F(TxMisuse, AFreeMbufIsReportedAndNotFreedAgain) {
  const Site site = Site::here();
  MbufPtr mbuf = good(site);
  Mbuf* const raw = mbuf.get();
  Burst<4> burst;
  push(burst, good());
  push(burst, std::move(mbuf));
  push(burst, good());
  MbufDeleter{}(raw);
  expect_others_sent(burst);
  EXPECT_THAT(fixture_.fixture.misuses(),
              ElementsAre(IsMisuse(MisuseKind::use_after_free, Parts{"mempool rx", location(site)})));
}

TEST_F(TxMisuse, AnArrayThatIsSentAgainIsReportedAndDropped) {
  const std::array<Mbuf*, 2> mbufs{good().release(), good().release()};
  ASSERT_EQ(fixture_.tx.tx_burst(mbufs.data(), mbufs.size()), 2u);
  for (int i = 0; i < 2; ++i) fixture_.transmitter->expect(std::vector<std::uint8_t>(60, 7));
  fixture_.look();
  fixture_.transmitter->process(10);
  static_cast<void>(fixture_.tx.tx_done_cleanup());
  ASSERT_EQ(fixture_.tx.tx_burst(mbufs.data(), mbufs.size()), 2u);
  EXPECT_EQ(fixture_.tx.drops().unreachable, 2u);
  EXPECT_EQ(fixture_.in_use(), fixture_.options.rx_ring);
  EXPECT_THAT(fixture_.fixture.misuses(), testing::Each(IsMisuse(MisuseKind::use_after_free, Parts{"mempool rx"})));
  EXPECT_EQ(fixture_.fixture.misuses().size(), 2u);
}

TEST_F(TxMisuse, AnMbufFreedWhileInFlightIsFreedOnce) {
  MbufPtr mbuf = good();
  Mbuf* const raw = mbuf.get();
  Burst<4> burst;
  push(burst, std::move(mbuf));
  ASSERT_EQ(fixture_.tx.tx_burst(burst), 1u);
  fixture_.transmitter->expect(std::vector<std::uint8_t>(60, 7));
  fixture_.look();
  fixture_.transmitter->process(1);
  MbufDeleter{}(raw);
  static_cast<void>(fixture_.tx.tx_done_cleanup());
  EXPECT_THAT(fixture_.fixture.misuses(), ElementsAre(IsMisuse(MisuseKind::double_free, Parts{"mempool rx"})));
  EXPECT_EQ(fixture_.in_use(), fixture_.options.rx_ring);
}

}  // namespace
}  // namespace pollux::test

#endif
