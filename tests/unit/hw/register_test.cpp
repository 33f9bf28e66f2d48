// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/device/register.hpp"

#include <gtest/gtest.h>

namespace pollux {
namespace {

struct Sample : Register<Sample, 0x100, Access::rw> {
  static constexpr Bit GO{0}, LAST{31};
  static constexpr Field MODE{4, 3}, COUNT{8, 16};
  static constexpr Choice SLOW{MODE, 1}, FAST{MODE, 5};
  POLLUX_FIELDS(GO, MODE, COUNT, LAST);
};
struct Whole : Register<Whole, 0x104, Access::ro> {
  static constexpr Field ALL{0, 32};
  POLLUX_FIELDS(ALL);
};
struct Split : Register<Split, 0x200, Access::w1c, Stride{8, 6, 4, 0x400}, Alias{0x40, 8, 4}> {};

TEST(Register, ComposesBitsAndFields) {
  EXPECT_EQ(Sample::Value(Sample::GO | Sample::COUNT(0x1234) | Sample::LAST).raw(), 0x80123401u);
  EXPECT_EQ(Sample::Value(Sample::FAST | Sample::GO).raw(), 0x51u);
  EXPECT_EQ((Sample::Value(0x100) | Sample::GO).raw(), 0x101u);
  EXPECT_EQ(Sample::Value().raw(), 0u);
}

TEST(Register, ReadsFields) {
  constexpr Sample::Value value(0x80123451);
  EXPECT_EQ(value.get(Sample::COUNT), 0x1234u);
  EXPECT_EQ(value.get(Sample::MODE), 5u);
  EXPECT_TRUE(value.has(Sample::GO));
  EXPECT_TRUE(value.has(Sample::FAST));
  EXPECT_FALSE(value.has(Sample::SLOW)) << "a choice compares the whole field, not single bits";
  EXPECT_TRUE(value.has_any(Sample::SLOW));
  EXPECT_TRUE(value.has(Sample::GO | Sample::FAST | Sample::COUNT(0x1234)));
  EXPECT_FALSE(value.has(Sample::GO | Sample::COUNT(0x1235)));
}

TEST(Register, ReplacesOnlyTheFieldsOfASetting) {
  constexpr Sample::Value value(0x80FFFF70);
  EXPECT_EQ(value.with(Sample::COUNT(1)).raw(), 0x80000170u);
  EXPECT_EQ(value.with(Sample::SLOW | Sample::GO).raw(), 0x80FFFF11u);
  EXPECT_EQ(value.without(Sample::LAST).raw(), 0x00FFFF70u);
  EXPECT_EQ(value.without(Sample::COUNT).raw(), 0x80000070u);
}

TEST(Register, CutsAValueThatDoesNotFit) {
  std::uint32_t wide = 0x12345;
  EXPECT_FALSE(Sample::COUNT.fits(wide));
  EXPECT_TRUE(Sample::COUNT.fits(0xFFFF));
  EXPECT_EQ(Sample::Value(Sample::COUNT(wide)).raw(), 0x234500u) << "the next field stays zero";
  EXPECT_EQ(Sample::COUNT.max(), 0xFFFFu);
}

TEST(Register, HoldsAFieldOfAll32Bits) {
  EXPECT_EQ(Whole::ALL.mask(), 0xFFFFFFFFu);
  EXPECT_EQ(Whole::Value(Whole::ALL(0xFFFFFFFF)).raw(), 0xFFFFFFFFu);
  EXPECT_TRUE(Whole::Value(0xFFFFFFFF).all_ones());
  EXPECT_FALSE(Whole::Value(0x7FFFFFFF).all_ones());
}

TEST(Register, KnowsBothBlocksOfAnArray) {
  EXPECT_EQ(Split::offset(0), 0x200u);
  EXPECT_EQ(Split::offset(3), 0x218u);
  EXPECT_EQ(Split::offset(4), 0x400u);
  EXPECT_EQ(Split::offset(5), 0x408u);
}

TEST(Register, DescribesItself) {
  constexpr auto list = POLLUX_REGISTERS("sample", Sample, Whole, Split);
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].name, "Sample");
  EXPECT_EQ(list[0].group, "sample");
  EXPECT_EQ(list[0].access, Access::rw);
  ASSERT_EQ(list[0].fields.size(), 4u);
  EXPECT_EQ(list[0].fields[1].name, "MODE");
  EXPECT_EQ(list[0].fields[1].mask(), 0x70u);
  EXPECT_EQ(list[0].fields[3].name, "LAST");
  EXPECT_EQ(list[0].fields[3].lo, 31u);
  EXPECT_EQ(list[2].name, "Split");
  EXPECT_TRUE(list[2].fields.empty());
  EXPECT_EQ(list[2].at(5), 0x408u);
  EXPECT_EQ(list[2].alias.offset, 0x40u);
}

TEST(Register, NamesItsAccess) {
  EXPECT_EQ(to_string(Access::rw), "RW");
  EXPECT_EQ(to_string(Access::w1c), "W1C");
  EXPECT_EQ(to_string(Access::rc), "RC");
  EXPECT_EQ(to_string(Access::rc_w1c), "RC/W1C");
  EXPECT_EQ(to_string(Access::rw_rc), "RW/RC");
  EXPECT_TRUE(readable(Access::w1c));
  EXPECT_FALSE(readable(Access::rc));
  EXPECT_FALSE(readable(Access::wo));
  EXPECT_FALSE(writable(Access::ro));
  EXPECT_TRUE(clears_on_read(Access::rc_w1c));
  EXPECT_TRUE(clears_on_read(Access::rw_rc));
  EXPECT_TRUE(writable(Access::rw_rc));
  EXPECT_FALSE(readable(Access::rw_rc));
}

}  // namespace
}  // namespace pollux
