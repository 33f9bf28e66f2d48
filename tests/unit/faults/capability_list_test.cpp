// SPDX-License-Identifier: BSD-3-Clause
#include "device/capability_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace pollux {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint8_t kPower = 0x01, kVendor = 0x09;

/// A configuration space with a list of capabilities.
struct Space {
  Space() { bytes[PCI_STATUS] = PCI_STATUS_CAP_LIST; }
  void put(std::uint8_t at, std::uint8_t id, std::uint8_t next) {
    bytes[at] = id;
    bytes[at + 1U] = next;
  }
  [[nodiscard]] Result<std::uint32_t> operator()(std::uint32_t offset, unsigned width) const {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < width; ++i) value |= std::uint32_t{bytes[offset + i]} << 8 * i;
    return value;
  }
  std::array<std::uint8_t, 256> bytes{};
};

TEST(CapabilityList, HasAllOfOneKindInItsOrder) {
  Space space;
  space.bytes[PCI_CAPABILITY_LIST] = 0x84;
  space.put(0x84, kVendor, 0x40);
  space.put(0x40, kPower, 0x70);
  space.put(0x70, kVendor, 0x60);
  space.put(0x60, kVendor, 0);
  EXPECT_THAT(find_capabilities(kVendor, space).value(), ElementsAre(0x84U, 0x70U, 0x60U));
  EXPECT_THAT(find_capabilities(kPower, space).value(), ElementsAre(0x40U));
  EXPECT_THAT(find_capabilities(0x11, space).value(), IsEmpty());
  EXPECT_EQ(find_capability(kVendor, space).value(), 0x84U) << "the first";
}

TEST(CapabilityList, ThatLoopsNamesEachOnce) {
  Space space;
  space.bytes[PCI_CAPABILITY_LIST] = 0x40;
  space.put(0x40, kVendor, 0x50);
  space.put(0x50, kVendor, 0x40);
  EXPECT_THAT(find_capabilities(kVendor, space).value(), ElementsAre(0x40U, 0x50U));
}

}  // namespace
}  // namespace pollux
