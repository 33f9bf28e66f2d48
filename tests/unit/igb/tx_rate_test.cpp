// SPDX-License-Identifier: BSD-3-Clause
// Rate limits of transmit queues.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>

#include "hw/intel/igb/phy.hpp"
#include "pollux/net/tx_rate_limit.hpp"
#include "support/fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class TxRate : public testing::Test {
 protected:
  static constexpr std::size_t kBytes = 1'000;
  static constexpr std::size_t kWireBytes = kBytes + 24;  // FCS, preamble, gap

  [[nodiscard]] Result<void> limit(std::uint32_t megabits, std::uint16_t queue = 0) {
    return fixture_.port.capability<TxRateLimit>()->set_tx_rate(queue, megabits);
  }
  /// The megabits that the wire carries in one second while queue `queue` always has frames.
  [[nodiscard]] double measured(std::uint16_t queue = 0) {
    fixture_.clock->advance(milliseconds(100));
    fixture_.sent.clear();
    for (int step = 0; step < 1000; ++step) {
      Burst<32> burst;
      for (int i = 0; i < 32; ++i) {
        MbufPtr mbuf = fixture_.pool.allocate();
        if (mbuf == nullptr || mbuf->append(kBytes) == nullptr) break;
        EXPECT_TRUE(burst.push(mbuf));
      }
      fixture_.port.tx(queue).tx_burst(burst);
      burst = {};
      fixture_.clock->advance(std::chrono::microseconds(100));
    }
    return static_cast<double>(fixture_.sent.size() * kWireBytes * 8) / 0.1 / 1e6;
  }

  CardFixture fixture_{{.port = {.rx = {.ring = 64}, .tx = {.ring = 64}, .tx_queues = 2}}};
};

TEST_F(TxRate, IsHeldByOneQueueOnly) {
  ASSERT_TRUE(limit(50));
  EXPECT_EQ(fixture_.port.capability<TxRateLimit>()->tx_rate(0), 50u);
  EXPECT_NEAR(measured(0), 50, 1);
  EXPECT_GT(measured(1), 500);
  ASSERT_TRUE(limit(0));
  EXPECT_GT(measured(0), 500);
}

TEST_F(TxRate, OutlivesAResetAndAChangeOfSpeed) {
  ASSERT_TRUE(limit(40));
  ASSERT_TRUE(fixture_.port.stop());
  ASSERT_TRUE(fixture_.port.start());
  ASSERT_TRUE(fixture_.port.wait_for_link(seconds(5)));
  EXPECT_NEAR(measured(), 40, 1);
  fixture_.wire->set_carrier(false);
  ASSERT_TRUE(fixture_.port.service());
  fixture_.card.with([](models::igb::Card& card) {
    card.phy().set_partner({.abilities = hw::igb::phy::k100Full, .gigabit_half = false, .gigabit_full = false});
    return 0;
  });
  fixture_.wire->set_carrier(true);
  const auto link = fixture_.port.wait_for_link(seconds(5));
  ASSERT_TRUE(link);
  ASSERT_EQ(link->speed, 100u);
  EXPECT_NEAR(measured(), 40, 1);
}

TEST_F(TxRate, ThatCannotBeIsRejected) {
  EXPECT_EQ(limit(1001).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(limit(10, 16).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(fixture_.port.capability<TxRateLimit>()->tx_rate(0), 0u);
  auto rates = fixture_.port.capability<TxRateLimit>();
  ASSERT_TRUE(fixture_.port.close());
  EXPECT_EQ(rates->set_tx_rate(0, 10).error().code, ErrorCode::bad_state);
}

}  // namespace
}  // namespace pollux::test
