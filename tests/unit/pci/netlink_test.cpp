// SPDX-License-Identifier: BSD-3-Clause
#include "pci/network_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace pollux::pci::netlink {
namespace {

using Found = std::vector<std::pair<int, std::size_t>>;

Found attributes_in(const std::vector<std::uint8_t>& bytes) {
  Found found;
  for_each_attribute(std::as_bytes(std::span(bytes)),
                     [&](std::uint16_t type, Bytes payload) { found.emplace_back(type, payload.size()); });
  return found;
}

TEST(Netlink, WalksAttributes) {
  EXPECT_EQ(attributes_in({5, 0, 3, 0, 0xff, 0, 0, 0, 8, 0, 4, 0, 1, 2, 3, 4}), (Found{{3, 1}, {4, 4}}));
  EXPECT_EQ(attributes_in({4, 0, 3, 0x80}), (Found{{3, 0}}));
}

TEST(Netlink, EndsAtAnAttributeThatDoesNotFit) {
  EXPECT_EQ(attributes_in({}), Found{});
  EXPECT_EQ(attributes_in({4, 0, 3}), Found{});
  EXPECT_EQ(attributes_in({0, 0, 3, 0, 4, 0, 5, 0}), Found{});
  EXPECT_EQ(attributes_in({3, 0, 3, 0}), Found{});
  EXPECT_EQ(attributes_in({9, 0, 3, 0, 1, 2, 3, 4}), Found{});
  EXPECT_EQ(attributes_in({0xff, 0xff, 3, 0, 1, 2, 3, 4}), Found{});
  EXPECT_EQ(attributes_in({5, 0, 3, 0, 1}), (Found{{3, 1}}));
}

TEST(Netlink, ReadsNoMoreThanThereIs) {
  const std::vector<std::uint8_t> bytes{1, 0, 0};
  EXPECT_EQ(read<std::uint32_t>(std::as_bytes(std::span(bytes))), std::nullopt);
  EXPECT_EQ(read<std::uint16_t>(std::as_bytes(std::span(bytes))), 1);
  EXPECT_TRUE(after_header(std::as_bytes(std::span(bytes)), 16).empty());
}

TEST(Netlink, EndsTextAtZero) {
  const std::vector<std::uint8_t> bytes{'e', 't', 'h', 0, 'x'};
  EXPECT_EQ(read_string(std::as_bytes(std::span(bytes))), "eth");
  EXPECT_EQ(read_string(std::as_bytes(std::span(bytes)).first(2)), "et");
}

Bytes bytes_of(const int& value) { return std::as_bytes(std::span(&value, 1)); }

// A dump that fails after its first messages has no NLMSG_ERROR.
TEST(Netlink, ADumpThatFailsMidwayIsAnError) {
  const int out_of_memory = -ENOMEM;
  const auto failed = ends_answer(NLMSG_DONE, bytes_of(out_of_memory), true);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().what, testing::HasSubstr("Cannot allocate memory"));
  EXPECT_FALSE(ends_answer(NLMSG_ERROR, bytes_of(out_of_memory), true));
  EXPECT_FALSE(ends_answer(NLMSG_ERROR, {}, false)) << "an error without its number";
}

TEST(Netlink, KnowsTheEndOfAnAnswer) {
  const int none = 0;
  const int length = 3;  // NLMSG_DONE may have the result of the kernel's function, which is not negative
  EXPECT_TRUE(ends_answer(NLMSG_DONE, bytes_of(none), true).value());
  EXPECT_TRUE(ends_answer(NLMSG_DONE, bytes_of(length), true).value());
  EXPECT_TRUE(ends_answer(NLMSG_DONE, {}, true).value());
  EXPECT_TRUE(ends_answer(NLMSG_ERROR, bytes_of(none), false).value()) << "an acknowledgement";
  EXPECT_FALSE(ends_answer(NLMSG_ERROR, bytes_of(none), true).value());
  EXPECT_FALSE(ends_answer(RTM_NEWLINK, {}, true).value());
}

TEST(Netlink, ReportsAnErrorOfTheKernel) {
  auto socket = Socket::open();
  ASSERT_TRUE(socket);
  ifinfomsg link{};
  link.ifi_index = 0x7ffffff0;
  const auto answer = socket->get(RTM_GETLINK, Payload(link), [](std::uint16_t, Bytes) {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::io_error);
  EXPECT_THAT(answer.error().what, testing::HasSubstr("No such device"));
  EXPECT_FALSE(answer.error().hint.empty());
}

TEST(Netlink, ContinuesAfterAnError) {
  auto socket = Socket::open();
  ASSERT_TRUE(socket);
  ifinfomsg link{};
  link.ifi_index = 0x7ffffff0;
  EXPECT_FALSE(socket->get(RTM_GETLINK, Payload(link), [](std::uint16_t, Bytes) {}));
  int links = 0;
  ASSERT_TRUE(socket->dump(
      RTM_GETLINK, Payload(ifinfomsg{}), [&] { links = 0; }, [&](std::uint16_t, Bytes) { ++links; }));
  EXPECT_GE(links, 1);
}

}  // namespace
}  // namespace pollux::pci::netlink
