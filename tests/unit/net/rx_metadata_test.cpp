// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/rx_metadata.hpp"

#include <cstdint>

#include "hw/intel/descriptors.hpp"
#include "net/virtio_net_header.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux {
namespace {

namespace rx = hw::intel::rx;

class RxMetadataTest : public testing::Test {
 protected:
  [[nodiscard]] RxMetadata intel(const rx::WriteBack& what) {
    const hw::intel::Descriptor written = rx::written_back(what);
    mbuf_->set_rx_words(RxFormat::intel_advanced, written.lo, written.hi);
    return RxMetadata(*mbuf_);
  }
  [[nodiscard]] RxMetadata software(const SoftwareRxMetadata& what) {
    what.attach_to(*mbuf_);
    return RxMetadata(*mbuf_);
  }

  test::PoolFixture fixture_;
  Mempool pool_ = fixture_.pool({.count = 1});
  MbufPtr mbuf_ = pool_.allocate();
};

TEST_F(RxMetadataTest, AFreshMbufHasNoMetadata) {
  EXPECT_FALSE(mbuf_->has_rx_words());
  const RxMetadata none(*mbuf_);
  EXPECT_EQ(none.rss_hash(), std::nullopt);
  EXPECT_EQ(none.vlan(), std::nullopt);
  EXPECT_EQ(none.packet_type(), PacketType{});
  EXPECT_EQ(none.ip_checksum(), ChecksumStatus::unknown);
  EXPECT_EQ(none.l4_checksum(), ChecksumStatus::unknown);
}

TEST_F(RxMetadataTest, WordsWithoutAFormatAreIgnored) {
  mbuf_->set_rx_words(RxFormat::none, ~std::uint64_t{0}, ~std::uint64_t{0});
  EXPECT_FALSE(mbuf_->has_rx_words());
  const RxMetadata none(*mbuf_);
  EXPECT_EQ(none.rss_hash(), std::nullopt);
  EXPECT_EQ(none.vlan(), std::nullopt);
  EXPECT_EQ(none.packet_type(), PacketType{});
  EXPECT_EQ(none.ip_checksum(), ChecksumStatus::unknown);
  EXPECT_EQ(none.l4_checksum(), ChecksumStatus::unknown);
}

TEST_F(RxMetadataTest, ReadsTheHashOfTheCard) {
  EXPECT_EQ(intel({.rss = rx::RssType::tcp_ipv4, .hash = 0xDEADBEEF}).rss_hash(), 0xDEADBEEFu);
  EXPECT_EQ(intel({.rss = rx::RssType::udp_ipv6_ex, .hash = 0}).rss_hash(), 0u);
  EXPECT_EQ(intel({.rss = rx::RssType::none, .hash = 0xDEADBEEF}).rss_hash(), std::nullopt);
}

TEST_F(RxMetadataTest, SaysWhichTagTheCardHasStripped) {
  const auto read = [&](RxFormat format, std::uint16_t tag, std::uint64_t looped = 0) {
    const hw::intel::Descriptor written = rx::written_back({.rss = rx::RssType::tcp_ipv4,
                                                            .hash = 7,
                                                            .status = rx::kDone | rx::kEndOfPacket | rx::kVlan | looped,
                                                            .vlan = tag});
    mbuf_->set_rx_words(format, written.lo, written.hi);
    const RxMetadata metadata(*mbuf_);
    EXPECT_EQ(metadata.rss_hash(), 7U);
    return metadata;
  };
  EXPECT_EQ(read(RxFormat::intel_advanced, 0x6005).vlan(), 0x6005);
  EXPECT_FALSE(read(RxFormat::intel_advanced, 0x6005).vlan_is_inner());
  EXPECT_EQ(read(RxFormat::intel_inner_tag, 0x6005).vlan(), 0x6005);
  EXPECT_TRUE(read(RxFormat::intel_inner_tag, 0x6005).vlan_is_inner());
  EXPECT_EQ(read(RxFormat::intel_assigned_tag, 0x6005).vlan(), std::nullopt) << "the host's";
  EXPECT_EQ(read(RxFormat::intel_assigned_tag, 0x6000).vlan(), 0x6000) << "a priority alone";
  // Cards that swap the bytes of some tags say which.
  EXPECT_EQ(read(RxFormat::intel_looped_tag, 0x6005).vlan(), 0x6005);
  EXPECT_EQ(read(RxFormat::intel_looped_tag, 0x0560, rx::kLoopback).vlan(), 0x6005);
  EXPECT_FALSE(read(RxFormat::intel_looped_tag, 0x0560, rx::kLoopback).vlan_is_inner());
  EXPECT_EQ(read(RxFormat::intel_looped_inner_tag, 0x0560, rx::kLoopback).vlan(), 0x6005);
  EXPECT_TRUE(read(RxFormat::intel_looped_inner_tag, 0x0560, rx::kLoopback).vlan_is_inner());
  EXPECT_EQ(read(RxFormat::intel_looped_assigned_tag, 0x0560, rx::kLoopback).vlan(), std::nullopt);
  EXPECT_EQ(read(RxFormat::intel_looped_assigned_tag, 0x0060, rx::kLoopback).vlan(), 0x6000);
  EXPECT_EQ(read(RxFormat::intel_looped_assigned_tag, 0x6000).vlan(), 0x6000);
  EXPECT_EQ(read(RxFormat::intel_looped_assigned_tag, 0x0060).vlan(), std::nullopt) << "from the wire";
  EXPECT_TRUE(software({.vlan = 5, .vlan_is_inner = true}).vlan_is_inner());
  EXPECT_FALSE(software({.vlan = 5}).vlan_is_inner());
}

// Whoever forwards a frame may ask for checksums that the card has found right.
TEST_F(RxMetadataTest, ARequestDoesNotChangeWhatACardHasFound) {
  const hw::intel::Descriptor written =
      rx::written_back({.status = rx::kDone | rx::kEndOfPacket | rx::kIpChecked | rx::kL4Checked, .length = 60});
  mbuf_->set_tx_offload({.flags = TxOffload::tcp_checksum | TxOffload::ipv4_checksum, .l2 = 14, .l3 = 20});
  for (const RxFormat format :
       {RxFormat::intel_advanced, RxFormat::intel_assigned_tag, RxFormat::intel_looped_tag, RxFormat::intel_extended}) {
    mbuf_->set_rx_words(format, written.lo, written.hi);
    EXPECT_EQ(RxMetadata(*mbuf_).l4_checksum(), ChecksumStatus::good) << static_cast<int>(format);
    EXPECT_EQ(RxMetadata(*mbuf_).ip_checksum(), ChecksumStatus::good) << static_cast<int>(format);
  }
}

TEST_F(RxMetadataTest, ReadsAnExtendedWriteBack) {
  constexpr std::uint64_t kChecked = rx::kDone | rx::kEndOfPacket | rx::kIpChecked | rx::kL4Checked;
  constexpr std::uint64_t kPacketType = std::uint64_t{0xF} << 16;
  constexpr std::uint64_t kIgnoreChecksums = std::uint64_t{1} << 2;
  const auto read = [&](std::uint64_t status) {
    // The low word has the queue in bits 12:8, and a hash.
    mbuf_->set_rx_words(RxFormat::intel_extended, std::uint64_t{0xDEADBEEF} << 32 | 1U << 8 | 1U,
                        status | std::uint64_t{60} << 32 | std::uint64_t{0x6005} << 48);
    return RxMetadata(*mbuf_);
  };
  const RxMetadata good = read(kChecked | kPacketType | rx::kVlan);
  EXPECT_EQ(good.rss_hash(), 0xDEADBEEFu);
  EXPECT_EQ(good.vlan(), 0x6005);
  EXPECT_EQ(good.packet_type(), PacketType{});
  EXPECT_FALSE(good.is_stamped());
  EXPECT_EQ(good.ip_checksum(), ChecksumStatus::good);
  EXPECT_EQ(good.l4_checksum(), ChecksumStatus::good);
  EXPECT_EQ(read(kChecked | rx::kL4Error).l4_checksum(), ChecksumStatus::bad);
  EXPECT_EQ(read(kChecked | rx::kIpError).ip_checksum(), ChecksumStatus::bad);
  EXPECT_EQ(read(kChecked | kIgnoreChecksums).ip_checksum(), ChecksumStatus::unknown);
  EXPECT_EQ(read(kChecked | kIgnoreChecksums).l4_checksum(), ChecksumStatus::unknown);
}

TEST_F(RxMetadataTest, ReadsTheTagOfTheCard) {
  constexpr std::uint64_t kPlain = rx::kDone | rx::kEndOfPacket;
  EXPECT_EQ(intel({.status = kPlain | rx::kVlan, .vlan = 0xA123}).vlan(), 0xA123);
  EXPECT_EQ(intel({.status = kPlain, .vlan = 0xA123}).vlan(), std::nullopt);
}

TEST_F(RxMetadataTest, ReadsThePacketTypeOfTheCard) {
  const auto type =
      intel({.packet_type = rx::kTypeIpv6 | rx::kTypeIpv6Extensions | rx::kTypeUdp | rx::kTypeNfs}).packet_type();
  EXPECT_EQ(type.bits, PacketType::ipv6 | PacketType::ipv6_extensions | PacketType::udp);
  EXPECT_TRUE(type.has(PacketType::udp));
  EXPECT_FALSE(type.has(PacketType::tcp));
  EXPECT_EQ(intel({.packet_type = rx::kTypeIpv4 | rx::kTypeIpv4Options}).packet_type().bits,
            PacketType::ipv4 | PacketType::ipv4_options);
  EXPECT_EQ(intel({.packet_type = rx::kTypeSctp}).packet_type().bits, std::uint32_t{PacketType::sctp});
  EXPECT_EQ(intel({.packet_type = rx::kTypeTcp}).packet_type().bits, std::uint32_t{PacketType::tcp});
  EXPECT_EQ(intel({.packet_type = rx::kTypeEtherFilter | 5}).packet_type(), PacketType{})
      << "the bits are the number of a filter";
}

TEST_F(RxMetadataTest, ReadsTheChecksumStatusOfTheCard) {
  constexpr std::uint64_t kPlain = rx::kDone | rx::kEndOfPacket;
  const auto unchecked = intel({.status = kPlain | rx::kIpError | rx::kL4Error});
  EXPECT_EQ(unchecked.ip_checksum(), ChecksumStatus::unknown);
  EXPECT_EQ(unchecked.l4_checksum(), ChecksumStatus::unknown);
  const auto good = intel({.status = kPlain | rx::kIpChecked | rx::kL4Checked});
  EXPECT_EQ(good.ip_checksum(), ChecksumStatus::good);
  EXPECT_EQ(good.l4_checksum(), ChecksumStatus::good);
  const auto bad_ip = intel({.status = kPlain | rx::kIpChecked | rx::kL4Checked | rx::kIpError});
  EXPECT_EQ(bad_ip.ip_checksum(), ChecksumStatus::bad);
  EXPECT_EQ(bad_ip.l4_checksum(), ChecksumStatus::good);
  const auto bad_l4 = intel({.status = kPlain | rx::kIpChecked | rx::kL4Checked | rx::kL4Error});
  EXPECT_EQ(bad_l4.ip_checksum(), ChecksumStatus::good);
  EXPECT_EQ(bad_l4.l4_checksum(), ChecksumStatus::bad);
}

// E-SCTP60
TEST_F(RxMetadataTest, SctpOf60BytesIsNeverBad) {
  const auto l4 = [this](std::uint32_t type, std::uint16_t length, std::uint64_t error) {
    return intel({.packet_type = type, .status = rx::kDone | rx::kL4Checked | error, .length = length}).l4_checksum();
  };
  constexpr std::uint32_t kSctp = rx::kTypeIpv4 | rx::kTypeSctp;
  EXPECT_EQ(l4(kSctp, 60, rx::kL4Error), ChecksumStatus::unknown);
  EXPECT_EQ(l4(kSctp, 60, 0), ChecksumStatus::good);
  EXPECT_EQ(l4(kSctp, 59, rx::kL4Error), ChecksumStatus::bad);
  EXPECT_EQ(l4(kSctp, 61, rx::kL4Error), ChecksumStatus::bad);
  EXPECT_EQ(l4(rx::kTypeIpv4 | rx::kTypeTcp, 60, rx::kL4Error), ChecksumStatus::bad);
}

// The pseudo-header's addresses may be in the options or extension headers, and cards differ in what they make of that.
TEST_F(RxMetadataTest, ACardNeverCallsPacketsWithOptionsBad) {
  const auto l4 = [this](std::uint32_t type, std::uint64_t error) {
    return intel({.packet_type = type, .status = rx::kDone | rx::kL4Checked | error, .length = 100}).l4_checksum();
  };
  for (const std::uint32_t type :
       {rx::kTypeIpv4 | rx::kTypeIpv4Options | rx::kTypeTcp, rx::kTypeIpv6 | rx::kTypeIpv6Extensions | rx::kTypeUdp}) {
    EXPECT_EQ(l4(type, rx::kL4Error), ChecksumStatus::unknown);
    EXPECT_EQ(l4(type, 0), ChecksumStatus::good);
  }
  EXPECT_EQ(l4(rx::kTypeIpv6 | rx::kTypeUdp, rx::kL4Error), ChecksumStatus::bad);
  EXPECT_EQ(software({.packet_type = {PacketType::ipv6_extensions}, .l4_checksum = ChecksumStatus::bad}).l4_checksum(),
            ChecksumStatus::bad)
      << "software looks at them";
}

TEST_F(RxMetadataTest, SoftwareMetadataIsReadBack) {
  for (const ChecksumStatus ip : {ChecksumStatus::unknown, ChecksumStatus::good, ChecksumStatus::bad}) {
    for (const ChecksumStatus l4 : {ChecksumStatus::unknown, ChecksumStatus::good, ChecksumStatus::bad}) {
      const auto all = software({.packet_type = {PacketType::ipv4 | PacketType::tcp},
                                 .rss_hash = 0xFFFFFFFF,
                                 .vlan = 0xFFFF,
                                 .ip_checksum = ip,
                                 .l4_checksum = l4});
      EXPECT_EQ(all.packet_type().bits, PacketType::ipv4 | PacketType::tcp);
      EXPECT_EQ(all.rss_hash(), 0xFFFFFFFFu);
      EXPECT_EQ(all.vlan(), 0xFFFF);
      EXPECT_EQ(all.ip_checksum(), ip);
      EXPECT_EQ(all.l4_checksum(), l4);
    }
  }
  const auto nothing = software({});
  EXPECT_EQ(nothing.rss_hash(), std::nullopt);
  EXPECT_EQ(nothing.vlan(), std::nullopt);
  EXPECT_EQ(nothing.packet_type(), PacketType{});
  EXPECT_EQ(software({.rss_hash = 0}).rss_hash(), 0u);
  EXPECT_EQ(software({.vlan = std::uint16_t{0}}).vlan(), 0u);
}

TEST_F(RxMetadataTest, SoftwareMetadataDoesNotChangeThePort) {
  constexpr std::uint64_t kOrigin = std::uint64_t{0xFFFF} << MbufAccess::kOriginShift;
  for (const std::uint64_t port : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{Mbuf::kNoPort}}) {
    MbufAccess::set_word(*mbuf_, (MbufAccess::word(*mbuf_) & ~kOrigin) | port << MbufAccess::kOriginShift);
    ASSERT_EQ(mbuf_->rx_format(), RxFormat::none);
    static_cast<void>(software({.rss_hash = ~0u, .vlan = std::uint16_t{0xFFFF}}));
    EXPECT_EQ(mbuf_->port(), port);
    EXPECT_EQ(mbuf_->rx_format(), RxFormat::software);
    EXPECT_TRUE(mbuf_->has_rx_words());
  }
}

TEST_F(RxMetadataTest, ReportsPartialChecksums) {
  mbuf_->set_tx_offload({.flags = TxOffload::ipv4_checksum});
  EXPECT_EQ(RxMetadata(*mbuf_).ip_checksum(), ChecksumStatus::partial);
  EXPECT_EQ(RxMetadata(*mbuf_).l4_checksum(), ChecksumStatus::unknown);
  for (const std::uint32_t flag : {TxOffload::tcp_checksum, TxOffload::udp_checksum, TxOffload::sctp_checksum}) {
    mbuf_->set_tx_offload({.flags = flag});
    // Also together with metadata from software, which still applies to the other checksum.
    const RxMetadata noted = software({.vlan = std::uint16_t{7}, .ip_checksum = ChecksumStatus::bad});
    EXPECT_EQ(noted.l4_checksum(), ChecksumStatus::partial);
    EXPECT_EQ(noted.ip_checksum(), ChecksumStatus::bad);
    EXPECT_EQ(noted.vlan(), 7);
    EXPECT_EQ(software({.l4_checksum = ChecksumStatus::bad}).l4_checksum(), ChecksumStatus::partial);
  }
  mbuf_->set_tx_offload({.flags = TxOffload::insert_vlan});
  EXPECT_EQ(RxMetadata(*mbuf_).l4_checksum(), ChecksumStatus::bad) << "the stored status applies without a request";
  mbuf_->set_tx_offload({});
  EXPECT_EQ(software({.l4_checksum = ChecksumStatus::partial}).l4_checksum(), ChecksumStatus::unknown);
}

TEST_F(RxMetadataTest, DoesNotReadPartialFromBitsOfACard) {
  constexpr std::uint64_t kAllBits = 0xFFFFFFFF;
  for (const std::uint16_t length : {std::uint16_t{1}, std::uint16_t{1514}, std::uint16_t{0xFFFF}}) {
    const RxMetadata corrupted = intel({.status = kAllBits, .length = length});
    EXPECT_EQ(corrupted.ip_checksum(), ChecksumStatus::bad);
    EXPECT_EQ(corrupted.l4_checksum(), ChecksumStatus::bad);
  }
}

TEST_F(RxMetadataTest, ReadsTheHeaderOfVirtioNet) {
  const auto virtio = [this](std::uint8_t flags) {
    VirtioNetHeader{.flags = flags, .checksum_start = 0xFFFF, .checksum_offset = 0xFFFF}.attach_to(*mbuf_);
    return RxMetadata(*mbuf_);
  };
  EXPECT_EQ(virtio(0).l4_checksum(), ChecksumStatus::unknown);
  EXPECT_EQ(virtio(VirtioNetHeader::kDataValid).l4_checksum(), ChecksumStatus::good);
  EXPECT_EQ(virtio(VirtioNetHeader::kDataValid).ip_checksum(), ChecksumStatus::unknown);
  EXPECT_EQ(virtio(VirtioNetHeader::kDataValid).rss_hash(), std::nullopt);
  EXPECT_EQ(virtio(VirtioNetHeader::kNeedsChecksum).l4_checksum(), ChecksumStatus::unknown) << "there is no request";
  mbuf_->set_tx_offload({.flags = TxOffload::udp_checksum});
  EXPECT_EQ(virtio(VirtioNetHeader::kNeedsChecksum).l4_checksum(), ChecksumStatus::partial);
  EXPECT_EQ(VirtioNetHeader::of(*mbuf_).checksum_offset, 0xFFFF);
}

}  // namespace
}  // namespace pollux
