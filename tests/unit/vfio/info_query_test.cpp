// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/region.hpp"

#include <gtest/gtest.h>
#include <linux/vfio.h>

#include <algorithm>

#include "fake_kernel.hpp"

namespace pollux::vfio {
namespace {

using test::ReplyBuilder;

constexpr std::uint32_t kFixed = 24;

std::vector<std::byte> filled(std::size_t size, int value) { return std::vector<std::byte>(size, std::byte(value)); }

TEST(InfoReply, FindsEachCapabilityOfAChain) {
  ReplyBuilder made(kFixed);
  made.add(1, filled(8, 11));
  made.add(2, filled(16, 22));
  const InfoReply reply(made.bytes());
  const auto first = reply.capability(kFixed, 1);
  const auto second = reply.capability(kFixed, 2);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->front(), std::byte{11});
  EXPECT_EQ(second->front(), std::byte{22});
  EXPECT_EQ(second->size(), 16u);
  EXPECT_FALSE(reply.capability(kFixed, 3));
}

TEST(InfoReply, HasNoCapabilityWithoutAChain) {
  ReplyBuilder made(kFixed);
  made.add(1, filled(8, 11));
  EXPECT_FALSE(InfoReply(made.bytes()).capability(0, 1));
}

TEST(InfoReply, EndsTheChainAtALoop) {
  ReplyBuilder made(kFixed);
  const auto first = made.add(1, filled(8, 0));
  const auto second = made.add(2, filled(8, 0));
  made.set_next(second, first);
  EXPECT_FALSE(InfoReply(made.bytes()).capability(kFixed, 3));
  made.set_next(second, second);
  EXPECT_FALSE(InfoReply(made.bytes()).capability(kFixed, 3));
}

TEST(InfoReply, EndsTheChainAtAnOffsetOutsideTheReply) {
  for (const std::uint32_t beyond : {48u, 45u, 4096u, 0x7fff'ffffu, 0xffff'fff8u, 0xffff'ffffu}) {
    ReplyBuilder made(kFixed);
    const auto first = made.add(1, filled(16, 0));  // 48 bytes in all
    made.set_next(first, beyond);
    EXPECT_FALSE(InfoReply(made.bytes()).capability(kFixed, 2)) << beyond;
    EXPECT_FALSE(InfoReply(made.bytes()).capability(beyond, 2)) << beyond;
  }
}

TEST(InfoReply, StaysInBoundsForEveryOffsetInEveryLink) {
  ReplyBuilder made(kFixed);
  const auto first = made.add(1, filled(8, 0));
  const auto second = made.add(2, filled(8, 0));
  std::ptrdiff_t zeros = 0;
  for (std::uint32_t start = 0; start < 80; ++start) {
    for (std::uint32_t next = 0; next < 80; ++next) {
      made.set_next(first, next);
      made.set_next(second, start);
      const InfoReply reply(made.bytes());
      for (const std::uint16_t id : {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{9}}) {
        const auto found = reply.capability(start, id);
        if (!found) continue;
        ASSERT_LE(found->size(), made.bytes().size() - sizeof(vfio_info_cap_header));
        // Read the bytes, so that a sanitizer reports those out of bounds.
        zeros += std::count(found->begin(), found->end(), std::byte{0});
      }
    }
  }
  EXPECT_GT(zeros, 0);
}

TEST(InfoReply, FillsMissingBytesWithZero) {
  const InfoReply reply(filled(8, 0xff));
  const auto fixed = reply.fixed<vfio_iommu_type1_info>();
  EXPECT_EQ(fixed.flags, 0xffff'ffffu);
  EXPECT_EQ(fixed.iova_pgsizes, 0u);
}

TEST(NumberAt, StaysWithinTheBytes) {
  const auto bytes = filled(7, 1);
  EXPECT_EQ(number_at<std::uint32_t>(bytes, 3), 0x0101'0101u);
  EXPECT_FALSE(number_at<std::uint32_t>(bytes, 4));
  EXPECT_FALSE(number_at<std::uint32_t>(bytes, ~std::size_t{0}));
  EXPECT_FALSE(number_at<std::uint64_t>(bytes, 0));
}

/// Replies to every INFO ioctl with the size `wanted`.
class FixedSizeKernel final : public test::FakeKernel {
 public:
  int ioctl(int, unsigned long, void* argument) override {
    std::uint32_t size = 0;
    std::memcpy(&size, argument, sizeof size);
    requested.push_back(size);
    std::memcpy(argument, &wanted, sizeof wanted);
    return result;
  }
  std::uint32_t wanted = 0;
  int result = 0;
  std::vector<std::uint32_t> requested;
};

std::vector<std::uint32_t> requested_sizes(std::uint32_t wanted) {
  auto kernel = std::make_shared<FixedSizeKernel>();
  kernel->wanted = wanted;
  const Descriptor descriptor(kernel, 100);
  InfoReply reply;
  EXPECT_EQ(query_info(descriptor, VFIO_IOMMU_GET_INFO, filled(24, 0), reply), 0);
  return kernel->requested;
}

TEST(QueryInfo, RepeatsTheRequestWithTheSizeThatTheKernelReports) {
  EXPECT_EQ(requested_sizes(24), (std::vector<std::uint32_t>{24}));
  EXPECT_EQ(requested_sizes(0), (std::vector<std::uint32_t>{24}));
  EXPECT_EQ(requested_sizes(100), (std::vector<std::uint32_t>{24, 100}));
}

TEST(QueryInfo, DoesNotAllocateAnUnreasonableSize) {
  EXPECT_EQ(requested_sizes(0xffff'ffff), (std::vector<std::uint32_t>{24}));
  EXPECT_EQ(requested_sizes(kMaxReplySize + 1), (std::vector<std::uint32_t>{24}));
}

TEST(QueryInfo, ReturnsTheKernelsError) {
  auto kernel = std::make_shared<FixedSizeKernel>();
  kernel->result = -EINVAL;
  InfoReply reply;
  EXPECT_EQ(query_info(Descriptor(kernel, 100), VFIO_IOMMU_GET_INFO, filled(24, 0), reply), -EINVAL);
}

}  // namespace
}  // namespace pollux::vfio
