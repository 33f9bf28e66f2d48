// SPDX-License-Identifier: BSD-3-Clause
// No buffer is lost in the rings of a removed card, or when a start fails halfway.
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "pollux/mem/burst.hpp"
#include "support/settings_edits.hpp"
#include "unit/igb/fixture.hpp"

namespace pollux::drivers::igb {
namespace {

std::uint64_t value_of(const std::vector<Counter>& counters, std::string_view name) {
  for (const Counter& counter : counters) {
    if (counter.name == name) return counter.value;
  }
  ADD_FAILURE() << "no counter " << name;
  return 0;
}

TEST(ARemovedCard, CountsFramesAndBuffersThatAreFreed) {
  IgbFixture fixture;
  auto port = fixture.started();
  ASSERT_NE(port, nullptr);
  for (unsigned i = 0; i < 3; ++i) fixture.wire->inject(broadcast(64, i));
  fixture.faults->discards = [](std::uint32_t offset, std::uint32_t) { return offset == reg::TDT::offset(0); };
  Burst<2> burst;
  for (int i = 0; i < 2; ++i) {
    MbufPtr frame = fixture.pool.allocate();
    ASSERT_NE(frame->append(60), nullptr);
    ASSERT_TRUE(burst.push(frame));
  }
  ASSERT_EQ(port->tx_queue(0)->tx_burst(burst), 2u);
  fixture.faults->removed = true;
  EXPECT_FALSE(port->service());
  EXPECT_EQ(port->stats().dropped(), 0u) << "the card may come back and write";
  EXPECT_EQ(value_of(port->extended_stats(), "removed_buffers"), 0u);
  const std::uint32_t out = fixture.pool.stats().in_use();
  EXPECT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
  const Stats stats = port->stats();
  EXPECT_EQ(value_of(stats.drops, "rx_removed"), 3u);
  EXPECT_EQ(value_of(stats.drops, "tx_removed"), 2u);
  EXPECT_EQ(stats.dropped(), 5u) << "nothing is counted as stopped";
  EXPECT_EQ(value_of(port->extended_stats(), "removed_buffers"), out);
  EXPECT_EQ(out, 64u + 2u);
}

TEST(StartFails, AndNoBufferOfAnEarlierQueueIsLostWhenALaterOneCannotBeFilled) {
  IgbFixture fixture({}, {.count = 200});
  auto port = fixture.open();
  Settings config = fixture.config();
  config.rx.resize(3, config.rx[0]);
  ASSERT_TRUE(test::configure_port(*port, config));
  std::vector<MbufPtr> held;
  for (int i = 0; i < 20; ++i) held.push_back(fixture.pool.allocate());
  const auto started = port->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::no_memory);
  EXPECT_EQ(fixture.pool.stats().in_use(), 20u) << "two queues had been filled";
  held.clear();
  EXPECT_TRUE(port->start()) << "a failed start takes nothing";
  EXPECT_TRUE(port->close());
  EXPECT_TRUE(fixture.all_mbufs_free());
}

}  // namespace
}  // namespace pollux::drivers::igb
