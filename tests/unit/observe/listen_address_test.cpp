// SPDX-License-Identifier: BSD-3-Clause
#include "listen_address.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace pollux::tool {
namespace {

TEST(ListenAddress, OfAPortAloneIsTheMachineItself) {
  EXPECT_EQ(listen_address("9100").value_or(""), "127.0.0.1:9100");
  EXPECT_EQ(listen_address("65535").value_or(""), "127.0.0.1:65535");
}

TEST(ListenAddress, IsTakenAsItIs) {
  for (const std::string text : {"127.0.0.1:9876", "0.0.0.0:1", "192.0.2.1:80", "[::1]:9100", "[::]:9100"})
    EXPECT_EQ(listen_address(text).value_or(""), text);
}

TEST(ListenAddress, IsNothingElse) {
  for (const char* const text : {"",
                                 ":",
                                 ":9100",
                                 "0",
                                 "65536",
                                 "9100s",
                                 "+9100",
                                 "-1",
                                 "127.0.0.1",
                                 "127.0.0.1:",
                                 "127.0.0.1:0",
                                 "127.1:9100",
                                 "127.0.0.1:9100,9101",
                                 "::1:9100",
                                 "[::1]",
                                 "[]:9100",
                                 "[127.0.0.1]:9100",
                                 "localhost:9100",
                                 "127.0.0.1 :9100",
                                 "127.0.0.1:9100r"}) {
    const auto address = listen_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, ErrorCode::invalid_argument) << text;
    EXPECT_THAT(address.error().hint, testing::HasSubstr("0.0.0.0:PORT is for all interfaces"));
    EXPECT_THAT(address.error().hint, testing::Not(testing::HasSubstr("::1"))) << "the HTTP library has no IPv6";
  }
}

}  // namespace
}  // namespace pollux::tool
