// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "hw/virtio/features.hpp"
#include "models/virtio/net/fault.hpp"
#include "pollux/base/error.hpp"

namespace pollux::models::virtio {

namespace hw = pollux::hw::virtio;

using MacAddress = std::array<std::uint8_t, 6>;

/// All that the device can do. docs/virtio/device.md says why it lacks the others.
inline constexpr hw::Features kAllFeatures =
    hw::feature::kCsum | hw::feature::kGuestCsum | hw::feature::kCtrlGuestOffloads | hw::feature::kMtu |
    hw::feature::kMac | hw::feature::kGuestTso4 | hw::feature::kGuestTso6 | hw::feature::kGuestEcn |
    hw::feature::kHostTso4 | hw::feature::kHostTso6 | hw::feature::kHostEcn | hw::feature::kMrgRxbuf |
    hw::feature::kStatus | hw::feature::kCtrlVq | hw::feature::kCtrlRx | hw::feature::kCtrlVlan |
    hw::feature::kCtrlRxExtra | hw::feature::kGuestAnnounce | hw::feature::kMq | hw::feature::kCtrlMacAddr |
    hw::feature::kVqNotfCoal | hw::feature::kNotfCoal | hw::feature::kGuestUso4 | hw::feature::kGuestUso6 |
    hw::feature::kHostUso | hw::feature::kHashReport | hw::feature::kGuestHdrlen | hw::feature::kRss |
    hw::feature::kSpeedDuplex | hw::feature::kIndirectDesc | hw::feature::kEventIdx | hw::feature::kVersion1 |
    hw::feature::kAccessPlatform | hw::feature::kRingPacked | hw::feature::kInOrder | hw::feature::kOrderPlatform |
    hw::feature::kNotificationData | hw::feature::kRingReset;

struct CardOptions {
  MacAddress mac{0x02, 0x00, 0x00, 0x1A, 0xF4, 0x00};
  hw::Features features = kAllFeatures;  ///< what it offers; a bit that lacks what it needs is left out
  std::uint16_t pairs = 4;               ///< queue pairs, 1 to kMaxPairs
  std::uint16_t queue_size = 256;        ///< the most descriptors of a queue, a power of two
  std::uint16_t mtu = 9216;              ///< 68 or more
  std::uint32_t speed = 1000;            ///< in Mb/s
  bool plain_wire = false;               ///< completes frames for another such device, too
  Faults faults;

  static constexpr std::uint16_t kMaxPairs = 16;
  static constexpr std::uint16_t kMaxQueueSize = 4096;
  static constexpr std::uint16_t kMinMtu = 68;

  /// Parses options that are separated by "+":
  ///   no-NAME            does not offer the feature of that name, such as no-ring-packed
  ///   plain-wire         completes checksums and segments also for another such device
  ///   pairs=4  queue-size=256  mtu=9216  speed=1000
  ///   fault=KIND@AT      lies once, at that occurrence from 0; only of receive or transmit queues with rx- or tx-
  ///                      before KIND: used-id, used-twice, used-never, used-length, index-jump, no-buffers,
  ///                      many-buffers, config-changes, no-answer, needs-reset, no-interrupt
  /// Error invalid_argument, which names the invalid part and the valid values.
  [[nodiscard]] static Result<CardOptions> parse(std::string_view text);
};

}  // namespace pollux::models::virtio
