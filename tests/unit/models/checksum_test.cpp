// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "support/hex.hpp"
#include "support/routed_frames.hpp"
#include "unit/models/card_fixture.hpp"

namespace pollux::models::igb {
namespace {

constexpr std::uint64_t kIpGood = intel::rx::kIpChecked;
constexpr std::uint64_t kIpBad = intel::rx::kIpChecked | intel::rx::kIpError;
constexpr std::uint64_t kTcpGood = intel::rx::kL4Checked;
constexpr std::uint64_t kTcpBad = intel::rx::kL4Checked | intel::rx::kL4Error;
constexpr std::uint64_t kUdpGood = kTcpGood | intel::rx::kUdpChecked;
constexpr std::uint64_t kUdpBad = kTcpBad | intel::rx::kUdpChecked;

using Frame = std::vector<std::byte>;

// Made by scapy 2.5.0 with "x" * n as payload, so the checksums are independent of this library.
const Frame kIpv4Udp = test::bytes_of_hex<std::byte>(
    "02000082576002000000000108004500003d123400004011547a0a0000010a00000203e807d00029e059787878787878"
    "787878787878787878787878787878787878787878787878787878");
const Frame kIpv4Tcp = test::bytes_of_hex<std::byte>(
    "02000082576002000000000108004500003c00070000400666b30a0000010a00000203e807d000000063000000005010"
    "2000baee00007878787878787878787878787878787878787878");
const Frame kIpv6Udp = test::bytes_of_hex<std::byte>(
    "02000082576002000000000186dd60000000001d1140fd000000000000000000000000000001fd000000000000000000"
    "00000000000203e807d0001dcd42787878787878787878787878787878787878787878");
const Frame kIpv6Tcp = test::bytes_of_hex<std::byte>(
    "02000082576002000000000186dd60000000001c0640fd000000000000000000000000000001fd000000000000000000"
    "00000000000203e807d0000000000000000050022000a83c00007878787878787878");
const Frame kIpv4Sctp = test::bytes_of_hex<std::byte>(
    "02000082576002000000000108004500003c000100004084663b0a0000010a00000203e807d000000005f5ff58330000"
    "001c000000000000000000000000787878787878787878787878");

constexpr std::size_t kIpAt = 14;
constexpr std::size_t kIpv4L4At = 34;

std::uint64_t checksum_bits(const Frame& frame,
                            hw::RXCSUM::Value control = hw::RXCSUM::IPOFL | hw::RXCSUM::TUOFL | hw::RXCSUM::CRCOFL,
                            hw::RFCTL::Value filter = {}) {
  return checksum_status(frame, parse(frame, {.inner = 0x8100}), control, filter);
}

Frame changed(Frame frame, std::size_t at) {
  frame[at] ^= std::byte{0x10};
  return frame;
}

TEST(CardChecksums, AreValidInCorrectFrames) {
  EXPECT_EQ(checksum_bits(kIpv4Udp), kIpGood | kUdpGood);
  EXPECT_EQ(checksum_bits(kIpv4Tcp), kIpGood | kTcpGood);
  EXPECT_EQ(checksum_bits(kIpv6Udp), kUdpGood);
  EXPECT_EQ(checksum_bits(kIpv6Tcp), kTcpGood);
  EXPECT_EQ(checksum_bits(kIpv4Sctp), kIpGood | kTcpGood);
}

TEST(CardChecksums, AreInvalidWithAnyWrongBit) {
  for (std::size_t at = kIpv4L4At; at < kIpv4Tcp.size(); ++at) {
    if (at == kIpv4L4At + 12) continue;  // the header's length
    EXPECT_EQ(checksum_bits(changed(kIpv4Tcp, at)), kIpGood | kTcpBad) << at;
  }
  EXPECT_EQ(checksum_bits(changed(kIpv4Udp, kIpv4Udp.size() - 1)), kIpGood | kUdpBad);
  EXPECT_EQ(checksum_bits(changed(kIpv6Udp, kIpAt + 20)), kUdpBad) << "the sum includes the addresses";
  EXPECT_EQ(checksum_bits(changed(kIpv4Sctp, kIpv4Sctp.size() - 1)), kIpGood | kTcpBad);
  EXPECT_EQ(checksum_bits(changed(kIpv4Tcp, kIpAt + 8)), kIpBad | kTcpGood)
      << "only the header's sum includes the time to live";
}

TEST(CardChecksums, AreNotCheckedUnlessEnabled) {
  EXPECT_EQ(checksum_bits(kIpv4Udp, {}), 0u);
  EXPECT_EQ(checksum_bits(kIpv4Udp, hw::RXCSUM::IPOFL), kIpGood);
  EXPECT_EQ(checksum_bits(kIpv4Udp, hw::RXCSUM::TUOFL), kUdpGood);
  EXPECT_EQ(checksum_bits(kIpv4Sctp, hw::RXCSUM::TUOFL), 0u);
  EXPECT_EQ(checksum_bits(kIpv6Udp, hw::RXCSUM::TUOFL, hw::RFCTL::IPV6_XSUM_DIS), 0u);
}

TEST(CardChecksums, AreNotCheckedIfAbsent) {
  Frame none = kIpv4Udp;
  none[kIpv4L4At + 6] = none[kIpv4L4At + 7] = std::byte{0};
  EXPECT_EQ(checksum_bits(none), kIpGood);
  Frame fragment = kIpv4Udp;
  fragment[kIpAt + 6] = std::byte{0x20};  // more fragments
  EXPECT_EQ(checksum_bits(fragment), kIpBad) << "the header of a fragment is checked";
  EXPECT_EQ(checksum_bits(CardFixture::frame(60)), 0u);
}

TEST(CardChecksums, AreNeverReadBeyondTheFrame) {
  for (const Frame* whole : {&kIpv4Udp, &kIpv4Tcp, &kIpv6Udp, &kIpv6Tcp, &kIpv4Sctp}) {
    for (std::size_t size = 0; size < whole->size(); ++size) {
      const Frame part(whole->begin(), whole->begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_EQ(checksum_bits(part) & (intel::rx::kL4Checked | intel::rx::kL4Error), 0u) << size;
    }
  }
  Frame liar = kIpv4Udp;
  liar[kIpAt + 2] = std::byte{0xFF};
  EXPECT_EQ(checksum_bits(liar) & intel::rx::kL4Checked, 0u);
  liar[kIpAt + 2] = liar[kIpAt + 3] = std::byte{0};
  EXPECT_EQ(checksum_bits(liar) & intel::rx::kL4Checked, 0u);
}

TEST(CardChecksums, UseTheIpLengthWithoutPadding) {
  Frame padded = kIpv4Udp;
  padded.resize(padded.size() + 7, std::byte{0xAB});
  EXPECT_EQ(checksum_bits(padded), kIpGood | kUdpGood);
}

TEST(CardChecksums, AreNotCheckedBehindARoute) {
  for (const test::RoutedFrame& frame : test::routed_frames()) {
    Frame bytes(frame.bytes.size());
    std::memcpy(bytes.data(), frame.bytes.data(), bytes.size());
    const std::uint64_t good = frame.is_tcp ? kTcpGood : kUdpGood;
    EXPECT_EQ(checksum_bits(bytes, hw::RXCSUM::TUOFL), frame.own_addresses ? good : 0u) << frame.name;
    if (!frame.has_surplus()) continue;
    EXPECT_EQ(checksum_bits(changed(bytes, bytes.size() - 1), hw::RXCSUM::TUOFL), good) << "not a part of the datagram";
    EXPECT_EQ(checksum_bits(changed(bytes, bytes.size() - 8), hw::RXCSUM::TUOFL), kUdpBad);
    const std::size_t length = frame.l4() + 5;
    for (const std::uint8_t impossible : {std::uint8_t{7}, std::uint8_t{200}}) {
      bytes[length] = std::byte{impossible};
      EXPECT_EQ(checksum_bits(bytes, hw::RXCSUM::TUOFL), 0u) << int{impossible};
    }
  }
}

TEST(CardChecksums, AreReportedInTheWriteBack) {
  CardFixture fixture;
  fixture.link_up();
  fixture.start_rx();
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().with(hw::RCTL::UPE | hw::RCTL::MPE));
  fixture.card.receive(changed(kIpv4Udp, kIpv4Udp.size() - 1));
  const intel::Descriptor& slot = fixture.memory.descriptor(CardFixture::kRxRing, 0);
  EXPECT_EQ(slot.hi & 0xFFFFFFFF, intel::rx::kDone | intel::rx::kEndOfPacket | kIpGood | kUdpBad);
  EXPECT_EQ(slot.lo >> intel::rx::kIpIdShift & 0xFFFF, 0x1234u) << "the IP packet's number without RXCSUM.PCSD";
  fixture.write<hw::RXCSUM>(fixture.read<hw::RXCSUM>().with(hw::RXCSUM::PCSD));
  fixture.card.receive(kIpv4Udp);
  EXPECT_EQ(fixture.memory.descriptor(CardFixture::kRxRing, 1).lo >> intel::rx::kIpIdShift, 0u);
}

/// As the standards have it.
std::uint32_t crc_by_bits(std::span<const std::byte> bytes, std::uint32_t polynomial) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? polynomial : 0U);
  }
  return ~crc;
}

TEST(CardChecksums, CrcsAreRightForEachLength) {
  const Frame frame = CardFixture::frame(60);
  for (std::size_t size = 0; size <= frame.size(); ++size) {
    const auto part = std::span(frame).last(size);
    EXPECT_EQ(frame_check_sequence(part), crc_by_bits(part, 0xEDB88320)) << size;
    EXPECT_EQ(crc32c(part), crc_by_bits(part, 0x82F63B78)) << size;
  }
}

// Others wait for the server of a card whose driver sends long frames with CRCs all the time.
TEST(CardChecksums, CrcsAreCountedAsWork) {
  CardFixture fixture;
  fixture.link_up();
  fixture.start_rx();
  fixture.start_tx();
  const auto work_of = [&](const auto& call) {
    const std::int64_t before = fixture.budget.left();
    call();
    return before - fixture.budget.left();
  };
  WorkBudget crc;
  const auto units_of = [&](std::size_t bytes) {
    crc.start(0);
    crc.charge(kCrcWork * bytes);
    return -crc.left();
  };
  const auto receive = [&](const Frame& frame) { return work_of([&] { fixture.card.receive(frame); }); };
  const Frame plain = CardFixture::frame(1500);
  EXPECT_EQ(receive(plain), 0) << "memory and wire are charged by the platform";
  EXPECT_EQ(receive(kIpv4Sctp), 0);
  fixture.write<hw::RXCSUM>(fixture.read<hw::RXCSUM>().with(hw::RXCSUM::CRCOFL));
  EXPECT_EQ(receive(kIpv4Sctp), units_of(kIpv4Sctp.size()));
  fixture.write<hw::RCTL>(fixture.read<hw::RCTL>().without(hw::RCTL::SECRC));
  EXPECT_EQ(receive(plain), units_of(plain.size()));

  std::memcpy(fixture.memory.at(CardFixture::buffer(0)), plain.data(), plain.size());
  const auto send = [&](std::uint32_t slot, std::uint64_t without) {
    intel::Descriptor& data = fixture.memory.descriptor(CardFixture::kTxRing, slot);
    data = intel::tx::data(CardFixture::buffer(0), 1500, 1500, intel::tx::kEndOfPacket);
    data.hi &= ~without;
    fixture.write<hw::TDT>(0, hw::TDT::TAIL(slot + 1));
    return WorkBudget::kPerAccess - fixture.budget.left();
  };
  EXPECT_EQ(send(0, 0), 0);
  EXPECT_EQ(send(1, intel::tx::kInsertCrc), units_of(1500 - hw::kCrcBytes))
      << "its own frame check sequence is checked";
}

TEST(CardChecksums, HaveTheCheckValueOfCrc32c) {
  const std::string_view text = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(text))), 0xE3069283u);
}

}  // namespace
}  // namespace pollux::models::igb
