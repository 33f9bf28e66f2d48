// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/device/register.hpp"

/// The PCI transport. VIRTIO 1.2, 4.1 "Virtio Over PCI Bus"; Linux, include/uapi/linux/virtio_pci.h.
namespace pollux::hw::virtio {

/// Offsets in a vendor-specific PCI capability that says where a structure is (4.1.4 "Virtio Structure PCI
/// Capabilities", struct virtio_pci_cap).
namespace cap {
inline constexpr std::uint32_t kLength = 2;  // u8: of the capability
inline constexpr std::uint32_t kType = 3;    // u8: CapabilityType
inline constexpr std::uint32_t kBar = 4;     // u8: 0 to 5, others are reserved
inline constexpr std::uint32_t kId = 5;      // u8
inline constexpr std::uint32_t kOffset = 8;  // le32: in the BAR
inline constexpr std::uint32_t kSize = 12;   // le32: of the structure
inline constexpr std::uint32_t kBytes = 16;
/// le32, of notify capabilities: the doorbell of a queue is at queue_notify_off times this (4.1.4.4).
inline constexpr std::uint32_t kNotifyMultiplier = 16;
inline constexpr std::uint32_t kNotifyBytes = 20;
/// Of pci_access: the window of 1, 2 or 4 bytes through which the BAR can be accessed (4.1.4.9).
inline constexpr std::uint32_t kAccessData = 16;
inline constexpr std::uint32_t kAccessBytes = 20;
}  // namespace cap

enum class CapabilityType : std::uint8_t {
  common = 1,      ///< the registers below
  notify = 2,      ///< doorbells
  isr = 3,         ///< ISR
  device = 4,      ///< the device's own configuration: net_config.hpp
  pci_access = 5,  ///< access through configuration space
  shared_memory = 8,
  vendor = 9,
};

/// A queue or the configuration has no MSI-X vector. A vector register that reads so after a write has refused it.
inline constexpr std::uint32_t kNoVector = 0xFFFF;

/// The common configuration: 4.1.4.3 "Common configuration structure layout". Offsets from its own start. The registers
/// from QUEUE_SIZE on are those of the queue that QUEUE_SELECT names. A 64-bit address is two registers.
struct DEVICE_FEATURE_SELECT : Register<DEVICE_FEATURE_SELECT, 0x00, Access::rw> {};
struct DEVICE_FEATURE : Register<DEVICE_FEATURE, 0x04, Access::ro> {};
struct DRIVER_FEATURE_SELECT : Register<DRIVER_FEATURE_SELECT, 0x08, Access::rw> {};
struct DRIVER_FEATURE : Register<DRIVER_FEATURE, 0x0C, Access::rw> {};
struct CONFIG_MSIX_VECTOR : Register16<CONFIG_MSIX_VECTOR, 0x10, Access::rw> {};
struct NUM_QUEUES : Register16<NUM_QUEUES, 0x12, Access::ro> {};
/// 2.1 "Device Status Field". Writing 0 resets the device, which reads 0 once that is done.
struct DEVICE_STATUS : Register8<DEVICE_STATUS, 0x14, Access::rw> {
  static constexpr Bit ACKNOWLEDGE{0}, DRIVER{1}, DRIVER_OK{2}, FEATURES_OK{3}, NEEDS_RESET{6}, FAILED{7};
  POLLUX_FIELDS(ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET, FAILED);
};
/// Changes whenever the device's configuration does, so that several reads can be checked to belong together.
struct CONFIG_GENERATION : Register8<CONFIG_GENERATION, 0x15, Access::ro> {};
struct QUEUE_SELECT : Register16<QUEUE_SELECT, 0x16, Access::rw> {};
/// After a reset the most that the device supports; 0: there is no such queue.
struct QUEUE_SIZE : Register16<QUEUE_SIZE, 0x18, Access::rw> {};
struct QUEUE_MSIX_VECTOR : Register16<QUEUE_MSIX_VECTOR, 0x1A, Access::rw> {};
struct QUEUE_ENABLE : Register16<QUEUE_ENABLE, 0x1C, Access::rw> {};
struct QUEUE_NOTIFY_OFF : Register16<QUEUE_NOTIFY_OFF, 0x1E, Access::ro> {};
struct QUEUE_DESC : Register<QUEUE_DESC, 0x20, Access::rw, Stride{4, 2}> {};      ///< descriptor area
struct QUEUE_DRIVER : Register<QUEUE_DRIVER, 0x28, Access::rw, Stride{4, 2}> {};  ///< driver area
struct QUEUE_DEVICE : Register<QUEUE_DEVICE, 0x30, Access::rw, Stride{4, 2}> {};  ///< device area
/// With NOTIF_CONFIG_DATA alone.
struct QUEUE_NOTIF_CONFIG_DATA : Register16<QUEUE_NOTIF_CONFIG_DATA, 0x38, Access::ro> {};
/// With RING_RESET alone. Writing 1 resets the queue, which reads 0 once that is done (2.6.1 "Virtqueue Reset").
struct QUEUE_RESET : Register16<QUEUE_RESET, 0x3A, Access::rw> {};

/// The bytes that every device has, and those up to QUEUE_RESET.
inline constexpr std::uint32_t kCommonBytes = 0x38;
inline constexpr std::uint32_t kCommonBytesWithReset = 0x3C;

/// Access to the common configuration. DEVICE_STATUS has no side effect when read, and is never all ones.
using CommonRegisters = RegisterWindow<DEVICE_STATUS>;

inline constexpr auto kCommonRegisters =
    POLLUX_REGISTERS("common", DEVICE_FEATURE_SELECT, DEVICE_FEATURE, DRIVER_FEATURE_SELECT, DRIVER_FEATURE,
                     CONFIG_MSIX_VECTOR, NUM_QUEUES, DEVICE_STATUS, CONFIG_GENERATION, QUEUE_SELECT, QUEUE_SIZE,
                     QUEUE_MSIX_VECTOR, QUEUE_ENABLE, QUEUE_NOTIFY_OFF, QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE);

/// Causes of the interrupt pin: 4.1.4.5 "ISR status capability". A read clears it.
struct ISR : Register8<ISR, 0x00, Access::rc> {
  static constexpr Bit QUEUE{0}, CONFIG{1};
  POLLUX_FIELDS(QUEUE, CONFIG);
};

/// The value of a doorbell. Without NOTIFICATION_DATA it is the queue's index, in 16 bits (4.1.5.2 "Available Buffer
/// Notifications"); with it these 32 bits (2.9 "Driver Notifications"). `next`: of a split ring the free-running
/// available index; of a packed ring the next offset (15 bits) and, above it, the wrap counter.
[[nodiscard]] constexpr std::uint32_t notification(std::uint16_t queue, std::uint16_t next) noexcept {
  return std::uint32_t{next} << 16 | queue;
}

}  // namespace pollux::hw::virtio
