// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// Feature bits. VIRTIO 1.2 and 1.3, 5.1.3 "Feature bits" and 6 "Reserved Feature Bits"; Linux,
/// include/uapi/linux/virtio_net.h and virtio_config.h.
namespace pollux::hw::virtio {

/// A set of feature bits.
using Features = std::uint64_t;

namespace feature {

[[nodiscard]] constexpr Features bit(unsigned number) noexcept { return Features{1} << number; }

// Of network devices. GUEST_: what the driver can receive; HOST_: what the device can.
inline constexpr Features kCsum = bit(0);
inline constexpr Features kGuestCsum = bit(1);
inline constexpr Features kCtrlGuestOffloads = bit(2);
inline constexpr Features kMtu = bit(3);
inline constexpr Features kMac = bit(5);
inline constexpr Features kGuestTso4 = bit(7);
inline constexpr Features kGuestTso6 = bit(8);
inline constexpr Features kGuestEcn = bit(9);
inline constexpr Features kGuestUfo = bit(10);
inline constexpr Features kHostTso4 = bit(11);
inline constexpr Features kHostTso6 = bit(12);
inline constexpr Features kHostEcn = bit(13);
inline constexpr Features kHostUfo = bit(14);
inline constexpr Features kMrgRxbuf = bit(15);
inline constexpr Features kStatus = bit(16);
inline constexpr Features kCtrlVq = bit(17);
inline constexpr Features kCtrlRx = bit(18);
inline constexpr Features kCtrlVlan = bit(19);
inline constexpr Features kCtrlRxExtra = bit(20);
inline constexpr Features kGuestAnnounce = bit(21);
inline constexpr Features kMq = bit(22);
inline constexpr Features kCtrlMacAddr = bit(23);
inline constexpr Features kHashTunnel = bit(51);  // 1.3
inline constexpr Features kVqNotfCoal = bit(52);  // 1.3
inline constexpr Features kNotfCoal = bit(53);    // 1.3
inline constexpr Features kGuestUso4 = bit(54);   // 1.3
inline constexpr Features kGuestUso6 = bit(55);   // 1.3
inline constexpr Features kHostUso = bit(56);
inline constexpr Features kHashReport = bit(57);
inline constexpr Features kGuestHdrlen = bit(59);
inline constexpr Features kRss = bit(60);
inline constexpr Features kRscExt = bit(61);
inline constexpr Features kStandby = bit(62);
inline constexpr Features kSpeedDuplex = bit(63);

// Of queues and transports.
inline constexpr Features kIndirectDesc = bit(28);
inline constexpr Features kEventIdx = bit(29);
inline constexpr Features kVersion1 = bit(32);
inline constexpr Features kAccessPlatform = bit(33);
inline constexpr Features kRingPacked = bit(34);
inline constexpr Features kInOrder = bit(35);
inline constexpr Features kOrderPlatform = bit(36);
inline constexpr Features kSrIov = bit(37);
inline constexpr Features kNotificationData = bit(38);
inline constexpr Features kNotifConfigData = bit(39);
inline constexpr Features kRingReset = bit(40);

}  // namespace feature

struct FeatureName {
  Features bit = 0;
  std::string_view name;  ///< as in the standard, without VIRTIO_NET_F_ or VIRTIO_F_
};

inline constexpr std::array kFeatureNames{FeatureName{feature::kCsum, "CSUM"},
                                          FeatureName{feature::kGuestCsum, "GUEST_CSUM"},
                                          FeatureName{feature::kCtrlGuestOffloads, "CTRL_GUEST_OFFLOADS"},
                                          FeatureName{feature::kMtu, "MTU"},
                                          FeatureName{feature::kMac, "MAC"},
                                          FeatureName{feature::kGuestTso4, "GUEST_TSO4"},
                                          FeatureName{feature::kGuestTso6, "GUEST_TSO6"},
                                          FeatureName{feature::kGuestEcn, "GUEST_ECN"},
                                          FeatureName{feature::kGuestUfo, "GUEST_UFO"},
                                          FeatureName{feature::kHostTso4, "HOST_TSO4"},
                                          FeatureName{feature::kHostTso6, "HOST_TSO6"},
                                          FeatureName{feature::kHostEcn, "HOST_ECN"},
                                          FeatureName{feature::kHostUfo, "HOST_UFO"},
                                          FeatureName{feature::kMrgRxbuf, "MRG_RXBUF"},
                                          FeatureName{feature::kStatus, "STATUS"},
                                          FeatureName{feature::kCtrlVq, "CTRL_VQ"},
                                          FeatureName{feature::kCtrlRx, "CTRL_RX"},
                                          FeatureName{feature::kCtrlVlan, "CTRL_VLAN"},
                                          FeatureName{feature::kCtrlRxExtra, "CTRL_RX_EXTRA"},
                                          FeatureName{feature::kGuestAnnounce, "GUEST_ANNOUNCE"},
                                          FeatureName{feature::kMq, "MQ"},
                                          FeatureName{feature::kCtrlMacAddr, "CTRL_MAC_ADDR"},
                                          FeatureName{feature::kIndirectDesc, "INDIRECT_DESC"},
                                          FeatureName{feature::kEventIdx, "EVENT_IDX"},
                                          FeatureName{feature::kVersion1, "VERSION_1"},
                                          FeatureName{feature::kAccessPlatform, "ACCESS_PLATFORM"},
                                          FeatureName{feature::kRingPacked, "RING_PACKED"},
                                          FeatureName{feature::kInOrder, "IN_ORDER"},
                                          FeatureName{feature::kOrderPlatform, "ORDER_PLATFORM"},
                                          FeatureName{feature::kSrIov, "SR_IOV"},
                                          FeatureName{feature::kNotificationData, "NOTIFICATION_DATA"},
                                          FeatureName{feature::kNotifConfigData, "NOTIF_CONFIG_DATA"},
                                          FeatureName{feature::kRingReset, "RING_RESET"},
                                          FeatureName{feature::kHashTunnel, "HASH_TUNNEL"},
                                          FeatureName{feature::kVqNotfCoal, "VQ_NOTF_COAL"},
                                          FeatureName{feature::kNotfCoal, "NOTF_COAL"},
                                          FeatureName{feature::kGuestUso4, "GUEST_USO4"},
                                          FeatureName{feature::kGuestUso6, "GUEST_USO6"},
                                          FeatureName{feature::kHostUso, "HOST_USO"},
                                          FeatureName{feature::kHashReport, "HASH_REPORT"},
                                          FeatureName{feature::kGuestHdrlen, "GUEST_HDRLEN"},
                                          FeatureName{feature::kRss, "RSS"},
                                          FeatureName{feature::kRscExt, "RSC_EXT"},
                                          FeatureName{feature::kStandby, "STANDBY"},
                                          FeatureName{feature::kSpeedDuplex, "SPEED_DUPLEX"}};

/// A feature needs one of others.
struct FeatureNeed {
  Features bit = 0;
  Features any_of = 0;
};

/// 5.1.3.1 "Feature bit requirements", and 5.1.4.2 for HASH_REPORT and CTRL_RX_EXTRA. A need is listed after those of
/// what it needs, so one pass finds all bits that lack something.
inline constexpr std::array kFeatureNeeds{FeatureNeed{feature::kGuestTso4, feature::kGuestCsum},
                                          FeatureNeed{feature::kGuestTso6, feature::kGuestCsum},
                                          FeatureNeed{feature::kGuestEcn, feature::kGuestTso4 | feature::kGuestTso6},
                                          FeatureNeed{feature::kGuestUfo, feature::kGuestCsum},
                                          FeatureNeed{feature::kGuestUso4, feature::kGuestCsum},
                                          FeatureNeed{feature::kGuestUso6, feature::kGuestCsum},
                                          FeatureNeed{feature::kHostTso4, feature::kCsum},
                                          FeatureNeed{feature::kHostTso6, feature::kCsum},
                                          FeatureNeed{feature::kHostEcn, feature::kHostTso4 | feature::kHostTso6},
                                          FeatureNeed{feature::kHostUfo, feature::kCsum},
                                          FeatureNeed{feature::kHostUso, feature::kCsum},
                                          FeatureNeed{feature::kCtrlRx, feature::kCtrlVq},
                                          FeatureNeed{feature::kCtrlRxExtra, feature::kCtrlVq},
                                          FeatureNeed{feature::kCtrlVlan, feature::kCtrlVq},
                                          FeatureNeed{feature::kGuestAnnounce, feature::kCtrlVq},
                                          FeatureNeed{feature::kMq, feature::kCtrlVq},
                                          FeatureNeed{feature::kCtrlMacAddr, feature::kCtrlVq},
                                          FeatureNeed{feature::kNotfCoal, feature::kCtrlVq},
                                          FeatureNeed{feature::kVqNotfCoal, feature::kCtrlVq},
                                          FeatureNeed{feature::kHashReport, feature::kCtrlVq},
                                          FeatureNeed{feature::kRss, feature::kCtrlVq},
                                          FeatureNeed{feature::kRscExt, feature::kHostTso4 | feature::kHostTso6}};

/// `features` without those bits that lack what they need.
[[nodiscard]] constexpr Features without_unmet(Features features) noexcept {
  for (const FeatureNeed& need : kFeatureNeeds) {
    if ((features & need.any_of) == 0) features &= ~need.bit;
  }
  return features;
}

}  // namespace pollux::hw::virtio
