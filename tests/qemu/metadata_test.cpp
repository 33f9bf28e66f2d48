// SPDX-License-Identifier: BSD-3-Clause
// Receive metadata of frames from QEMU's card, for each burst mode.
#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "pollux/net/packet/classify.hpp"
#include "qemu/fixture.hpp"
#include "support/burst_modes.hpp"
#include "support/flows.hpp"
#include "support/various_frames.hpp"

namespace pollux {
namespace {

using test::KnownFrame;
using test::QemuFixture;
using test::QemuPort;

std::string name_of(const Mbuf& mbuf) {
  for (const test::NamedFrame& frame : test::various_frames()) {
    if (std::equal(frame.bytes.begin(), frame.bytes.end(), mbuf.bytes().begin(), mbuf.bytes().end())) return frame.name;
  }
  return "a frame that was not sent";
}

// [I-PTYPEEXT] QEMU never reports IPv4 options. For IPv6 with extension headers it sets ipv6_extensions without ipv6.
std::uint32_t as_qemu_says(PacketType type) {
  if (type.has(PacketType::ipv4)) return type.bits & ~PacketType::ipv4_options;
  return type.has(PacketType::ipv6_extensions) ? type.bits & ~PacketType::ipv6 : type.bits;
}

void expect_software_agrees(const packet::ToeplitzHash& hash, const Mbuf& mbuf) {
  const std::string name = name_of(mbuf);
  const packet::Layout layout = packet::parse(mbuf);
  const RxMetadata card(mbuf);
  EXPECT_EQ(as_qemu_says(layout.type), card.packet_type().bits) << name;
  EXPECT_EQ(packet::rss_hash(hash, mbuf, layout), card.rss_hash()) << name;
  EXPECT_EQ(packet::ip_checksum(mbuf, layout), card.ip_checksum()) << name;
  if (layout.type.has(PacketType::sctp)) return;  // unreliable for the frame of 60 bytes (E-SCTP60)
  EXPECT_EQ(packet::l4_checksum(mbuf, layout), card.l4_checksum()) << name;
}

class Metadata : public testing::TestWithParam<BurstMode> {};

/// Finds each of `frames` among the frames that arrive on `port`, and compares its metadata.
void expect_all(QemuFixture& fixture, Port& port, std::vector<KnownFrame> frames) {
  DropCounter seen("seen");
  EXPECT_TRUE(test::eventually([&] {
    for (std::uint16_t queue = 0; queue < fixture.config.rx.size(); ++queue) {
      Burst<64> burst;
      port.rx(queue).rx_burst(burst);
      for (const Mbuf& mbuf : burst) {
        const auto found = std::find_if(frames.begin(), frames.end(),
                                        [&](const KnownFrame& frame) { return test::holds(mbuf, frame); });
        EXPECT_NE(found, frames.end()) << "a frame that was not sent";
        if (found == frames.end()) continue;
        EXPECT_EQ(queue, found->hash.value_or(0) % 128 % fixture.config.rx.size()) << found->name;
        test::expect_metadata(mbuf, *found);
        frames.erase(found);
      }
      burst.drop(seen, fixture.cache);
    }
    return frames.empty();
  })) << frames.size()
      << " frames did not arrive, " << (frames.empty() ? "" : frames[0].name) << " among them";
}

TEST_P(Metadata, IsWhatTheCardReported) {
  if (!processor_has(GetParam())) GTEST_SKIP() << "this processor has no " << name(GetParam());
  QemuFixture fixture;
  fixture.config.burst_mode = GetParam();
  QemuPort left = fixture.start("0");
  fixture.config.rx.resize(4, fixture.config.rx[0]);
  QemuPort right = fixture.start("1");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  std::vector<KnownFrame> frames = test::known_frames();
  const std::vector<KnownFrame> sctp = test::known_sctp_frames();  // QEMU verifies SCTP checksums by default
  frames.insert(frames.end(), sctp.begin(), sctp.end());
  std::vector<test::Frame> bytes;
  for (const KnownFrame& frame : frames) bytes.push_back(frame.bytes);
  ASSERT_EQ(fixture.send(left.port, bytes), bytes.size());
  expect_all(fixture, right.port, frames);
}

// Compares the software parser's result with the card's metadata, for valid frames of all kinds.
TEST(SoftwareView, IsTheCards) {
  QemuFixture fixture;
  QemuPort left = fixture.start("0");
  fixture.config.rx.resize(4, fixture.config.rx[0]);
  QemuPort right = fixture.start("1");
  ASSERT_TRUE(QemuFixture::link_rises(left.port));
  ASSERT_TRUE(QemuFixture::link_rises(right.port));
  std::vector<test::Frame> bytes;
  for (const test::NamedFrame& frame : test::various_frames()) {
    if (frame.name.starts_with("odd ")) continue;  // QEMU does not send all of them
    const auto octets = std::as_bytes(std::span(frame.bytes));
    bytes.emplace_back(octets.begin(), octets.end());
  }
  ASSERT_EQ(fixture.send(left.port, bytes), bytes.size());
  const packet::ToeplitzHash hash;
  DropCounter seen("seen");
  EXPECT_TRUE(test::eventually([&] {
    for (std::uint16_t queue = 0; queue < fixture.config.rx.size(); ++queue) {
      Burst<64> burst;
      right.port.rx(queue).rx_burst(burst);
      for (const Mbuf& mbuf : burst) expect_software_agrees(hash, mbuf);
      burst.drop(seen, fixture.cache);
    }
    return seen.value() == bytes.size();
  })) << seen.value()
      << " of " << bytes.size() << " frames arrived";
}

INSTANTIATE_TEST_SUITE_P(All, Metadata, testing::ValuesIn(test::kBurstModes),
                         [](const auto& mode) { return std::string(name(mode.param)); });

}  // namespace
}  // namespace pollux
