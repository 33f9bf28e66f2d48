// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/frame_sizes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace pollux::tools {
namespace {

using testing::ElementsAre;

std::vector<std::uint32_t> sequence(std::string_view text) {
  const auto sizes = parse_frame_sizes(text);
  EXPECT_TRUE(sizes) << sizes.error().message();
  return sizes ? sizes->sequence : std::vector<std::uint32_t>();
}

TEST(FrameSizes, AreOneSize) {
  EXPECT_THAT(sequence("64"), ElementsAre(64));
  EXPECT_THAT(sequence("9724"), ElementsAre(9724));
}

TEST(FrameSizes, AreMixedEvenlyByTheirShares) {
  EXPECT_THAT(sequence("64:3,1518:1"), ElementsAre(64, 64, 1518, 64));
  EXPECT_THAT(sequence("64,128,256"), ElementsAre(64, 128, 256));
}

TEST(FrameSizes, OfTheSimpleImixAre7And4And1Of12) {
  const std::vector<std::uint32_t> sizes = sequence("imix");
  ASSERT_EQ(sizes.size(), 12U);
  EXPECT_EQ(std::ranges::count(sizes, 64U), 7);
  EXPECT_EQ(std::ranges::count(sizes, 594U), 4);
  EXPECT_EQ(std::ranges::count(sizes, 1518U), 1);
  EXPECT_EQ(sizes[0], 64U);
  EXPECT_EQ(sizes[1], 594U) << "the second size comes before the first is used up";
  EXPECT_EQ(parse_frame_sizes("imix")->largest(), 1518U);
}

// RFC 6985, 4.
TEST(FrameSizes, OfAGenomeAreInItsOrder) {
  EXPECT_THAT(sequence("imix-aaafg"), ElementsAre(64, 64, 64, 1280, 1518));
  EXPECT_THAT(sequence("imix-bcdehi"), ElementsAre(128, 256, 512, 1024, 2112, 9000));
}

TEST(FrameSizes, ThatMakeNoSenseAreRejected) {
  for (const char* text : {"", "63", "9725", "x", "64:0", "64:", ":3", "64,", "64:1001", "64:600,128:600", "imix-",
                           "imix-aj", "imix-A", "imix7", "64 ", "-64", "64:-1"}) {
    const auto sizes = parse_frame_sizes(text);
    ASSERT_FALSE(sizes) << text;
    EXPECT_EQ(sizes.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(sizes.error().message(), testing::HasSubstr("imix")) << "the hint lists what is allowed";
  }
}

}  // namespace
}  // namespace pollux::tools
