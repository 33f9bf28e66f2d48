// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::test {

/// A PacketSteering with a pool, on a manual clock.
class SteeringFixture : public testing::Test {
 protected:
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  void open(const SteeringOptions& options) { steering_ = must(PacketSteering::create(context_, options)); }

  /// The hash of a flow that goes to this consumer by default; another one for each `number`.
  [[nodiscard]] std::uint32_t flow_on(std::uint16_t consumer, unsigned number = 0) const {
    for (std::uint32_t hash = 1;; ++hash) {
      if (steering_->consumer_of(hash) == consumer && number-- == 0) return hash;
    }
  }
  /// A frame whose card has reported this hash. `number` is in its application field.
  [[nodiscard]] MbufPtr hashed(std::uint32_t hash, std::uint64_t number = 0) {
    MbufPtr frame = cache_.allocate();
    EXPECT_NE(frame->append(60), nullptr);
    SoftwareRxMetadata{.rss_hash = hash}.attach_to(*frame);
    frame->set_user(number);
    return frame;
  }
  void steer(MbufPtr frame) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(frame));
    steering_->steer(burst, cache_);
    EXPECT_TRUE(burst.empty());
  }
  /// The application fields of what a poll of this consumer finds.
  std::vector<std::uint64_t> poll(std::uint16_t consumer) {
    Burst<64> burst;
    steering_->consumer(consumer).rx_burst(burst);
    std::vector<std::uint64_t> numbers;
    for (Mbuf& frame : burst) numbers.push_back(frame.user());
    burst.drop(handled_, cache_);
    return numbers;
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  Context context_{{.clock = clock_, .huge_pages = HugePages::never}};
  Mempool pool_ = must(Mempool::create(context_, {.count = 8192, .data_room = 256, .headroom = 0}));
  MempoolCache cache_{pool_};
  DropCounter handled_{"handled"};
  std::unique_ptr<PacketSteering> steering_;
};

}  // namespace pollux::test
