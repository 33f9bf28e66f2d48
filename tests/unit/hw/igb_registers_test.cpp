// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "hw/intel/features.hpp"
#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::hw::igb {
namespace {

/// Every offset of a register, with the register's name.
std::vector<std::pair<std::uint32_t, std::string>> places() {
  std::vector<std::pair<std::uint32_t, std::string>> all;
  for (const RegisterInfo& info : kRegisters) {
    const std::string name(info.name);
    for (std::uint32_t i = 0; i < info.stride.count; ++i) {
      all.emplace_back(info.at(i), name + "[" + std::to_string(i) + "]");
    }
    for (std::uint32_t i = 0; i < info.alias.count; ++i) {
      all.emplace_back(info.alias.offset + i * info.alias.bytes, name + " alias[" + std::to_string(i) + "]");
    }
  }
  return all;
}

TEST(IgbRegisters, DoNotOverlapAndAreInsideTheBar) {
  std::map<std::uint32_t, std::string> taken;
  for (const auto& [offset, name] : places()) {
    EXPECT_EQ(offset % 4, 0u) << name;
    EXPECT_LT(offset, kRegisterBytes) << name;
    const auto [where, fresh] = taken.emplace(offset, name);
    EXPECT_TRUE(fresh) << name << " has the offset of " << where->second;
  }
}

TEST(IgbRegisters, HaveUniqueNames) {
  std::set<std::string_view> names;
  for (const RegisterInfo& info : kRegisters) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.group.empty()) << info.name;
  }
}

TEST(IgbRegisters, FieldsDoNotOverlapIn32Bits) {
  for (const RegisterInfo& info : kRegisters) {
    std::uint32_t taken = 0;
    std::set<std::string_view> names;
    for (const FieldInfo& field : info.fields) {
      EXPECT_GT(field.width, 0u) << info.name << "." << field.name;
      EXPECT_LE(field.lo + field.width, 32u) << info.name << "." << field.name;
      EXPECT_EQ(taken & field.mask(), 0u) << info.name << "." << field.name << " overlaps";
      EXPECT_TRUE(names.insert(field.name).second) << info.name << "." << field.name;
      taken |= field.mask();
    }
  }
}

/// The values are from QEMU's hw/net/igb_regs.h and e1000x_regs.h, not from the table.
TEST(IgbRegisters, HaveTheOffsetsOfTheCard) {
  const std::map<std::string, std::uint32_t> expected{
      {"CTRL[0]", 0x00000},         {"STATUS[0]", 0x00008},    {"EECD[0]", 0x00010},       {"EERD[0]", 0x00014},
      {"CTRL_EXT[0]", 0x00018},     {"MDIC[0]", 0x00020},      {"ICR[0]", 0x000C0},        {"ICS[0]", 0x000C8},
      {"IMS[0]", 0x000D0},          {"IMC[0]", 0x000D8},       {"IAM[0]", 0x000E0},        {"RCTL[0]", 0x00100},
      {"TCTL[0]", 0x00400},         {"TIPG[0]", 0x00410},      {"EEMNGCTL[0]", 0x01010},   {"GPIE[0]", 0x01514},
      {"EICS[0]", 0x01520},         {"EIMS[0]", 0x01524},      {"EIMC[0]", 0x01528},       {"EIAC[0]", 0x0152C},
      {"EIAM[0]", 0x01530},         {"EICR[0]", 0x01580},      {"EITR[0]", 0x01680},       {"EITR[24]", 0x016E0},
      {"IVAR[7]", 0x0171C},         {"IVAR_MISC[0]", 0x01740}, {"RXPBS[0]", 0x02404},      {"TXPBS[0]", 0x03404},
      {"DTXCTL[0]", 0x03590},       {"MPC[0]", 0x04010},       {"GPRC[0]", 0x04074},       {"GPTC[0]", 0x04080},
      {"GORCL[0]", 0x04088},        {"GOTCH[0]", 0x04094},     {"RNBC[0]", 0x040A0},       {"ROC[0]", 0x040AC},
      {"TPT[0]", 0x040D4},          {"RXCSUM[0]", 0x05000},    {"RLPML[0]", 0x05004},      {"MTA[127]", 0x053FC},
      {"RAL[0]", 0x05400},          {"RAH[15]", 0x0547C},      {"RAL[16]", 0x054E0},       {"RAH[23]", 0x0551C},
      {"VFTA[0]", 0x05600},         {"MRQC[0]", 0x05818},      {"VT_CTL[0]", 0x0581C},     {"MANC[0]", 0x05820},
      {"VMOLR[7]", 0x05AEC},        {"SWSM[0]", 0x05B50},      {"FWSM[0]", 0x05B54},       {"SW_FW_SYNC[0]", 0x05B5C},
      {"RETA[31]", 0x05C7C},        {"RSSRK[9]", 0x05CA4},     {"ETQF[0]", 0x05CB0},       {"VLVF[31]", 0x05D7C},
      {"UTA[0]", 0x0A000},          {"SYSTIML[0]", 0x0B600},   {"TSYNCRXCTL[0]", 0x0B620}, {"RDBAL[0]", 0x0C000},
      {"RDBAH[4]", 0x0C104},        {"RDLEN[15]", 0x0C3C8},    {"SRRCTL[1]", 0x0C04C},     {"RDH[0]", 0x0C010},
      {"RDT[15]", 0x0C3D8},         {"RXDCTL[15]", 0x0C3E8},   {"RXCTL[0]", 0x0C014},      {"RQDPC[2]", 0x0C0B0},
      {"TDBAL[0]", 0x0E000},        {"TDBAH[1]", 0x0E044},     {"TDLEN[0]", 0x0E008},      {"TDH[0]", 0x0E010},
      {"TDT[15]", 0x0E3D8},         {"TXDCTL[3]", 0x0E0E8},    {"TDWBAL[0]", 0x0E038},     {"TDWBAH[0]", 0x0E03C},
      {"TXCTL[0]", 0x0E014},        {"RDT alias[3]", 0x02B18}, {"TDT alias[1]", 0x03918},  {"RXDCTL alias[0]", 0x02828},
      {"TXDCTL alias[2]", 0x03A28}, {"PVFGPRC[7]", 0x10710},
  };
  std::map<std::string, std::uint32_t> found;
  for (const auto& [offset, name] : places()) found[name] = offset;
  for (const auto& [name, offset] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found[name], offset) << name;
  }
}

/// The values are from Linux igb's e1000_defines.h and e1000_82575.h, not from the declarations.
TEST(IgbRegisters, HaveTheBitsOfTheCard) {
  EXPECT_EQ(CTRL::SLU.bits(), 0x00000040u);
  EXPECT_EQ(CTRL::GIO_MASTER_DISABLE.bits(), 0x00000004u);
  EXPECT_EQ(CTRL::RST.bits(), 0x04000000u);
  EXPECT_EQ(CTRL::PHY_RST.bits(), 0x80000000u);
  EXPECT_EQ(CTRL::VME.bits(), 0x40000000u);
  EXPECT_EQ(STATUS::LU.bits(), 0x00000002u);
  EXPECT_EQ(STATUS::SPEED.mask(), 0x000000C0u);
  EXPECT_EQ(STATUS::GIO_MASTER_ENABLE.bits(), 0x00080000u);
  EXPECT_EQ(CTRL_EXT::LINK_SERDES.bits(), 0x00C00000u);
  EXPECT_EQ(CTRL_EXT::DRV_LOAD.bits(), 0x10000000u);
  EXPECT_EQ(MDIC::WRITE.bits(), 0x04000000u);
  EXPECT_EQ(MDIC::READ.bits(), 0x08000000u);
  EXPECT_EQ(MDIC::READY.bits(), 0x10000000u);
  EXPECT_EQ(MDIC::ERROR.bits(), 0x40000000u);
  EXPECT_EQ(MDIC::REGADD.mask(), 0x001F0000u);
  EXPECT_EQ(MDIC::PHYADD.mask(), 0x03E00000u);
  EXPECT_EQ(EECD::AUTO_RD.bits(), 0x00000200u);
  EXPECT_EQ(SWSM::SWESMBI.bits(), 0x00000002u);
  EXPECT_EQ(RCTL::RXEN.bits(), 0x00000002u);
  EXPECT_EQ(RCTL::UPE.bits(), 0x00000008u);
  EXPECT_EQ(RCTL::MPE.bits(), 0x00000010u);
  EXPECT_EQ(RCTL::LPE.bits(), 0x00000020u);
  EXPECT_EQ(RCTL::LBM_MAC.bits(), 0x00000040u);
  EXPECT_EQ(RCTL::BAM.bits(), 0x00008000u);
  EXPECT_EQ(RCTL::SECRC.bits(), 0x04000000u);
  EXPECT_EQ(SRRCTL::ONE_BUFFER.bits(), 0x02000000u);
  EXPECT_EQ(SRRCTL::SPLIT_ALWAYS.bits(), 0x0A000000u);
  EXPECT_EQ(SRRCTL::DROP_EN.bits(), 0x80000000u);
  EXPECT_EQ(SRRCTL::BSIZEPACKET.mask(), 0x0000007Fu);
  EXPECT_EQ(RXDCTL::ENABLE.bits(), 0x02000000u);
  EXPECT_EQ(RXDCTL::WTHRESH.mask(), 0x001F0000u);
  EXPECT_EQ(TXDCTL::ENABLE.bits(), 0x02000000u);
  EXPECT_EQ(TCTL::EN.bits(), 0x00000002u);
  EXPECT_EQ(TCTL::PSP.bits(), 0x00000008u);
  EXPECT_EQ(TCTL::CT.mask(), 0x00000FF0u);
  EXPECT_EQ(TCTL::COLD.mask(), 0x003FF000u);
  EXPECT_EQ(RAH::AV.bits(), 0x80000000u);
  EXPECT_EQ(RAH::POOLSEL.mask(), 0x03FC0000u);
  EXPECT_EQ(MRQC::RSS.bits(), 0x00000002u);
  EXPECT_EQ(MRQC::UDP_IPV6_EX.bits(), 0x01000000u);
  EXPECT_EQ(ICR::LSC.bits(), 0x00000004u);
  EXPECT_EQ(IMS::RXO.bits(), 0x00000040u);
  EXPECT_EQ(ICR::DRSTA.bits(), 0x40000000u);
  EXPECT_EQ(EICR::OTHER.bits(), 0x80000000u);
  EXPECT_EQ(GPIE::MSIX_MODE.bits() | GPIE::NSICR.bits() | GPIE::EIAME.bits() | GPIE::PBA.bits(), 0xC0000011u);
  EXPECT_EQ(IVAR::RX_LOW_VALID.bits(), 0x00000080u);
  EXPECT_EQ(EITR::INTERVAL.mask(), 0x00007FFCu);
  EXPECT_EQ(TDWBAL::HEAD_WB_EN.bits(), 0x00000001u);
  EXPECT_EQ(VMOLR::STRCRC.bits(), 0x80000000u);
  EXPECT_EQ(RXCSUM::PCSD.bits(), 0x00002000u);
}

TEST(IgbRegisters, CountersAreOnlyClearOnRead) {
  for (const RegisterInfo& info : kStatisticsRegisters) EXPECT_EQ(info.access, Access::rc) << info.name;
}

TEST(IgbRegisters, ArraysHaveTheCardsSizes) {
  EXPECT_EQ(RDT::kCount, kRxQueues);
  EXPECT_EQ(TDT::kCount, kTxQueues);
  for (const RegisterInfo& info : registers_of(kCards[0])) {
    if (info.name == "RAL") {
      EXPECT_EQ(info.stride.count, kExactAddresses);
    }
    EXPECT_NE(info.group, "later") << info.name;
  }
  EXPECT_EQ(MTA::kCount, kMulticastTableWords);
  EXPECT_EQ(UTA::kCount, kUnicastTableWords);
  EXPECT_EQ(VFTA::kCount, kVlanTableWords);
  EXPECT_EQ(RETA::kCount * 4, kRedirectionEntries);
  EXPECT_EQ(RSSRK::kCount, kRssKeyWords);
  EXPECT_EQ(EITR::kCount, kMsixVectors);
}

/// The numbers are those of Linux igb (IGB_MAX_RX_QUEUES, reg_test_i210, E1000_RAR_ENTRIES_I350) and of DPDK,
/// igb_ethdev.c, eth_igb_infos_get.
TEST(IgbRegisters, ACardHasAsManyAsItsTraitsSay) {
  struct Expected {
    std::uint16_t id;
    std::uint32_t queues, addresses;
  };
  for (const Expected& card : {Expected{0x1521, 8, 32}, Expected{0x1533, 4, 16}, Expected{0x1539, 4, 16}}) {
    std::map<std::string_view, std::uint32_t> counts;
    for (const RegisterInfo& info : registers_of(*find_card({.vendor = 0x8086, .device = card.id}))) {
      counts[info.name] = info.stride.count;
      EXPECT_LE(info.alias.count, info.stride.count) << info.name;
    }
    EXPECT_EQ(counts["RDT"], card.queues);
    EXPECT_EQ(counts["TDT"], card.queues);
    EXPECT_EQ(counts["RAH"], card.addresses);
    EXPECT_EQ(counts["PSRTYPE"], 8U);
    EXPECT_EQ(counts["INVM"], 64U);
  }
}

TEST(IgbLimits, FitTheirFields) {
  EXPECT_EQ(kRingMultiple, 8u);
  EXPECT_TRUE(RDLEN::LEN.fits(kRingMax));
  EXPECT_EQ(RDLEN::LEN(kRingMax).bits(), kRingMax * kDescriptorBytes);
  EXPECT_TRUE(RDT::TAIL.fits(kRingMax - 1));
  EXPECT_TRUE(RLPML::LENGTH.fits(kMaxFrameBytes));
  EXPECT_EQ(kMaxFrameBytes, 0x2600u);
}

/// The values are from Linux igb's e1000_hw.h (E1000_DEV_ID_82576...), not from the table.
TEST(IgbIds, NameEachPhysicalFunctionAndNothingElse) {
  const std::map<std::uint16_t, Media> expected{
      {0x10C9, Media::copper}, {0x10E6, Media::fiber},  {0x10E7, Media::serdes}, {0x10E8, Media::copper},
      {0x1526, Media::copper}, {0x150A, Media::copper}, {0x1518, Media::serdes}, {0x150D, Media::serdes},
      {0x1521, Media::copper}, {0x1522, Media::fiber},  {0x1523, Media::serdes}, {0x1524, Media::serdes},
      {0x1533, Media::copper}, {0x1534, Media::copper}, {0x1535, Media::copper}, {0x1536, Media::fiber},
      {0x1537, Media::serdes}, {0x1538, Media::serdes}, {0x157B, Media::copper}, {0x157C, Media::serdes},
      {0x15F6, Media::serdes}, {0x1539, Media::copper}};
  for (std::uint32_t id = 0; id <= 0xFFFF; ++id) {
    const CardTraits* const found = find_card({.vendor = 0x8086, .device = static_cast<std::uint16_t>(id)});
    const auto known = expected.find(static_cast<std::uint16_t>(id));
    ASSERT_EQ(found != nullptr, known != expected.end()) << id;
    if (found == nullptr) continue;
    EXPECT_EQ(found->id, id);
    EXPECT_EQ(found->media, known->second) << id;
  }
  for (std::uint32_t vendor = 0; vendor <= 0xFFFF; ++vendor) {
    ASSERT_EQ(find_card({.vendor = static_cast<std::uint16_t>(vendor), .device = 0x10C9}) != nullptr, vendor == 0x8086)
        << vendor;
  }
}

/// The ids are from QEMU's include/hw/pci/pci.h. A card with one of them alone is not QEMU's.
TEST(IgbIds, FeaturesAreThoseOfBothSubsystemIds) {
  PciIdentity card{.vendor = 0x8086, .device = 0x10C9, .subsystem_vendor = 0x1AF4, .subsystem_device = 0x1100};
  EXPECT_FALSE(find_card(card)->features.flow_filters);
  EXPECT_EQ(find_card(card)->name, "82576");
  for (const auto& [vendor, device] : {std::pair{0x1AF4, 0}, {0, 0x1100}, {0x8086, 0xA03C}, {0, 0}}) {
    card.subsystem_vendor = static_cast<std::uint16_t>(vendor);
    card.subsystem_device = static_cast<std::uint16_t>(device);
    EXPECT_TRUE(find_card(card)->features.flow_filters) << vendor << ':' << device;
  }
}

}  // namespace
}  // namespace pollux::hw::igb
