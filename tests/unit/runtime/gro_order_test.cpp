// SPDX-License-Identifier: BSD-3-Clause
// GRO: which frames keep their order.
#include <array>
#include <functional>
#include <utility>

#include "pollux/net/packet/ip.hpp"
#include "pollux/runtime/gro.hpp"
#include "tcp_frames.hpp"

namespace pollux::test {
namespace {

using GroOrder = MergeFixture;

// tests/interop compares the order with the kernel's.
TEST_F(GroOrder, PaddedTcpKeepsItsPlaceAndOthersPassAsInLinux) {
  const auto pad = [](PacketBytes bytes) {
    bytes.resize(bytes.size() + 4);
    return bytes;
  };
  // Bytes of the IP packet behind the datagram (RFC 9868).
  const auto shorten = [](PacketBytes bytes) {
    packet::store16(&bytes[38], static_cast<std::uint16_t>(packet::load16(&bytes[38]) - 4));
    return bytes;
  };
  const auto tunnel = [](PacketBytes bytes) { return in_vxlan({}, bytes, true); };
  struct Case {
    const char* what;
    bool udp;
    bool passes;
    std::function<PacketBytes(PacketBytes)> change;
    std::function<PacketBytes(PacketBytes)> around;
  };
  const auto nothing = [](PacketBytes bytes) { return bytes; };
  for (const Case& one :
       {Case{"TCP with padding", false, false, pad, nothing}, Case{"UDP with padding", true, true, pad, nothing},
        Case{"UDP with a surplus", true, true, shorten, nothing},
        Case{"TCP in VXLAN with padding", false, true, pad, tunnel}}) {
    Burst<64> burst;
    Gro gro(GroOptions{.udp = true, .vxlan_port = GroOptions::kVxlanPort});
    Packet packet{.udp = one.udp, .payload = PacketBytes(100)};
    std::vector<std::size_t> sizes;
    for (unsigned i = 0; i < 3; ++i) {
      // Each is shorter than the one before, so that the length tells which it is.
      packet.payload.resize(100 - i);
      const PacketBytes bytes = one.around(packet.bytes());
      put(burst, i == 1 ? one.change(bytes) : bytes);
      sizes.push_back(burst[i].packet_length());
      ++packet.id;
      packet.sequence += 100 - i;
    }
    gro.merge(burst);
    if (one.passes) std::swap(sizes[0], sizes[1]);
    ASSERT_EQ(burst.size(), 3U) << one.what;
    for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(burst[i].packet_length(), sizes[i]) << one.what;
    burst.drop(seen_, cache_);
  }
}

// Linux reads no more of extension headers than their lengths, so such frames wait for others. A merged one could not
// be segmented again.
TEST_F(GroOrder, FramesWithExtensionHeadersThatAreNotUnderstoodWaitAndStayAlone) {
  const std::array<std::uint8_t, 8> beyond_its_end{packet::ip_protocol::kTcp, 0, 1, 200};
  Burst<64> burst;
  Gro gro;
  Packet packet{.ipv6 = true, .payload = PacketBytes(100)};
  for (int i = 0; i < 2; ++i) {
    PacketBytes bytes = packet.bytes();
    bytes.insert(bytes.begin() + 54, beyond_its_end.begin(), beyond_its_end.end());
    bytes[20] = packet::ip_protocol::kDestinationOptions;
    packet::store16(&bytes[18], 128);
    put(burst, bytes);
    packet.sequence += 100;
  }
  PacketBytes wrong = packet.bytes();
  wrong.back() ^= 1;
  put(burst, wrong);
  gro.merge(burst);
  ASSERT_EQ(burst.size(), 3U);
  EXPECT_EQ(burst[0].packet_length(), 182U);
  EXPECT_EQ(burst[1].packet_length(), 174U) << "a wrong checksum does not wait";
  EXPECT_EQ(burst[2].packet_length(), 182U);
  burst.drop(seen_, cache_);
}

}  // namespace
}  // namespace pollux::test
