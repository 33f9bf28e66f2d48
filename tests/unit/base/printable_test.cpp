// SPDX-License-Identifier: BSD-3-Clause
#include "base/printable.hpp"

#include <gtest/gtest.h>

#include <string>

namespace pollux {
namespace {

TEST(Printable, TextAsItIs) {
  const std::string text = "a b~ \u00e9\u20ac\u05d0\u0627\U0001F600";
  EXPECT_TRUE(is_printable_text(text));
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, NoControlCharacters) {
  EXPECT_EQ(printable("a\033[2J\x7f\tb\r\n"), "a?[2J??b??");
  EXPECT_EQ(printable("\u009b2J"), "?2J") << "a control sequence introducer of one character";
  EXPECT_EQ(printable(std::string_view("\0", 1)), "?");
}

TEST(Printable, NothingThatChangesTheOrderOfText) {
  for (const char* mark : {"\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066",
                           "\u2067", "\u2068", "\u2069"}) {
    EXPECT_EQ(printable(std::string("a") + mark + "b"), "a?b");
    EXPECT_FALSE(is_printable_text(mark));
  }
}

TEST(Printable, NoSeparatorsOfLines) { EXPECT_EQ(printable("a\u2028b\u2029c"), "a?b?c"); }

TEST(Printable, NothingWithoutAShape) {
  for (const char* hidden :
       {"\u00ad",     "\u034f",     "\u115f",     "\u1160",     "\u17b4",     "\u17b5",     "\u180b",    "\u180e",
        "\u180f",     "\u200b",     "\u200c",     "\u200d",     "\u2060",     "\u2065",     "\u206f",    "\u3164",
        "\ufe00",     "\ufe0f",     "\ufeff",     "\uffa0",     "\ufff0",     "\ufff8",     "\ufff9",    "\ufffb",
        "\U0001bca0", "\U0001d173", "\U0001d17a", "\U000e0001", "\U000e0041", "\U000e01ef", "\U000e0fff"}) {
    EXPECT_EQ(printable(hidden), "?");
  }
  for (const char* beside : {"\u00ac", "\u00ae", "\u061b", "\u061d", "\u2010", "\u2027", "\u202f", "\u205f", "\u2070",
                             "\ufe10", "\ufffc", "\U0001d172", "\U0001d17b"}) {
    EXPECT_EQ(printable(beside), beside);
  }
}

TEST(Printable, OnlyUtf8) {
  EXPECT_EQ(printable("a\xff\xc3"), "a??");
  EXPECT_FALSE(is_printable_text("\x9b"));
}

}  // namespace
}  // namespace pollux
