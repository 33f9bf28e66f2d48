// SPDX-License-Identifier: BSD-3-Clause
#include "open/registry.hpp"

#include <gtest/gtest.h>

namespace pollux {
namespace {

bool begins_known(std::string_view text) { return text.starts_with("sim:") || text.starts_with("record:"); }

TEST(Uri, HasASchemeAndAnArgument) {
  const auto uri = Uri::parse("pcap:in=a:b.pcap");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->scheme, "pcap");
  EXPECT_EQ(uri->which, "in=a:b.pcap");
}

TEST(Uri, MayHaveAnEmptyArgument) {
  const auto uri = Uri::parse("null:");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->scheme, "null");
  EXPECT_EQ(uri->which, "");
}

TEST(Uri, NeedsASchemeOfRfc3986InLowerCase) {
  for (const char* text : {"", ":", ":0", "eth0", "Sim:0", "1sim:0", " sim:0", "s im:0", "+s:0"}) {
    EXPECT_FALSE(Uri::parse(text)) << text;
  }
  EXPECT_TRUE(Uri::parse("a+b-c.1:0"));
}

TEST(WrapUri, EndsItsArgumentWhereAUriBegins) {
  const auto parts = WrapUri::parse("plan=a,at=3,record:x,sim:0", begins_known);
  ASSERT_TRUE(parts);
  EXPECT_EQ(parts->argument, "plan=a,at=3");
  EXPECT_EQ(parts->inner, "record:x,sim:0");
}

TEST(WrapUri, NeedsAnArgumentAndADevice) {
  for (const char* text : {"", ",", "sim:0", ",sim:0", "file", "file,", "file,other:0"}) {
    EXPECT_FALSE(WrapUri::parse(text, begins_known)) << text;
  }
}

}  // namespace
}  // namespace pollux
