// SPDX-License-Identifier: BSD-3-Clause
#include "hw/intel/descriptors.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "hw/intel/extended_descriptors.hpp"

namespace pollux::hw::intel {
namespace {

// The expected words were computed by hand from the structures in Linux igb's e1000_82575.h.

TEST(IgbRxDescriptor, ArmsABuffer) {
  EXPECT_EQ(rx::armed(0x123456780), (Descriptor{0x123456780, 0}));
  EXPECT_EQ(alignof(Descriptor), 16u);
}

TEST(IgbRxDescriptor, DecodesAWriteBack) {
  // pkt_info 0x0111: TCP over IPv4, hashed as such; hdr_info 0x8040 | 0x0040 << ..: split header of 66 bytes.
  const std::uint64_t lo = 0xCAFEBABE'88400111;
  // status_error 0x00000063, length 1514, VLAN 0x0123
  const std::uint64_t hi = 0x0123'05EA'00000063;
  EXPECT_TRUE(rx::done(hi));
  EXPECT_EQ(rx::length(hi), 1514u);
  EXPECT_EQ(rx::vlan(hi), 0x0123);
  EXPECT_EQ(rx::hash(lo), 0xCAFEBABEu);
  EXPECT_EQ(rx::rss_type(lo), rx::RssType::tcp_ipv4);
  EXPECT_EQ(rx::packet_type(lo), rx::kTypeIpv4 | rx::kTypeTcp);
  EXPECT_TRUE(lo & rx::kSplitHeader);
  EXPECT_EQ(rx::header_length(lo), 66u);
  EXPECT_EQ(hi & 0xFFFFFFFF, rx::kDone | rx::kEndOfPacket | rx::kL4Checked | rx::kIpChecked);
}

TEST(IgbRxDescriptor, WritesBackWhatItDecodes) {
  const Descriptor made = rx::written_back({.rss = rx::RssType::udp_ipv6,
                                            .packet_type = rx::kTypeIpv6 | rx::kTypeUdp,
                                            .hash = 0x01020304,
                                            .status = rx::kDone | rx::kEndOfPacket | rx::kDataError,
                                            .length = 64,
                                            .vlan = 7});
  EXPECT_EQ(made.lo, 0x01020304'00000248u);
  EXPECT_EQ(made.hi, 0x0007'0040'80000003u);
}

TEST(IgbRxDescriptor, ErrorBitsAreTheHighestOfTheStatus) {
  EXPECT_EQ(rx::kL4Error, 0x20000000u);
  EXPECT_EQ(rx::kIpError, 0x40000000u);
  EXPECT_EQ(rx::kDataError, 0x80000000u);
  EXPECT_EQ(rx::kHeaderOverflow, 0x00800000u);
  EXPECT_EQ(rx::kTimeStamped, 0x00010000u);
}

TEST(IgbTxDescriptor, DataOfOneBuffer) {
  const Descriptor made = tx::data(0xABCDE000, 1514, 1514, tx::kEndOfPacket | tx::kReportStatus);
  EXPECT_EQ(made.lo, 0xABCDE000u);
  // olinfo_status 1514 << 14, cmd_type_len DTYP_DATA | DEXT | IFCS | EOP | RS | 1514
  EXPECT_EQ(made.hi, (std::uint64_t{1514} << 14) << 32 | 0x2B3005EAu);
  EXPECT_EQ(tx::data_length(made.hi), 1514u);
  EXPECT_EQ(tx::payload_length(made.hi), 1514u);
  EXPECT_EQ(tx::type(made.hi), tx::kTypeData);
  EXPECT_FALSE(tx::done(made.hi));
  EXPECT_TRUE(tx::done(0x1'00000000));
}

TEST(IgbTxDescriptor, LongestPayloadFills18Bits) {
  EXPECT_EQ(tx::payload_length(tx::data(0, 1, 0x3FFFF, 0).hi), 0x3FFFFu);
}

TEST(IgbTxDescriptor, Context) {
  const Descriptor made = tx::context({.vlan = 0x0123,
                                       .mac_length = 14,
                                       .ip_length = 20,
                                       .l4_length = 32,
                                       .mss = 1448,
                                       .kind = tx::kContextIpv4 | tx::kContextTcp,
                                       .index = 1});
  // vlan_macip_lens: VLAN << 16 | MACLEN << 9 | IPLEN
  EXPECT_EQ(made.lo, 0x01230000u | 14u << 9 | 20u);
  // mss_l4len_idx: MSS << 16 | L4LEN << 8 | IDX << 4; type_tucmd: DTYP_CTXT | DEXT | IPV4 | TCP
  EXPECT_EQ(made.hi, std::uint64_t{1448u << 16 | 32u << 8 | 1u << 4} << 32 | 0x20200C00u);
  EXPECT_EQ(tx::type(made.hi), tx::kTypeContext);
}

// By hand from e1000_data_desc and e1000_context_desc in Linux e1000e, hw.h.
TEST(ExtendedTxDescriptor, Data) {
  // lower.data: length | DTYP_D << 20 | EOP, IFCS, RS, DEXT; upper.data: POPTS IXSM and TXSM, special.
  const Descriptor made = tx::extended::data(0xABCDE000, 1514,
                                             tx::kEndOfPacket | tx::kReportStatus | tx::kInsertIpChecksum |
                                                 tx::kInsertL4Checksum | std::uint64_t{0x6005} << 48);
  EXPECT_EQ(made.lo, 0xABCDE000u);
  EXPECT_EQ(made.hi, std::uint64_t{0x60050300} << 32 | 0x2B100000u | 1514u);
}

TEST(ExtendedTxDescriptor, Context) {
  const Descriptor tcp = tx::extended::context(
      {.vlan = 7, .mac_length = 14, .ip_length = 20, .kind = tx::kContextIpv4 | tx::kContextTcp}, 0);
  // ipcss 14, ipcso 24, ipcse 33; tucss 34, tucso 50, tucse 0; cmd DEXT | IP | TCP
  EXPECT_EQ(tcp.lo, std::uint64_t{50u << 8 | 34u} << 32 | 33u << 16 | 24u << 8 | 14u);
  EXPECT_EQ(tcp.hi, 0x23000000u);
  const Descriptor udp = tx::extended::context({.mac_length = 18, .ip_length = 40, .kind = tx::kContextUdp}, 0);
  EXPECT_EQ(udp.lo, std::uint64_t{64u << 8 | 58u} << 32 | 57u << 16 | 28u << 8 | 18u);
  EXPECT_EQ(udp.hi, 0x20000000u);
  // cmd DEXT | TSE | IP | TCP, paylen 9000; hdrlen 54, mss 1448
  const Descriptor segments = tx::extended::context(
      {.mac_length = 14, .ip_length = 20, .l4_length = 20, .mss = 1448, .kind = tx::kContextIpv4 | tx::kContextTcp},
      9000);
  EXPECT_EQ(segments.lo, tcp.lo);
  EXPECT_EQ(segments.hi, std::uint64_t{1448u << 16 | 54u << 8} << 32 | 0x27000000u | 9000u);
}

TEST(IgbDescriptor, HasTheLayoutThatTheCardReads) {
  const Descriptor made{0x0807060504030201, 0x100F0E0D0C0B0A09};
  unsigned char bytes[16];
  std::memcpy(bytes, &made, sizeof bytes);
  for (unsigned i = 0; i < 16; ++i) EXPECT_EQ(bytes[i], i + 1);
}

}  // namespace
}  // namespace pollux::hw::intel
