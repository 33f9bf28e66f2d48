// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/packet/sums.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "pollux/net/packet/byte_order.hpp"

namespace pollux::packet {
namespace {

using Octets = std::vector<std::uint8_t>;

Octets random_octets(std::mt19937& random, std::size_t count) {
  Octets bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

/// One word at a time, as in RFC 1071.
std::uint16_t simple_sum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += std::uint32_t{bytes[i]} << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0U);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(sum);
}

// RFC 1071, 3.
TEST(InternetSum, MatchesTheExample) {
  const Octets bytes{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  InternetSum sum;
  sum.add(bytes);
  EXPECT_EQ(sum.folded(), 0xddf2);
  EXPECT_EQ(sum.checksum(), 0x220d);
  EXPECT_EQ(internet_checksum(bytes), 0x220d);
  EXPECT_FALSE(sum.is_good());
  sum.add(std::uint32_t{0x220d});
  EXPECT_TRUE(sum.is_good());
  EXPECT_EQ(internet_checksum({}), 0xFFFF);
}

TEST(InternetSum, AgreesWithASimpleSumForEachLengthAndOffset) {
  std::mt19937 random(1);
  const Octets bytes = random_octets(random, 300);
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t count = 0; count + from <= bytes.size(); ++count) {
      const auto part = std::span(bytes).subspan(from, count);
      ASSERT_EQ(internet_checksum(part), static_cast<std::uint16_t>(~simple_sum(part))) << from << ", " << count;
    }
  }
}

TEST(InternetSum, DoesNotDependOnThePieces) {
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    const Octets bytes = random_octets(random, random() % 200);
    InternetSum sum;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t piece = std::min<std::size_t>(1 + random() % 9, bytes.size() - at);
      sum.add(std::span(bytes).subspan(at, piece));
      at += piece;
    }
    ASSERT_EQ(sum.folded(), simple_sum(bytes));
  }
}

TEST(InternetSum, FoldsAllCarries) {
  const Octets ones(65536, 0xFF);
  EXPECT_EQ(internet_checksum(ones), 0);
  InternetSum sum;
  for (int i = 0; i < 1000; ++i) sum.add(ones);
  sum.add(std::uint32_t{0xFFFFFFFF});
  EXPECT_EQ(sum.folded(), 0xFFFF);
  sum.add(std::uint32_t{1});
  EXPECT_EQ(sum.folded(), 1);
}

TEST(InternetSum, OfPseudoHeadersIsTheSumOfTheirBytes) {
  const Ipv4Address a{192, 0, 2, 1};
  const Ipv4Address b{198, 51, 100, 2};
  const Octets four{192, 0, 2, 1, 198, 51, 100, 2, 0, 17, 0x12, 0x34};
  EXPECT_EQ(pseudo_header(a, b, 17, 0x1234).folded(), simple_sum(four));
  Ipv6Address c{};
  Ipv6Address d{};
  Octets six;
  for (std::uint8_t i = 0; i < 16; ++i) six.push_back(c[i] = static_cast<std::uint8_t>(i * 31 + 1));
  for (std::uint8_t i = 0; i < 16; ++i) six.push_back(d[i] = static_cast<std::uint8_t>(i * 47 + 2));
  for (const int byte : {0x00, 0x01, 0x23, 0x45, 0, 0, 0, 58}) six.push_back(static_cast<std::uint8_t>(byte));
  EXPECT_EQ(pseudo_header(c, d, 58, 0x12345).folded(), simple_sum(six));
}

TEST(InternetSum, OfUdpIsNeverZero) {
  EXPECT_EQ(udp_checksum(0), 0xFFFF);
  EXPECT_EQ(udp_checksum(1), 1);
  EXPECT_EQ(udp_checksum(0xFFFF), 0xFFFF);
}

// RFC 1624, 4: the example by which equation 3 was found to be right.
TEST(UpdatedChecksum, MatchesTheExample) { EXPECT_EQ(updated_checksum(0xDD2F, 0x5555, 0x3285), 0x0000); }

TEST(UpdatedChecksum, AgreesWithAFullSum) {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    Octets bytes = random_octets(random, 20);
    // Other equations fail for fields of all zeros and all ones.
    if (round % 4 == 0) bytes[6] = bytes[7] = round % 8 == 0 ? 0 : 0xFF;
    const std::uint16_t before = internet_checksum(bytes);
    const std::uint16_t field = load16(&bytes[6]);
    const std::uint32_t address = load32(&bytes[12]);
    const auto other = static_cast<std::uint16_t>(round % 3 == 0 ? 0xFFFF : random());
    store16(&bytes[6], other);
    const std::uint16_t between = internet_checksum(bytes);
    ASSERT_EQ(updated_checksum(before, field, other), between);
    const auto moved = static_cast<std::uint32_t>(random());
    store32(&bytes[12], moved);
    ASSERT_EQ(updated_checksum32(between, address, moved), internet_checksum(bytes));
  }
}

std::uint32_t crc_of(std::span<const std::uint8_t> bytes) {
  Crc32c crc;
  crc.add(bytes);
  return crc.value();
}

// The check value of CRC-32C for the digits, and two of RFC 3720, B.4.
TEST(Crc32cTest, MatchesTheExamples) {
  constexpr std::string_view kDigits = "123456789";
  const Octets digits(kDigits.begin(), kDigits.end());
  EXPECT_EQ(crc_of(digits), 0xE3069283U);
  EXPECT_EQ(crc_of(Octets(32, 0)), 0x8A9136AAU);
  EXPECT_EQ(crc_of(Octets(32, 0xFF)), 0x62A8AB43U);
  EXPECT_EQ(crc_of({}), 0U);
  Crc32c crc;
  crc.add(digits);
  EXPECT_EQ(crc.bytes(), (std::array<std::uint8_t, 4>{0x83, 0x92, 0x06, 0xE3}));
}

TEST(Crc32cTest, DoesNotDependOnThePieces) {
  std::mt19937 random(4);
  const Octets bytes = random_octets(random, 100);
  // One bit at a time.
  std::uint32_t due = ~std::uint32_t{0};
  for (const std::uint8_t byte : bytes) {
    due ^= byte;
    for (int bit = 0; bit < 8; ++bit) due = due >> 1 ^ ((due & 1) != 0 ? 0x82F63B78U : 0U);
  }
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    Crc32c crc;
    crc.add(std::span(bytes).first(cut));
    crc.add(std::span(bytes).subspan(cut));
    ASSERT_EQ(crc.value(), ~due) << cut;
  }
}

}  // namespace
}  // namespace pollux::packet
