// SPDX-License-Identifier: BSD-3-Clause
#include "hw/intel/igb/nvm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "hw/intel/igb/phy.hpp"

namespace pollux::hw::igb {
namespace {

TEST(IgbNvm, ChecksumCompletesTheSum) {
  std::array<std::uint16_t, nvm::kSummedWords> words{};
  words[nvm::kChecksum] = 0xBABA;
  EXPECT_TRUE(nvm::checksum_holds(words));
  words[0] = 0x5452;
  words[7] = 0xFFFF;
  words[62] = 0x8001;
  EXPECT_FALSE(nvm::checksum_holds(words));
  words[nvm::kChecksum] = nvm::checksum_for(std::span(words).first<nvm::kSummedWords - 1>());
  EXPECT_TRUE(nvm::checksum_holds(words));
  words[10] ^= 1;
  EXPECT_FALSE(nvm::checksum_holds(words));
}

TEST(IgbNvm, AddressIsStoredLowByteFirst) {
  constexpr std::array<std::uint16_t, 3> words{0x1100, 0x3322, 0x5544};
  const std::array<std::uint8_t, 6> expected{0x00, 0x11, 0x22, 0x33, 0x44, 0x55};
  EXPECT_EQ(nvm::mac_address(words), expected);
}

TEST(IgbPhy, RevisionIsNotPartOfTheIdentifier) {
  constexpr std::uint32_t kRevisions = 16;  // the identifier's lowest four bits
  for (std::uint32_t revision = 0; revision < kRevisions; ++revision) {
    EXPECT_EQ((0x02A80390u | revision) & phy::kIdMask, phy::kId) << revision;
  }
  EXPECT_NE((0x02A80390u + kRevisions) & phy::kIdMask, phy::kId) << "another model";
}

}  // namespace
}  // namespace pollux::hw::igb
