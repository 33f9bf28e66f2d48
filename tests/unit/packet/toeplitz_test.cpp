// SPDX-License-Identifier: BSD-3-Clause
// Microsoft's verification suite is tested in classify_test.cpp, with whole frames.
#include "pollux/net/packet/toeplitz.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace pollux::packet {
namespace {

/// One bit at a time.
std::uint32_t simple_hash(const RssKey& key, std::span<const std::uint8_t> input) {
  const auto key_bit = [&](std::size_t bit) {
    return bit < key.size() * 8 ? static_cast<std::uint32_t>(key[bit / 8] >> (7 - bit % 8) & 1) : 0U;
  };
  std::uint32_t hash = 0;
  for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
    if ((input[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
    std::uint32_t window = 0;
    for (std::size_t i = 0; i < 32; ++i) window = window << 1 | key_bit(bit + i);
    hash ^= window;
  }
  return hash;
}

// 66.9.149.187 to 161.142.100.80, then ports 2794 and 1766: the first line of the suite.
TEST(Toeplitz, MatchesTheExample) {
  const std::array<std::uint8_t, 12> input{66,  9,  149,       187,         161,       142,
                                           100, 80, 2794 >> 8, 2794 & 0xFF, 1766 >> 8, 1766 & 0xFF};
  const ToeplitzHash hash;
  EXPECT_EQ(hash(input), 0x51ccc178U);
  EXPECT_EQ(hash(std::span(input).first(8)), 0x323e8fc2U);
  EXPECT_EQ(hash({}), 0U);
}

TEST(Toeplitz, AgreesWithASimpleHashForEachBitAndLength) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    RssKey key{};
    for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random());
    const ToeplitzHash hash(key);
    std::array<std::uint8_t, ToeplitzHash::kMaxInput> input{};
    for (std::size_t bit = 0; bit < input.size() * 8; ++bit) {
      input = {};
      input[bit / 8] = static_cast<std::uint8_t>(0x80 >> bit % 8);
      ASSERT_EQ(hash(input), simple_hash(key, input)) << "bit " << bit;
    }
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(random());
    for (std::size_t length = 0; length <= input.size(); ++length) {
      const auto part = std::span(input).first(length);
      ASSERT_EQ(hash(part), simple_hash(key, part)) << length << " bytes";
    }
  }
}

TEST(Toeplitz, IsTheSameForBothDirectionsWithASymmetricKey) {
  EXPECT_TRUE(is_symmetric(kSymmetricRssKey));
  EXPECT_FALSE(is_symmetric(kDefaultRssKey));
  RssKey last = kSymmetricRssKey;
  last.back() ^= 1;
  EXPECT_FALSE(is_symmetric(last));
  const ToeplitzHash hash(kSymmetricRssKey);
  std::mt19937 random(7);
  for (const std::size_t address : {4U, 16U}) {
    for (int round = 0; round < 100; ++round) {
      std::vector<std::uint8_t> flow(2 * address + 4);
      for (std::uint8_t& byte : flow) byte = static_cast<std::uint8_t>(random());
      std::vector<std::uint8_t> back;
      const auto copy = [&](std::size_t from, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i) back.push_back(flow[from + i]);
      };
      copy(address, address);
      copy(0, address);
      copy(2 * address + 2, 2);
      copy(2 * address, 2);
      EXPECT_EQ(hash(flow), hash(back));
    }
  }
}

TEST(Toeplitz, IgnoresInputBeyondTheKey) {
  std::array<std::uint8_t, ToeplitzHash::kMaxInput + 4> input{};
  input.fill(0xFF);
  const ToeplitzHash hash;
  EXPECT_EQ(hash(input), hash(std::span(input).first(ToeplitzHash::kMaxInput)));
}

}  // namespace
}  // namespace pollux::packet
