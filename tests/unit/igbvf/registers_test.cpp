// SPDX-License-Identifier: BSD-3-Clause
// The offsets of Linux's igbvf (regs.h), written down independently of the declarations.
#include <gtest/gtest.h>

#include "hw/intel/igbvf/registers.hpp"

namespace pollux::hw::igbvf {
namespace {

template <class R>
std::uint32_t offset_of(std::uint32_t index = 0) {
  return Registers::Offsets::offset<R>(index);
}

TEST(FunctionRegisters, QueueRegistersHaveTheOffsetsOfIgbvf) {
  EXPECT_EQ(offset_of<intel::RDBAL>(), 0x2800U);
  EXPECT_EQ(offset_of<intel::RDBAH>(), 0x2804U);
  EXPECT_EQ(offset_of<intel::RDLEN>(), 0x2808U);
  EXPECT_EQ(offset_of<intel::SRRCTL>(), 0x280CU);
  EXPECT_EQ(offset_of<intel::RDH>(), 0x2810U);
  EXPECT_EQ(offset_of<intel::RDT>(), 0x2818U);
  EXPECT_EQ(offset_of<intel::RXDCTL>(), 0x2828U);
  EXPECT_EQ(offset_of<intel::TDBAL>(), 0x3800U);
  EXPECT_EQ(offset_of<intel::TDBAH>(), 0x3804U);
  EXPECT_EQ(offset_of<intel::TDLEN>(), 0x3808U);
  EXPECT_EQ(offset_of<intel::TDH>(), 0x3810U);
  EXPECT_EQ(offset_of<intel::TDT>(), 0x3818U);
  EXPECT_EQ(offset_of<intel::TXDCTL>(), 0x3828U);
  EXPECT_EQ(offset_of<intel::RDT>(1), 0x2918U);
}

TEST(FunctionRegisters, OtherRegistersHaveTheOffsetsOfIgbvf) {
  EXPECT_EQ(offset_of<CTRL>(), 0x0000U);
  EXPECT_EQ(offset_of<STATUS>(), 0x0008U);
  EXPECT_EQ(offset_of<EIMS>(), 0x1524U);
  EXPECT_EQ(offset_of<EIMC>(), 0x1528U);
  EXPECT_EQ(offset_of<EICR>(), 0x1580U);
  EXPECT_EQ(offset_of<EITR>(2), 0x1688U);
  EXPECT_EQ(offset_of<VTIVAR>(), 0x1700U);
  EXPECT_EQ(offset_of<VTIVAR_MISC>(), 0x1740U);
  EXPECT_EQ(offset_of<V2PMAILBOX>(), 0x0C40U);
  EXPECT_EQ(offset_of<VMBMEM>(15), 0x083CU);
  EXPECT_EQ(offset_of<VFGPRC>(), 0x0F10U);
  EXPECT_EQ(offset_of<VFGPTC>(), 0x0F14U);
  EXPECT_EQ(offset_of<VFGORC>(), 0x0F18U);
  EXPECT_EQ(offset_of<VFGOTC>(), 0x0F34U);
  EXPECT_EQ(offset_of<VFMPRC>(), 0x0F3CU);
  EXPECT_EQ(offset_of<VFGPRLBC>(), 0x0F40U);
  EXPECT_EQ(offset_of<VFGPTLBC>(), 0x0F44U);
  EXPECT_EQ(offset_of<VFGORLBC>(), 0x0F48U);
  EXPECT_EQ(offset_of<VFGOTLBC>(), 0x0F50U);
}

}  // namespace
}  // namespace pollux::hw::igbvf
