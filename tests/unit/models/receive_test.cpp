// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include "unit/models/bench_driver.hpp"

namespace pollux::models::igb {
namespace {

class CardReceive : public testing::Test {
 protected:
  void SetUp() override {
    bench.link_up();
    bench.start_rx();
  }
  [[nodiscard]] const hw::Descriptor& slot(std::uint32_t number) {
    return bench.memory.descriptor(Bench::kRxRing, number);
  }

  Bench bench;
};

TEST_F(CardReceive, WritesTheFrameAndItsDescriptor) {
  const auto frame = Bench::frame(60);
  bench.card.receive(frame);
  EXPECT_EQ(slot(0).hi & 0xFFFFFFFF, hw::rx::kDone | hw::rx::kEndOfPacket);
  EXPECT_EQ(hw::rx::length(slot(0).hi), 60u);
  EXPECT_EQ(bench.bytes_at(Bench::buffer(0), 60), frame);
  EXPECT_EQ(bench.read<hw::RDH>(0).raw(), 1u);
  EXPECT_EQ(slot(1), hw::rx::armed(Bench::buffer(1)));
}

}  // namespace
}  // namespace pollux::models::igb
