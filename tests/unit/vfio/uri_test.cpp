// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/open_vfio.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pollux::vfio::test {
namespace {

TEST(VfioUriTest, HasAnAddressAndAnAccessMode) {
  EXPECT_EQ(parse_uri("0000:01:00.0")->mode, AccessMode::automatic);
  EXPECT_EQ(parse_uri("01:00.0?via=iommufd")->mode, AccessMode::iommufd);
  EXPECT_EQ(parse_uri("0000:01:00.0?via=group")->mode, AccessMode::group);
  const auto parsed = parse_uri("0000:ab:1f.7?via=noiommu");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->mode, AccessMode::no_iommu);
  EXPECT_EQ(parsed->address.to_string(), "0000:ab:1f.7");
}

TEST(VfioUriTest, HasATokenForTheGroup) {
  constexpr const char* kToken = "14d63f20-8445-11ea-8900-1f9ce7d5650d";
  for (const char* text : {"0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d",
                           "0000:01:00.0?via=group&vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d",
                           "0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d&via=group"}) {
    const auto parsed = parse_uri(text);
    ASSERT_TRUE(parsed) << parsed.error().message();
    EXPECT_EQ(parsed->token, kToken);
  }
  for (const char* text :
       {"0000:01:00.0?vf_token=", "0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650",
        "0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650g",
        "0000:01:00.0?vf_token=14d63f20x8445-11ea-8900-1f9ce7d5650d",
        "0000:01:00.0?via=iommufd&vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d",
        "0000:01:00.0?via=noiommu&vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d",
        "0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d&",
        "0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d&vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d"}) {
    const auto refused = parse_uri(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().hint, testing::HasSubstr("vf_token=UUID")) << text;
  }
}

TEST(VfioUriTest, NamesWhoKeepsTheCard) {
  EXPECT_EQ(parse_uri("01:00.0?keep=/run/l2fwd/keeper")->keeper, "/run/l2fwd/keeper");
  EXPECT_EQ(parse_uri("01:00.0?via=group&keep=systemd")->keeper, "systemd");
  for (const char* text : {"01:00.0?keep=", "01:00.0?keep", "01:00.0?keep=a&keep=b"}) {
    const auto refused = parse_uri(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_THAT(refused.error().hint, testing::HasSubstr("?keep=PATH")) << text;
  }
  const auto refused = parse_uri("01:00.0?keep=/run/keeper&via=noiommu");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().what, testing::HasSubstr("a card without an IOMMU is not kept"));
}

TEST(VfioUriTest, RejectsEverythingElseAndListsTheModes) {
  for (const char* text : {"0000:01:00.0?", "0000:01:00.0?via", "0000:01:00.0?via=", "0000:01:00.0?via=iommu",
                           "0000:01:00.0?via=group&via=group", "0000:01:00.0?Via=group", "0000:01:00.0?via=groups",
                           "0000:01:00.0??via=group"}) {
    const auto refused = parse_uri(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().hint, testing::HasSubstr("?via=noiommu")) << text;
  }
  for (const char* text : {"", "?via=group", "nonsense?via=group", "0000:01:00?via=group"}) {
    EXPECT_FALSE(parse_uri(text)) << text;
  }
}

}  // namespace
}  // namespace pollux::vfio::test
