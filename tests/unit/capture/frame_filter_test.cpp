// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>
#include <vector>

namespace pollux::observe {
namespace {

using testing::HasSubstr;

// An ARP request: 42 bytes that a filter can tell from IP.
std::array<std::uint8_t, 42> arp_frame() {
  std::array<std::uint8_t, 42> frame{};
  frame.fill(0xFF);
  frame[12] = 0x08;
  frame[13] = 0x06;
  return frame;
}

bool matches(const std::string& expression, std::span<const std::uint8_t> frame) {
  const auto filter = FrameFilter::compile(expression, "plx0");
  EXPECT_TRUE(filter) << filter.error().message();
  const auto length = static_cast<std::uint32_t>(frame.size());
  return filter && filter->accepts(frame.data(), length, length);
}

TEST(CaptureFilter, IsThatOfLibpcap) {
  const auto frame = arp_frame();
  EXPECT_TRUE(matches("arp", frame));
  EXPECT_FALSE(matches("ip", frame));
  EXPECT_TRUE(matches("not ip and ether broadcast", frame));
  EXPECT_TRUE(matches("less 42", frame));
  EXPECT_TRUE(matches("", frame));
}

TEST(CaptureFilter, WithoutAnExpressionAcceptsAll) {
  EXPECT_TRUE(FrameFilter().accepts_all());
  EXPECT_TRUE(FrameFilter::compile("", "plx0")->accepts_all());
  EXPECT_FALSE(FrameFilter::compile("arp", "plx0")->accepts_all());
}

TEST(CaptureFilter, NeverReadsBeyondTheFrame) {
  // Sanitizers watch the heap.
  const std::vector<std::uint8_t> frame(13, 0xFF);
  const auto filter = FrameFilter::compile("ip6 or tcp port 80 or vlan 7", "plx0");
  ASSERT_TRUE(filter) << filter.error().message();
  for (std::uint32_t held = 0; held <= frame.size(); ++held) EXPECT_FALSE(filter->accepts(frame.data(), 1500, held));
}

TEST(CaptureFilter, ABadOneIsRejectedWithLibpcapsMessage) {
  const auto filter = FrameFilter::compile("tcp prot 80", "plx0");
  ASSERT_FALSE(filter);
  EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(filter.error().what, HasSubstr("plx0: bad capture filter 'tcp prot 80'"));
  EXPECT_THAT(filter.error().what, HasSubstr("syntax"));
  EXPECT_THAT(filter.error().hint, HasSubstr("pcap-filter(7)"));
}

TEST(CaptureFilter, ALongOneAndOneWithOddCharactersAreRejected) {
  EXPECT_EQ(FrameFilter::compile(std::string(FrameFilter::kMaxLength + 1, ' '), "plx0").error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(FrameFilter::compile(std::string("arp\0 or ip", 10), "plx0").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(FrameFilter::compile("arp\n", "plx0").error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace pollux::observe
