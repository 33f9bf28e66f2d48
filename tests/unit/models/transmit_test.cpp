// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <cstring>

#include "unit/models/bench_driver.hpp"

namespace pollux::models::igb {
namespace {

class CardTransmit : public testing::Test {
 protected:
  void SetUp() override {
    bench.link_up();
    bench.start_tx();
  }
  [[nodiscard]] hw::Descriptor& slot(std::uint32_t number) { return bench.memory.descriptor(Bench::kTxRing, number); }
  /// Puts the bytes behind slot `number`.
  void post(std::uint32_t number, std::span<const std::byte> bytes, std::uint64_t flags) {
    std::memcpy(bench.memory.at(Bench::buffer(number)), bytes.data(), bytes.size());
    slot(number) = hw::tx::data(Bench::buffer(number), static_cast<std::uint32_t>(bytes.size()),
                                static_cast<std::uint32_t>(bytes.size()), flags);
  }

  static constexpr std::uint64_t kWhole = hw::tx::kEndOfPacket | hw::tx::kReportStatus;
  Bench bench;
};

TEST_F(CardTransmit, SendsAFrameAndReportsIt) {
  const auto frame = Bench::frame(60);
  post(0, frame, kWhole);
  bench.write<hw::TDT>(0, hw::TDT::TAIL(1));
  ASSERT_EQ(bench.sent.size(), 1u);
  EXPECT_EQ(bench.sent[0], frame);
  EXPECT_TRUE(hw::tx::done(slot(0).hi));
  EXPECT_EQ(bench.read<hw::TDH>(0).raw(), 1u);
}

}  // namespace
}  // namespace pollux::models::igb
