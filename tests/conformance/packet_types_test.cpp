// SPDX-License-Identifier: BSD-3-Clause
// The packet types that a port may report are data, and the port reports no others.
#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "conformance/fixture.hpp"

namespace pollux::conformance {
namespace {

class PacketTypes : public Conformance {
 protected:
  [[nodiscard]] static bool lists(const Port& port, PacketType type) {
    const auto& types = port.info().packet_types;
    return std::find(types.begin(), types.end(), type) != types.end();
  }
  static constexpr std::uint32_t kLayer4Bits = PacketType::tcp | PacketType::udp | PacketType::sctp;

  /// A frame with the headers of `type`, of 100 bytes.
  [[nodiscard]] static Bytes frame_of(PacketType type) {
    Bytes frame = make_frame(100, type.bits);
    const auto put = [&frame](std::size_t at, const Bytes& bytes) {
      std::copy(bytes.begin(), bytes.end(), frame.begin() + static_cast<std::ptrdiff_t>(at));
    };
    std::uint8_t protocol = 253;  // for experiments (RFC 3692)
    if (type.has(PacketType::tcp)) protocol = 6;
    if (type.has(PacketType::udp)) protocol = 17;
    if (type.has(PacketType::sctp)) protocol = 132;
    std::size_t layer4 = 14;
    if (type.has(PacketType::ipv4)) {
      const bool options = type.has(PacketType::ipv4_options);
      put(12, {0x08, 0x00, static_cast<std::uint8_t>(options ? 0x46 : 0x45),
               0,    0,    86,
               0,    1,    0,
               0,    64,   protocol,
               0,    0,    10,
               0,    0,    1,
               10,   0,    0,
               2});
      if (options) put(34, {1, 1, 1, 0});
      layer4 += options ? 24 : 20;
    } else if (type.has(PacketType::ipv6)) {
      const bool extension = type.has(PacketType::ipv6_extensions);
      put(12, {0x86, 0xDD, 0x60, 0, 0, 0, 0, 46, static_cast<std::uint8_t>(extension ? 0 : protocol), 64});
      for (std::size_t i = 0; i < 32; ++i) put(22 + i, {static_cast<std::uint8_t>(i % 16 == 0 ? 0xFD : i % 16 == 15)});
      if (extension) put(54, {protocol, 0, 1, 4, 0, 0, 0, 0});  // hop-by-hop, padded
      layer4 += extension ? 48 : 40;
    }
    if (type.has(PacketType::tcp)) put(layer4, {0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0, 0, 0, 0, 0, 0});
    if (type.has(PacketType::udp)) put(layer4, {0, 1, 0, 2, 0, static_cast<std::uint8_t>(100 - layer4), 0, 0});
    return frame;
  }
};

CONFORMANCE_TEST(PacketTypes, AreListedOnce) {
  for (Port* port : {&left(), &right()}) {
    const auto& types = port->info().packet_types;
    EXPECT_EQ(types.empty(), !port->offloads().reports(RxOffload::packet_type));
    for (const PacketType& type : types) {
      EXPECT_EQ(std::count(types.begin(), types.end(), type), 1) << type.bits;
      EXPECT_NE(type.bits, 0U) << "every port may report no type";
      EXPECT_EQ(type.bits >> 7, 0U);
    }
  }
}

CONFORMANCE_TEST_WHERE(PacketTypes, OfReceivedFramesAreListed,
                       traits.delivers && !traits.by_file && !traits.needs_relay) {
  constexpr std::array<std::uint32_t, 5> kLayer3{0, PacketType::ipv4, PacketType::ipv4 | PacketType::ipv4_options,
                                                 PacketType::ipv6, PacketType::ipv6 | PacketType::ipv6_extensions};
  constexpr std::array<std::uint32_t, 4> kLayer4{0, PacketType::tcp, PacketType::udp, PacketType::sctp};
  start_both();
  for (const std::uint32_t layer3 : kLayer3) {
    for (const std::uint32_t layer4 : kLayer4) {
      if (layer3 == 0 && layer4 != 0) continue;
      const PacketType type{layer3 | layer4};
      const Bytes sent = frame_of(type);
      send(left(), {sent});
      bool arrived = false;
      for (int i = 0; i < 2000 && !arrived; ++i) {
        Burst<32> burst;
        right().rx(0).rx_burst(burst);
        for (const Mbuf& mbuf : burst) {
          if (content(mbuf) != sent) continue;
          arrived = true;
          const PacketType reported = RxMetadata(mbuf).packet_type();
          EXPECT_TRUE(reported.bits == 0 || lists(right(), reported)) << reported.bits;
          if (right().info().packet_types.empty()) continue;
          // [I-PTYPEEXT] Options and extensions are reported in two ways.
          constexpr std::uint32_t kOptions = PacketType::ipv4_options | PacketType::ipv6_extensions;
          if ((type.bits & kOptions) == 0) {
            EXPECT_EQ(reported, type);
          } else {
            EXPECT_EQ(reported.bits & kLayer4Bits, type.bits & kLayer4Bits);
            EXPECT_NE(reported.bits & type.bits & ~kLayer4Bits, 0U);
          }
        }
        burst = {};
        if (!arrived) pass_time();
      }
      EXPECT_TRUE(arrived) << type.bits;
    }
  }
}

}  // namespace
}  // namespace pollux::conformance
