// SPDX-License-Identifier: BSD-3-Clause
// A card may write back whole descriptors, and descriptors for which the driver did not request report-status.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ostream>

#include "pollux/mem/burst.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

struct Style {
  const char* name;
  models::igb::TxWriteBackStyle card;
  BurstMode mode;
};
void PrintTo(const Style& part, std::ostream* out) { *out << part.name; }

class WriteBackStyle : public testing::TestWithParam<Style> {};

TEST_P(WriteBackStyle, LosesNoFrameAndNoBuffer) {
  IgbFixture fixture;
  fixture.with_card([](models::igb::Card& card) {
    card.transmitter().queue(0).set_write_back_style(GetParam().card);
    return 0;
  });
  Settings config = fixture.config();
  config.burst_mode = GetParam().mode;
  auto port = fixture.open();
  ASSERT_NE(port, nullptr);
  if (!test::configure_port(*port, config)) GTEST_SKIP() << "the processor does not support " << GetParam().name;
  ASSERT_TRUE(port->start());
  fixture.clock->advance(std::chrono::seconds(1));
  std::uint32_t number = 0;
  std::uint32_t expected = 0;
  for (unsigned round = 0; round < 400; ++round) {
    Burst<48> burst;
    const unsigned wanted = 1 + round * 7 % 48;
    for (unsigned i = 0; i < wanted; ++i) {
      MbufPtr mbuf = fixture.pool.allocate();
      if (!mbuf) break;
      std::memset(mbuf->append(60), 0, 60);
      std::memcpy(mbuf->data() + 20, &number, sizeof number);
      ++number;
      ASSERT_TRUE(burst.push(mbuf));
    }
    while (!burst.empty()) ASSERT_GT(port->tx_queue(0)->tx_burst(burst), 0u) << "round " << round;
    for (const auto& frame : fixture.sent) {
      std::uint32_t found = 0;
      std::memcpy(&found, frame.data() + 20, sizeof found);
      ASSERT_EQ(found, expected++);
    }
    fixture.sent.clear();
  }
  EXPECT_EQ(expected, number);
  EXPECT_GT(number, 5000u);
  ASSERT_TRUE(port->stop());
  EXPECT_EQ(port->stats().tx_packets, number);
  ASSERT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

std::vector<Style> styles() {
  std::vector<Style> all;
  for (const BurstMode mode : {BurstMode::scalar, BurstMode::best}) {
    const bool best = mode == BurstMode::best;
    all.push_back({best ? "WholeBest" : "WholeScalar", {.whole = true}, mode});
    all.push_back({best ? "UnaskedBest" : "UnaskedScalar", {.unrequested = 500}, mode});
    all.push_back({best ? "AllBest" : "AllScalar", {.whole = true, .unrequested = 1000}, mode});
    all.push_back({best ? "RareBest" : "RareScalar", {.whole = true, .unrequested = 30, .seed = 9}, mode});
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, WriteBackStyle, testing::ValuesIn(styles()),
                         [](const auto& part) { return std::string(part.param.name); });

}  // namespace
}  // namespace pollux::drivers::igb
