// SPDX-License-Identifier: BSD-3-Clause
// The virtio-net driver on QEMU's device: each ring format and option alone.
#include <gmock/gmock.h>

#include <cstring>
#include <string>
#include <vector>

#include "backends/qtest/device.hpp"
#include "qemu/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::QemuFixture;
using test::QemuPort;

/// Two ports of virtio devices with these properties, connected by a hub.
struct VirtioPair {
  explicit VirtioPair(const std::string& properties = {}, QemuFixture* with = nullptr)
      : fixture(with != nullptr ? *with : own),
        left(fixture.start(uri("0", properties))),
        right(fixture.start(uri("1", properties))) {}

  static std::string uri(const std::string& number, const std::string& properties) {
    return number + "?card=virtio-net" + (properties.empty() ? "" : ",properties=" + properties);
  }

  QemuFixture own;
  QemuFixture& fixture;
  QemuPort left;
  QemuPort right;
};

/// Frames of many lengths pass in both directions, several times around the ring.
void exchange_both(VirtioPair& pair, std::uint32_t frames = 2000) {
  pair.fixture.exchange(pair.left.port, pair.right.port, frames);
  pair.fixture.exchange(pair.right.port, pair.left.port, frames);
  ASSERT_TRUE(pair.left.port.service());
  ASSERT_TRUE(pair.right.port.service());
  EXPECT_EQ(pair.left.port.stats().tx_packets, frames);
  EXPECT_EQ(pair.left.port.stats().rx_packets, frames);
  EXPECT_EQ(pair.right.port.stats().rx_burst_packets, frames);
  EXPECT_EQ(pair.right.port.stats().rx_dropped, 0u);
}

TEST(Virtio, OpensAndReadsTheDevicesConfiguration) {
  QemuFixture fixture;
  const QemuPort opened = fixture.open("0?card=virtio-net,properties=host_mtu:3000+speed:2500+duplex:full");
  const PortInfo& info = opened.port.info();
  EXPECT_EQ(info.driver, "virtio_net");
  EXPECT_EQ(opened.port.mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0}));
  EXPECT_EQ(info.limits.max_mtu, 3000u);
  EXPECT_EQ(info.limits.max_ring, 256u);
}

TEST(Virtio, ReportsTheLinksSpeed) {
  VirtioPair pair("speed:2500+duplex:full");
  EXPECT_EQ(pair.left.port.link().speed, 2500u);
}

TEST(Virtio, ALegacyDeviceIsRefusedByName) {
  QemuFixture fixture;
  auto device = qtest::open_qtest(fixture.context, "0?card=virtio-net,properties=disable-modern:on");
  ASSERT_TRUE(device) << device.error().message();
  const auto port = open_unconfigured(fixture.context, *std::move(device));
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::not_supported);
  EXPECT_THAT(port.error().what, testing::HasSubstr("a legacy virtio device"));
}

TEST(Virtio, FramesPassOnASplitRing) {
  VirtioPair pair;
  EXPECT_TRUE(pair.left.port.link().up);
  exchange_both(pair, 10000);
}

TEST(Virtio, FramesPassWithEachOption) {
  for (const char* properties :
       {"packed:on", "mrg_rxbuf:off", "packed:on+mrg_rxbuf:off", "event_idx:off", "packed:on+event_idx:off",
        "indirect_desc:off", "packed:on+indirect_desc:off", "in_order:on", "packed:on+in_order:on", "ctrl_vq:off",
        "disable-legacy:on", "page-per-vq:on", "vectors:0", "status:off", "iommu_platform:on+disable-legacy:on",
        "queue_reset:off"}) {
    SCOPED_TRACE(properties);
    VirtioPair pair(properties);
    exchange_both(pair);
  }
}

TEST(Virtio, FiltersVlansAndAddresses) {
  constexpr std::uint8_t kVlan = 42;
  QemuFixture fixture;
  QemuPort sender = fixture.start(VirtioPair::uri("0", {}));
  QemuPort receiver = fixture.open(VirtioPair::uri("1", {}));
  ASSERT_TRUE(test::configure_port(receiver.port, fixture.config));
  ASSERT_TRUE(receiver.port.change(test::with_vlan(kVlan)));
  ASSERT_TRUE(receiver.port.start());
  const MacAddress further{2, 0, 0, 0, 0, 0x77};
  ASSERT_TRUE(receiver.port.change([&](Settings& settings) { settings.unicast = std::vector{further}; }));
  const auto tagged = [](std::uint8_t vlan) {
    test::Frame frame = test::numbered_frame(vlan, 60);
    frame[12] = std::byte{0x81};
    frame[13] = std::byte{0};
    frame[14] = std::byte{0};
    frame[15] = std::byte{vlan};
    return frame;
  };
  const auto to = [](std::uint8_t last) {
    test::Frame frame = test::numbered_frame(last, 60);
    const MacAddress mac{2, 0, 0, 0, 0, last};
    std::memcpy(frame.data(), mac.data(), mac.size());
    return frame;
  };
  const std::vector<test::Frame> frames{tagged(kVlan + 1), to(0x78), tagged(kVlan), to(0x77),
                                        test::numbered_frame(1, 60)};
  ASSERT_EQ(fixture.send(sender.port, frames), frames.size());
  EXPECT_THAT(fixture.receive(receiver.port, 3), testing::ElementsAre(frames[2], frames[3], frames[4]));
  EXPECT_EQ(receiver.port.stats().rx_dropped, 0u) << "the device has filtered";
}

TEST(Virtio, AQueueIsRestartedWithAndWithoutRingReset) {
  for (const char* properties : {"queue_reset:on", "queue_reset:off", "packed:on+queue_reset:off"}) {
    SCOPED_TRACE(properties);
    VirtioPair pair(properties);
    pair.fixture.exchange(pair.left.port, pair.right.port, 100);
    ASSERT_TRUE(test::restart_rx(pair.right.port, 0, {.pool = pair.fixture.pool, .ring = 128}));
    ASSERT_TRUE(test::restart_tx(pair.left.port, 0, {.ring = 128}));
    pair.fixture.exchange(pair.left.port, pair.right.port, 64);
    pair.fixture.exchange(pair.right.port, pair.left.port, 64);
  }
}

// QEMU sends what waited for the receiver, and leaves the packed ring's event at an entry that it has used.
TEST(Virtio, ASenderThatWaitedForItsReceiverGoesOn) {
  for (const char* properties : {"event_idx:on", "packed:on", "packed:on+event_idx:off"}) {
    SCOPED_TRACE(properties);
    VirtioPair pair(properties);
    const std::uint32_t waiting = 20;  // in the sender's ring, when the receiver has no more buffers
    const std::vector<test::Frame> frames(pair.right.port.info().limits.max_ring + waiting,
                                          test::numbered_frame(0, 60));
    ASSERT_EQ(pair.fixture.send(pair.left.port, frames), frames.size());
    ASSERT_TRUE(test::eventually([&] {
      pair.left.port.tx(0).tx_done_cleanup();
      return pair.left.port.tx(0).in_flight() < waiting;
    }));
    ASSERT_EQ(pair.fixture.receive(pair.right.port, frames.size()).size(), frames.size());
    pair.fixture.exchange(pair.left.port, pair.right.port, 100);
  }
}

}  // namespace
}  // namespace pollux
