// SPDX-License-Identifier: BSD-3-Clause
#include "netlink/socket.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <span>

namespace pollux::netlink {
namespace {

TEST(NetlinkSocket, ReportsAnErrorOfTheKernel) {
  auto socket = Socket::open();
  ASSERT_TRUE(socket);
  ifinfomsg link{};
  link.ifi_index = 0x7ffffff0;
  const auto answer = socket->get(RTM_GETLINK, Payload(link), [](std::uint16_t, Bytes) {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::io_error);
  EXPECT_THAT(answer.error().what, testing::HasSubstr("No such device"));
  EXPECT_FALSE(answer.error().hint.empty());
  EXPECT_EQ(socket->last_error(), ENODEV);
}

TEST(NetlinkSocket, ContinuesAfterAnError) {
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

TEST(NetlinkSocket, AsksAFamilyOfGenericNetlink) {
  auto socket = Socket::open(NETLINK_GENERIC);
  ASSERT_TRUE(socket);
  constexpr std::array<char, 7> kName{"nlctrl"};
  Payload request(genlmsghdr{.cmd = CTRL_CMD_GETFAMILY, .version = 1, .reserved = 0});
  request.add(CTRL_ATTR_FAMILY_NAME, std::as_bytes(std::span(kName)));
  std::optional<std::uint16_t> family;
  ASSERT_TRUE(socket->get(GENL_ID_CTRL, request, [&](std::uint16_t, Bytes answer) {
    family = read<std::uint16_t>(find_attribute(after_header(answer, sizeof(genlmsghdr)), CTRL_ATTR_FAMILY_ID));
  }));
  EXPECT_EQ(family, GENL_ID_CTRL);
  EXPECT_EQ(socket->last_error(), 0);
}

TEST(NetlinkSocket, RefusesAFamilyThatDoesNotExist) { EXPECT_FALSE(Socket::open(1000)); }

}  // namespace
}  // namespace pollux::netlink
