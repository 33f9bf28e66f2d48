// SPDX-License-Identifier: BSD-3-Clause
#include "mem/dma_registry.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

#include "machine.hpp"
#include "mem/dma_region.hpp"
#include "mem/huge_pages.hpp"

namespace pollux {
namespace {

using test::ReservedHugePages;

constexpr std::uint64_t kIova = 0x200000;

void add_ordinary(Arena& arena) {
  ASSERT_TRUE(arena.reserve());
  auto file = open_memory_file(0);
  ASSERT_TRUE(file);
  ASSERT_TRUE(arena.add_file(ordinary_page_size(), std::move(*file)));
}

/// The number of 512-byte blocks that the file for `page_size` occupies.
std::int64_t blocks(const Arena& arena, std::size_t page_size) {
  struct stat status {};
  EXPECT_EQ(::fstat(arena.descriptor(page_size), &status), 0);
  return status.st_blocks;
}

bool all_zero(const std::byte* bytes, std::size_t size) {
  return std::all_of(bytes, bytes + size, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(Arena, MapsPiecesAtAConstantDistanceFromTheirIova) {
  Arena arena(std::size_t{4} << 30);
  add_ordinary(arena);
  const std::size_t page = ordinary_page_size();
  const auto low = arena.place(page, kIova, 4 * page, -1);
  const auto high = arena.place(page, std::uint64_t{3} << 30, page, -1);
  ASSERT_TRUE(low);
  ASSERT_TRUE(high);
  EXPECT_EQ(*high - *low, static_cast<std::ptrdiff_t>((std::uint64_t{3} << 30) - kIova));
  EXPECT_EQ((reinterpret_cast<std::uintptr_t>(*low) - kIova) % Arena::kGranule, 0U)
      << "the alignment suits pages of 1 GiB, too";
}

/// An emulator that maps the file as its RAM relies on this.
TEST(Arena, TheFileHoldsAPieceAtTheOffsetOfItsIova) {
  Arena arena(std::size_t{1} << 30);
  add_ordinary(arena);
  const std::size_t page = ordinary_page_size();
  const auto piece = arena.place(page, kIova, page, -1);
  ASSERT_TRUE(piece);
  std::memcpy(*piece, "doorbell", 8);
  char read[9] = {};
  ASSERT_EQ(::pread(arena.descriptor(page), read, 8, static_cast<off_t>(kIova)), 8);
  EXPECT_STREQ(read, "doorbell");
  ASSERT_EQ(::pwrite(arena.descriptor(page), "WRITTEN!", 8, static_cast<off_t>(kIova)), 8);
  EXPECT_EQ(std::memcmp(*piece, "WRITTEN!", 8), 0);
}

TEST(Arena, PopulatesZeroesAndFrees) {
  Arena arena(std::size_t{1} << 30);
  add_ordinary(arena);
  const std::size_t page = ordinary_page_size();
  const std::size_t size = 64 * page;
  EXPECT_EQ(blocks(arena, page), 0) << "the file is sparse";
  for (int round = 0; round < 3; ++round) {
    const auto piece = arena.place(page, kIova, size, -1);
    ASSERT_TRUE(piece);
    EXPECT_EQ(blocks(arena, page), static_cast<std::int64_t>(size / 512))
        << "all pages are populated before any access";
    unsigned char resident[64] = {};
    ASSERT_EQ(::mincore(*piece, size, resident), 0);
    EXPECT_TRUE(std::all_of(std::begin(resident), std::end(resident), [](unsigned char r) { return (r & 1) != 0; }));
    EXPECT_TRUE(all_zero(*piece, size)) << "round " << round;
    std::memset(*piece, 0xA5, size);
    arena.remove(page, kIova, size);
    EXPECT_EQ(blocks(arena, page), 0);
  }
}

TEST(Arena, FreedMemoryFaultsOnAccess) {
  Arena arena(std::size_t{1} << 30);
  add_ordinary(arena);
  const std::size_t page = ordinary_page_size();
  const auto piece = arena.place(page, kIova, page, -1);
  ASSERT_TRUE(piece);
  arena.remove(page, kIova, page);
  std::byte sink{};
  // The kernel checks the address: reading a page without access returns EFAULT instead of raising a signal.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_EQ(::write(ends[1], *piece, 1), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_EQ(::write(ends[1], &sink, 1), 1);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Arena, PlaceFailsCleanlyWithoutEnoughPages) {
  const ReservedHugePages pages(2);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  Arena arena(std::size_t{4} << 30);
  ASSERT_TRUE(arena.reserve());
  constexpr std::size_t kPage = ReservedHugePages::kPageSize;
  auto file = open_memory_file(kPage);
  ASSERT_TRUE(file);
  ASSERT_TRUE(arena.add_file(kPage, std::move(*file)));
  const std::uint64_t free = ReservedHugePages::free();
  const auto piece = arena.place(kPage, kIova, (free + 1) * kPage, -1);
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().code, ErrorCode::no_memory);
  EXPECT_EQ(ReservedHugePages::free(), free);
  EXPECT_TRUE(arena.place(kPage, kIova, kPage, -1)) << "the remaining pages can still be allocated";
}

/// The fallback for kernels before 5.14 gives the same pages and the same errors.
TEST(Arena, TheFallbackForOlderKernelsBehavesTheSame) {
  const ReservedHugePages pages(2);
  if (!pages.missing().empty()) GTEST_SKIP() << pages.missing();
  constexpr std::size_t kPage = ReservedHugePages::kPageSize;
  auto file = open_memory_file(kPage);
  ASSERT_TRUE(file);
  const std::uint64_t free = ReservedHugePages::free();
  const std::size_t too_much = (free + 1) * kPage;
  ASSERT_EQ(::ftruncate(file->get(), static_cast<off_t>(too_much)), 0);
  void* const mapped = ::mmap(nullptr, too_much, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file->get(), 0);
  ASSERT_NE(mapped, MAP_FAILED);
  auto* const address = static_cast<std::byte*>(mapped);
  EXPECT_EQ(populate_file(file->get(), 0, address, too_much, kPage, -1), ENOSPC);
  EXPECT_EQ(populate_mapping(address, too_much), EFAULT) << "an access would raise SIGBUS";
  EXPECT_EQ(populate_file(file->get(), 0, address, kPage, kPage, 0), 0);
  EXPECT_TRUE(all_zero(address, kPage));
  ::munmap(mapped, too_much);
}

TEST(Arena, UnmapsItsAddressSpace) {
  std::byte* piece = nullptr;
  {
    Arena arena(std::size_t{1} << 30);
    add_ordinary(arena);
    const auto placed = arena.place(ordinary_page_size(), kIova, ordinary_page_size(), -1);
    ASSERT_TRUE(placed);
    piece = *placed;
  }
  unsigned char resident = 0;
  EXPECT_EQ(::mincore(piece, 1, &resident), -1);
  EXPECT_EQ(errno, ENOMEM) << "neither a piece nor the reservation is mapped there";
}

TEST(Arena, RoundsUpToWholeGibibytes) {
  EXPECT_EQ(Arena(1).size(), Arena::kGranule);
  EXPECT_EQ(Arena(Arena::kGranule + 1).size(), 2 * Arena::kGranule);
  Arena endless(~std::size_t{0});
  ASSERT_TRUE(endless.reserve()) << "halved until the system grants it";
  EXPECT_GE(endless.size(), Arena::kGranule);
  EXPECT_EQ(endless.size() % Arena::kGranule, 0U);
}

TEST(Arena, HalvesUntilTheSystemGrantsIt) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer needs more address space than this limit";
  const test::ChildReport report = test::in_child([] {
    const rlimit limit{std::size_t{5} << 30, std::size_t{5} << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return std::string("setrlimit");
    Arena arena(std::size_t{64} << 30);
    if (auto reserved = arena.reserve(); !reserved) return reserved.error().message();
    return std::to_string(arena.size() >> 30);
  });
  EXPECT_EQ(report.text, "2") << "4 GiB and the granule for the alignment do not fit beside the program";
}

TEST(Arena, NamesTheLimitsToRaiseWithoutAGibibyte) {
  if (test::kSanitized) GTEST_SKIP() << "LEFT OUT: a sanitizer needs more address space than this limit";
  const test::ChildReport report = test::in_child([] {
    const rlimit limit{std::size_t{1} << 30, std::size_t{1} << 30};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return std::string("setrlimit");
    Arena arena(std::size_t{64} << 30);
    const auto reserved = arena.reserve();
    return reserved ? std::string("granted") : reserved.error().message();
  });
  EXPECT_EQ(report.text,
            "1 GiB of address space for DMA memory could not be reserved (Cannot allocate memory): raise the limits on "
            "address space and file size (`ulimit -v unlimited -f unlimited`)");
}

TEST(Arena, KeepsItsFilesBelowTheLimitOnFileSizes) {
  const test::ChildReport report = test::in_child([] {
    const rlimit limit{std::size_t{3} << 30, std::size_t{3} << 30};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return std::string("setrlimit");
    Arena arena(std::size_t{64} << 30);
    if (auto reserved = arena.reserve(); !reserved) return reserved.error().message();
    auto file = open_memory_file(0);
    if (auto added = arena.add_file(ordinary_page_size(), std::move(*file)); !added) return added.error().message();
    return std::to_string(arena.size() >> 30);
  });
  EXPECT_EQ(report.signal, 0) << "SIGXFSZ";
  EXPECT_EQ(report.text, "2");
}

TEST(Arena, AForkedChildInheritsNothing) {
  Arena arena(std::size_t{1} << 30);
  add_ordinary(arena);
  const std::size_t page = ordinary_page_size();
  const auto piece = arena.place(page, kIova, page, -1);
  ASSERT_TRUE(piece);
  const auto start = reinterpret_cast<std::uintptr_t>(*piece) - kIova;
  const auto what_is_there = [&] {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      const std::uintptr_t first = std::stoull(line, nullptr, 16);
      if (first >= start && first < start + arena.size()) return "a mapping, " + line;
    }
    return std::string(arena.is_owner() ? "no mapping, but the arena counts as its owner" : "nothing");
  };
  EXPECT_TRUE(what_is_there().starts_with("a mapping")) << "the parent still has the mapping";
  EXPECT_EQ(test::in_child(what_is_there).text, "nothing");
}

}  // namespace
}  // namespace pollux
