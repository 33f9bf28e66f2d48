// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "support/fixture.hpp"
#include "support/settings_edits.hpp"
#include "support/split_frames.hpp"

namespace pollux::test {

[[nodiscard]] inline Frame frame_of(const std::vector<std::uint8_t>& bytes) {
  Frame frame(bytes.size());
  std::transform(bytes.begin(), bytes.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  return frame;
}

/// A port whose queue has a pool for headers.
class HeaderSplit : public testing::Test {
 protected:
  void start(std::uint32_t data_room = 256, std::uint32_t headers = 300) {
    headers_ = Mempool::create(fixture_.context, {.count = headers, .data_room = data_room, .name = "headers"}).value();
    fixture_.config.rx[0].header_pool = *headers_;
    start_again();
  }
  void start_again() {
    ASSERT_TRUE(configure_port(fixture_.port, fixture_.config));
    ASSERT_TRUE(fixture_.port.start());
    ASSERT_TRUE(fixture_.port.wait_for_link(std::chrono::seconds(5)));
  }
  /// Receives one frame. Returns the lengths of its segments; none if nothing arrives.
  [[nodiscard]] std::vector<std::uint32_t> split(const Frame& frame) {
    fixture_.inject(frame);
    Burst<32> burst = fixture_.rx_burst();
    if (burst.empty()) return {};
    EXPECT_EQ(content(burst[0]), frame);
    return lengths(burst[0]);
  }
  [[nodiscard]] static std::vector<std::uint32_t> lengths(const Mbuf& frame) {
    std::vector<std::uint32_t> lengths;
    for (const Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
      lengths.push_back(segment->length());
    }
    EXPECT_EQ(lengths.size(), frame.segments());
    return lengths;
  }
  /// The card writes a descriptor back as `what` says, and the queue is polled.
  [[nodiscard]] std::uint32_t poll_after(const hw::intel::rx::WriteBack& what) {
    EXPECT_TRUE(fixture_.card.write_back(0, what));
    return fixture_.rx_burst().size();
  }

  void TearDown() override {
    if (fixture_.port.state() == PortState::started) {
      EXPECT_TRUE(fixture_.port.stop());
    }
    EXPECT_TRUE(fixture_.every_mbuf_accounted_for());
    if (headers_) {
      EXPECT_EQ(headers_->stats().in_use(), 0U);
    }
    EXPECT_TRUE(fixture_.misuse.empty()) << fixture_.misuse.front();
  }

  CardFixture fixture_{{.start = false}};
  std::optional<Mempool> headers_;
};

}  // namespace pollux::test
