// SPDX-License-Identifier: BSD-3-Clause
// GRO: which frames keep their order.
#include <functional>
#include <utility>

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

}  // namespace
}  // namespace pollux::test
