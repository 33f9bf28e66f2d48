// SPDX-License-Identifier: BSD-3-Clause
#include "netlink/messages.hpp"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pollux::netlink {
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

Found next_hops_in(const std::vector<std::uint8_t>& bytes) {
  Found found;
  for_each_next_hop(std::as_bytes(std::span(bytes)), [&](Bytes hop) {
    found.emplace_back(read<rtnexthop>(hop).value_or(rtnexthop{}).rtnh_ifindex, hop.size());
  });
  return found;
}

TEST(Netlink, EndsAtANextHopThatDoesNotFit) {
  EXPECT_EQ(next_hops_in({8, 0, 0, 0, 3, 0, 0, 0, 12, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4}), (Found{{3, 8}, {4, 12}}));
  EXPECT_EQ(next_hops_in({8, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0}), (Found{{3, 8}}));
  EXPECT_EQ(next_hops_in({0, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 4, 0, 0, 0}), Found{});
  EXPECT_EQ(next_hops_in({8, 0, 0, 0, 3, 0, 0}), Found{});
}

/// A datagram of messages, each with its type, the length that its header says, and zeros behind the header.
struct Datagram {
  Datagram& add(std::uint16_t type, std::uint32_t says, std::size_t payload) {
    nlmsghdr header{};
    header.nlmsg_len = says;
    header.nlmsg_type = type;
    const auto head = std::as_bytes(std::span(&header, 1));
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.resize(bytes.size() + payload);
    return *this;
  }
  /// The types and payloads of its messages; -1 at the end if it is not whole.
  [[nodiscard]] Found messages() const {
    Found found;
    const bool whole = for_each_message(
        bytes, [&](const nlmsghdr& header, Bytes payload) { found.emplace_back(header.nlmsg_type, payload.size()); });
    if (!whole) found.emplace_back(-1, 0);
    return found;
  }
  std::vector<std::byte> bytes;
};

TEST(Netlink, WalksMessages) {
  EXPECT_EQ(Datagram().messages(), Found{});
  EXPECT_EQ(Datagram().add(16, 16, 0).messages(), (Found{{16, 0}}));
  EXPECT_EQ(Datagram().add(16, 17, 4).add(17, 20, 4).messages(), (Found{{16, 1}, {17, 4}})) << "the first is padded";
  EXPECT_EQ(Datagram().add(16, 17, 1).messages(), (Found{{16, 1}})) << "the last need not be";
}

TEST(Netlink, RefusesMessagesThatDoNotFit) {
  const Found before{{16, 4}, {-1, 0}};
  EXPECT_EQ(Datagram().add(16, 20, 4).add(17, 21, 4).messages(), before);
  EXPECT_EQ(Datagram().add(16, 20, 4).add(17, 0, 4).messages(), before);
  EXPECT_EQ(Datagram().add(16, 20, 4).add(17, 15, 4).messages(), before);
  EXPECT_EQ(Datagram().add(16, 20, 4).add(17, UINT32_MAX, 4).messages(), before);
  Datagram cut = Datagram().add(16, 20, 4).add(17, 16, 0);
  cut.bytes.pop_back();
  EXPECT_EQ(cut.messages(), before);
}

Bytes bytes_of(const int& value) { return std::as_bytes(std::span(&value, 1)); }

std::optional<int> error_in(std::uint16_t type, Bytes payload, bool is_dump) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  const auto ending = read_ending(header, payload, is_dump);
  return ending ? std::optional(ending->error) : std::nullopt;
}

// A dump that fails after its first messages has no NLMSG_ERROR.
TEST(Netlink, ADumpThatFailsMidwayIsAnError) {
  const int out_of_memory = -ENOMEM;
  EXPECT_EQ(error_in(NLMSG_DONE, bytes_of(out_of_memory), true), ENOMEM);
  EXPECT_EQ(error_in(NLMSG_ERROR, bytes_of(out_of_memory), true), ENOMEM);
  EXPECT_EQ(error_in(NLMSG_ERROR, {}, false), EBADMSG) << "an error without its number";
  EXPECT_GT(error_in(NLMSG_ERROR, bytes_of(INT32_MIN), false), 0);
}

TEST(Netlink, KnowsTheEndOfAnAnswer) {
  const int none = 0;
  const int length = 3;  // NLMSG_DONE may have the result of the kernel's function, which is not negative
  EXPECT_EQ(error_in(NLMSG_DONE, bytes_of(none), true), 0);
  EXPECT_EQ(error_in(NLMSG_DONE, bytes_of(length), true), 0);
  EXPECT_EQ(error_in(NLMSG_DONE, {}, true), 0);
  EXPECT_EQ(error_in(NLMSG_ERROR, bytes_of(none), false), 0) << "an acknowledgement";
  EXPECT_EQ(error_in(NLMSG_ERROR, bytes_of(none), true), std::nullopt);
  EXPECT_EQ(error_in(RTM_NEWLINK, {}, true), std::nullopt);
}

/// An error of the kernel with the remark "why". `repeated`: bytes of the request that lie before it; `says`: how many
/// its header has.
std::string remark_in(std::uint16_t flags, std::size_t repeated, std::uint32_t says) {
  nlmsgerr error{};
  error.error = -EINVAL;
  error.msg.nlmsg_len = says;
  constexpr std::array<char, 4> kWhy{"why"};
  const std::vector<std::byte> zeros(repeated);
  Payload attribute{Bytes{}};
  attribute.add(NLMSGERR_ATTR_MSG, std::as_bytes(std::span(kWhy)));
  std::vector<std::byte> payload(zeros);
  const auto head = std::as_bytes(std::span(&error, 1));
  payload.insert(payload.begin(), head.begin(), head.end());
  payload.insert(payload.end(), attribute.bytes().begin(), attribute.bytes().end());
  nlmsghdr header{};
  header.nlmsg_type = NLMSG_ERROR;
  header.nlmsg_flags = flags;
  return read_ending(header, payload, false).value_or(Ending{}).remark;
}

TEST(Netlink, ReadsTheKernelsRemark) {
  EXPECT_EQ(remark_in(NLM_F_ACK_TLVS | NLM_F_CAPPED, 0, 32), "why");
  EXPECT_EQ(remark_in(NLM_F_ACK_TLVS, 16, 32), "why");
  EXPECT_EQ(remark_in(NLM_F_CAPPED, 0, 16), "") << "no attributes";
}

TEST(Netlink, ReadsNoRemarkBeyondTheMessage) {
  EXPECT_EQ(remark_in(NLM_F_ACK_TLVS, 16, UINT32_MAX), "");
  EXPECT_EQ(remark_in(NLM_F_ACK_TLVS, 0, 36), "");
}

}  // namespace
}  // namespace pollux::netlink
