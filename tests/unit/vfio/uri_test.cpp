// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/uri.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pollux::vfio::test {
namespace {

TEST(Which, NamesADeviceAndTheWayToIt) {
  EXPECT_EQ(parse_which("0000:01:00.0")->way, Way::any);
  EXPECT_EQ(parse_which("01:00.0?via=iommufd")->way, Way::iommufd);
  EXPECT_EQ(parse_which("0000:01:00.0?via=group")->way, Way::group);
  const auto which = parse_which("0000:ab:1f.7?via=noiommu");
  ASSERT_TRUE(which);
  EXPECT_EQ(which->way, Way::no_iommu);
  EXPECT_EQ(which->address.to_string(), "0000:ab:1f.7");
}

TEST(Which, RefusesEverythingElseAndSaysWhatThereIs) {
  for (const char* text : {"0000:01:00.0?", "0000:01:00.0?via", "0000:01:00.0?via=", "0000:01:00.0?via=iommu",
                           "0000:01:00.0?via=group&via=group", "0000:01:00.0?Via=group", "0000:01:00.0?via=groups",
                           "0000:01:00.0??via=group"}) {
    const auto refused = parse_which(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().hint, testing::HasSubstr("?via=noiommu")) << text;
  }
  for (const char* text : {"", "?via=group", "nonsense?via=group", "0000:01:00?via=group"}) {
    EXPECT_FALSE(parse_which(text)) << text;
  }
}

}  // namespace
}  // namespace pollux::vfio::test
