// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_registry.hpp"
#include "unit/mem/sizes.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <vector>

namespace pollux {
namespace {

using test::kGi;
using test::kKi;
using test::kMi;

using Ranges = std::vector<IovaRange>;

void restrict_to(IovaSpace& space, std::vector<Ranges> domains) { space.restrict_to(IovaSpace::usable_in(domains)); }

std::uint64_t take(IovaSpace& space, std::uint64_t size, std::uint64_t alignment = 4096) {
  auto iova = space.take(size, alignment, "test");
  EXPECT_TRUE(iova) << iova.error().message();
  return iova.value_or(0);
}

TEST(IovaSpace, StartsAtOneMebibyteAndGoesUp) {
  IovaSpace space;
  EXPECT_EQ(take(space, 4096), kMi);
  EXPECT_EQ(take(space, 8192), kMi + 4096);
  EXPECT_EQ(take(space, 4096), kMi + 3 * 4096);
}

TEST(IovaSpace, AlignsAndThenFillsTheGap) {
  IovaSpace space;
  EXPECT_EQ(take(space, 2 * kMi, 2 * kMi), 2 * kMi);
  EXPECT_EQ(take(space, 4096), kMi);
  EXPECT_EQ(take(space, kMi - 4096), kMi + 4096);
  EXPECT_EQ(take(space, 4096), 4 * kMi);
  EXPECT_EQ(take(space, kGi, kGi), kGi);
}

TEST(IovaSpace, TakesTheFirstFitOfFreedRanges) {
  IovaSpace space;
  const std::uint64_t first = take(space, 16 * kKi);
  const std::uint64_t second = take(space, 16 * kKi);
  const std::uint64_t third = take(space, 16 * kKi);
  space.release(first);
  space.release(second);
  EXPECT_EQ(take(space, 36 * kKi), third + 16 * kKi) << "the 32 KiB that are free below are too small";
  EXPECT_EQ(take(space, 32 * kKi), first) << "two adjacent free ranges count as one";
}

/// Before a domain is attached, any address from 0xFEE00000 on may be in an interrupt window (x86).
TEST(IovaSpace, AvoidsTheInterruptWindowBeforeAnyDomainIsKnown) {
  IovaSpace space;
  EXPECT_EQ(take(space, 3 * kGi, 4096), kMi);
  EXPECT_EQ(take(space, kGi, 4096), 4 * kGi) << "3 GiB + 1 MiB to 0xFDFFFFFF hold less than 1 GiB";
  EXPECT_EQ(take(space, 0xFE000000 - 3 * kGi - kMi), 3 * kGi + kMi) << "the range ends just below the window";
  EXPECT_EQ(take(space, 4096), 5 * kGi);
}

TEST(IovaSpace, AvoidsTheWindowEvenIfADomainOffersIt) {
  IovaSpace space;
  restrict_to(space, {{{0xFE000000, 0xFFFFFFFF}}});
  const auto iova = space.take(4096, 4096, "ring");
  ASSERT_FALSE(iova);
  EXPECT_EQ(iova.error().code, ErrorCode::no_memory);
}

TEST(IovaSpace, StaysWithinTheRangesOfEveryDomain) {
  IovaSpace space;
  restrict_to(space, {{{16 * kMi, 64 * kMi - 1}, {128 * kMi, kGi - 1}}, {{0, 32 * kMi - 1}, {200 * kMi, 2 * kGi}}});
  EXPECT_EQ(take(space, 16 * kMi), 16 * kMi);
  EXPECT_EQ(take(space, 4096), 200 * kMi);
  restrict_to(space, {});
  EXPECT_EQ(take(space, 4096), kMi) << "a detached domain has no limit";
}

TEST(IovaSpace, CanBeUsedUpToTheLastByteOfARange) {
  IovaSpace space;
  restrict_to(space, {{{2 * kMi, 4 * kMi - 1}}});
  EXPECT_FALSE(space.take(2 * kMi + 4096, 4096, "too much"));
  EXPECT_EQ(take(space, 2 * kMi), 2 * kMi);
}

TEST(IovaSpace, TakesNothingAboveTheLimitOfARequest) {
  IovaSpace space;
  EXPECT_EQ(*space.take(kMi, 4096, "fits", 2 * kMi - 1), kMi);
  EXPECT_FALSE(space.take(4096, 4096, "no more", 2 * kMi - 1));
  EXPECT_EQ(*space.take(4096, 4096, "no limit"), 2 * kMi);
}

TEST(IovaSpace, ExhaustionNamesTheLargestUserAndTheFix) {
  IovaSpace space;
  restrict_to(space, {{{kMi, 3 * kMi - 1}}});
  ASSERT_TRUE(space.take(kMi, 4096, "mempool rx"));
  const auto iova = space.take(2 * kMi, 4096, "mempool tx");
  ASSERT_FALSE(iova);
  EXPECT_EQ(iova.error().code, ErrorCode::no_memory);
  EXPECT_EQ(iova.error().what,
            "no 2048 KiB of IOVA space are left for mempool tx (1024 KiB are in use, most of it for mempool rx)");
  EXPECT_NE(iova.error().hint.find("arena_size"), std::string::npos);
}

TEST(IovaSpace, RejectsABadAlignmentAndAZeroSize) {
  IovaSpace space;
  EXPECT_EQ(space.take(4096, 3, "x").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(space.take(4096, 0, "x").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(space.take(0, 4096, "x").error().code, ErrorCode::invalid_argument);
}

TEST(IovaSpace, DoesNotOverflowOnHugeRequests) {
  IovaSpace space;
  EXPECT_FALSE(space.take(~std::uint64_t{0}, 4096, "x"));
  EXPECT_FALSE(space.take(std::uint64_t{1} << 63, std::uint64_t{1} << 63, "x"));
  restrict_to(space, {{{0, ~std::uint64_t{0}}}});
  EXPECT_FALSE(space.take(~std::uint64_t{0} - kMi, 4096, "x"));
}

TEST(IovaRanges, IntersectionAcceptsAnyOrderOverlapsAndInvalidRanges) {
  const Ranges left{{100, 50}, {300, 399}, {0, 99}, {50, 149}};
  const Ranges right{{140, 310}, {390, 1000}, {90, 95}};
  const Ranges both = intersect(left, right);
  ASSERT_EQ(both.size(), 4U);
  EXPECT_EQ(both[0].first, 90U);
  EXPECT_EQ(both[0].last, 95U);
  EXPECT_EQ(both[1].first, 140U);
  EXPECT_EQ(both[1].last, 149U);
  EXPECT_EQ(both[2].first, 300U);
  EXPECT_EQ(both[2].last, 310U);
  EXPECT_EQ(both[3].first, 390U);
  EXPECT_EQ(both[3].last, 399U);
}

TEST(IovaRanges, NeighboursAreOneRange) {
  const Ranges ranges{{kMi, 2 * kMi - 1}, {2 * kMi, 3 * kMi - 1}};
  EXPECT_TRUE(contains(ranges, kMi, 2 * kMi));
  EXPECT_FALSE(contains(ranges, kMi, 2 * kMi + 1));
  EXPECT_FALSE(contains(ranges, kMi - 1, 2));
}

TEST(IovaRanges, TheWholeAddressSpaceIsARange) {
  const Ranges all{{0, ~std::uint64_t{0}}};
  EXPECT_TRUE(contains(all, ~std::uint64_t{0} - 4095, 4096));
  EXPECT_FALSE(contains(all, ~std::uint64_t{0} - 4095, 4097)) << "the range wraps";
  EXPECT_FALSE(contains(all, 0, 0));
  EXPECT_EQ(intersect(all, all).size(), 1U);
}

/// A simple first-fit allocator with one flag for each page.
class PlainSpace {
 public:
  PlainSpace(std::uint64_t pages, const Ranges& usable) : usable_(pages), taken_(pages) {
    for (const IovaRange& range : usable) {
      for (std::uint64_t page = range.first / 4096; page <= range.last / 4096 && page < pages; ++page)
        usable_[page] = true;
    }
  }
  std::optional<std::uint64_t> take(std::uint64_t pages, std::uint64_t alignment_pages) {
    for (std::uint64_t at = 0; at + pages <= taken_.size(); at += alignment_pages) {
      bool free = true;
      for (std::uint64_t page = at; page < at + pages; ++page) free = free && usable_[page] && !taken_[page];
      if (!free) continue;
      mark(at, pages, true);
      return at * 4096;
    }
    return std::nullopt;
  }
  void mark(std::uint64_t at, std::uint64_t pages, bool taken) {
    for (std::uint64_t page = at; page < at + pages; ++page) taken_[page] = taken;
  }

 private:
  std::vector<bool> usable_;
  std::vector<bool> taken_;
};

TEST(IovaSpace, AgreesWithASimplePageTableOverRandomRequests) {
  const Ranges reach{
      {kMi + 20 * 4096, kMi + 60 * 4096 - 1}, {kMi + 64 * 4096, 2 * kMi - 1}, {2 * kMi, 2 * kMi + 128 * 4096 - 1}};
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    IovaSpace space;
    restrict_to(space, {reach});
    PlainSpace plain(1024, reach);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> held;
    for (int step = 0; step < 500; ++step) {
      if (!held.empty() && random() % 3 == 0) {
        const std::size_t index = random() % held.size();
        const auto [iova, pages] = held[index];
        space.release(iova);
        plain.mark(iova / 4096, pages, false);
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(index));
        continue;
      }
      const std::uint64_t pages = 1 + random() % 24;
      const std::uint64_t alignment = std::uint64_t{1} << (random() % 5);
      const auto got = space.take(pages * 4096, alignment * 4096, "random");
      const auto expected = plain.take(pages, alignment);
      ASSERT_EQ(got.has_value(), expected.has_value()) << "seed " << seed << " step " << step;
      if (!got) continue;
      ASSERT_EQ(*got, *expected) << "seed " << seed << " step " << step;
      held.emplace_back(*got, pages);
    }
  }
}

}  // namespace
}  // namespace pollux
