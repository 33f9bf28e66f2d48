// SPDX-License-Identifier: BSD-3-Clause
// Places that Linux's igbvf names (regs.h), written out once more.
#include <gtest/gtest.h>

#include "hw/intel/igbvf/registers.hpp"

namespace pollux::hw::igbvf {
namespace {

template <class R>
std::uint32_t place(std::uint32_t index = 0) {
  return Registers::Offsets::offset<R>(index);
}

TEST(FunctionRegisters, QueuesAreWhereIgbvfHasThem) {
  EXPECT_EQ(place<intel::RDBAL>(), 0x2800U);
  EXPECT_EQ(place<intel::RDBAH>(), 0x2804U);
  EXPECT_EQ(place<intel::RDLEN>(), 0x2808U);
  EXPECT_EQ(place<intel::SRRCTL>(), 0x280CU);
  EXPECT_EQ(place<intel::RDH>(), 0x2810U);
  EXPECT_EQ(place<intel::RDT>(), 0x2818U);
  EXPECT_EQ(place<intel::RXDCTL>(), 0x2828U);
  EXPECT_EQ(place<intel::TDBAL>(), 0x3800U);
  EXPECT_EQ(place<intel::TDBAH>(), 0x3804U);
  EXPECT_EQ(place<intel::TDLEN>(), 0x3808U);
  EXPECT_EQ(place<intel::TDH>(), 0x3810U);
  EXPECT_EQ(place<intel::TDT>(), 0x3818U);
  EXPECT_EQ(place<intel::TXDCTL>(), 0x3828U);
  EXPECT_EQ(place<intel::RDT>(1), 0x2918U);
}

TEST(FunctionRegisters, ItsOwnAreWhereIgbvfHasThem) {
  EXPECT_EQ(place<CTRL>(), 0x0000U);
  EXPECT_EQ(place<STATUS>(), 0x0008U);
  EXPECT_EQ(place<EIMC>(), 0x1528U);
  EXPECT_EQ(place<V2PMAILBOX>(), 0x0C40U);
  EXPECT_EQ(place<VMBMEM>(15), 0x083CU);
  EXPECT_EQ(place<VFGPRC>(), 0x0F10U);
  EXPECT_EQ(place<VFGPTC>(), 0x0F14U);
  EXPECT_EQ(place<VFGORC>(), 0x0F18U);
  EXPECT_EQ(place<VFGOTC>(), 0x0F34U);
  EXPECT_EQ(place<VFMPRC>(), 0x0F3CU);
  EXPECT_EQ(place<VFGPRLBC>(), 0x0F40U);
  EXPECT_EQ(place<VFGPTLBC>(), 0x0F44U);
  EXPECT_EQ(place<VFGORLBC>(), 0x0F48U);
  EXPECT_EQ(place<VFGOTLBC>(), 0x0F50U);
}

}  // namespace
}  // namespace pollux::hw::igbvf
