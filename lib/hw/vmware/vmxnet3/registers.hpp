// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

#include "pollux/device/register.hpp"

/// The registers of vmxnet3, all of 32 bits in slots of 8 bytes, and its commands. Linux, drivers/net/vmxnet3,
/// vmxnet3_defs.h; QEMU, hw/net/vmxnet3.c.
namespace pollux::hw::vmxnet3 {

inline constexpr unsigned kQueueBar = 0;    ///< what bursts write
inline constexpr unsigned kControlBar = 1;  ///< what control writes
inline constexpr std::uint32_t kBarBytes = 4096;

inline constexpr std::uint32_t kMaxVectors = 25;
inline constexpr std::uint32_t kMaxTxQueues = 8;
inline constexpr std::uint32_t kMaxRxQueues = 8;  ///< of revision 1 and 2; later ones have 16

// BAR 0.
struct IMR : Register<IMR, 0x000, Access::rw, Stride{8, kMaxVectors}> {};         ///< 1: the vector is masked
struct TXPROD : Register<TXPROD, 0x600, Access::wo, Stride{8, kMaxTxQueues}> {};  ///< the next descriptor to write
struct RXPROD : Register<RXPROD, 0x800, Access::wo, Stride{8, kMaxRxQueues}> {};  ///< the same of the first ring
struct RXPROD2 : Register<RXPROD2, 0xA00, Access::wo, Stride{8, kMaxRxQueues}> {};

// BAR 1.
/// Bit n: the device has revision n + 1. Written with the bit of the one that the driver chooses.
struct VRRS : Register<VRRS, 0x00, Access::rw> {
  static constexpr Bit REVISION_1{0};
  POLLUX_FIELDS(REVISION_1);
};
/// The same for versions of UPT, the interface of devices that pass through to a card.
struct UVRS : Register<UVRS, 0x08, Access::rw> {
  static constexpr Bit VERSION_1{0};
  POLLUX_FIELDS(VERSION_1);
};
struct DSAL : Register<DSAL, 0x10, Access::rw> {};  ///< address of DriverShared, lower half first; 0 ends its use
struct DSAH : Register<DSAH, 0x18, Access::rw> {};
struct CMD : Register<CMD, 0x20, Access::rw> {};    ///< a read returns the result of the last command
struct MACL : Register<MACL, 0x28, Access::rw> {};  ///< the address in force: four bytes, first byte lowest
struct MACH : Register<MACH, 0x30, Access::rw> {};
struct ICR : Register<ICR, 0x38, Access::rc> {};  ///< of the interrupt pin
struct ECR : Register<ECR, 0x40, Access::wo> {};  ///< ones clear events in DriverShared

/// Access to BAR 1. VRRS is never all ones.
using ControlRegisters = RegisterWindow<VRRS>;

inline constexpr auto kQueueRegisters = POLLUX_REGISTERS("queues", IMR);
inline constexpr auto kControlRegisters = POLLUX_REGISTERS("control", VRRS, UVRS, DSAL, DSAH, MACL, MACH);

enum class Command : std::uint32_t {
  activate = 0xCAFE0000,  ///< result 0: the device is active
  quiesce,
  reset,
  update_rx_mode,
  update_mac_filters,  ///< the multicast table
  update_vlan_filters,
  update_rss_table,
  update_features = 0xCAFE0009,
  get_queue_status = 0xF00D0000,  ///< fills in QueueStatus
  get_stats,                      ///< fills in statistics
  get_link,                       ///< bit 0: up; from bit 16 on: speed in Mb/s
  get_permanent_mac_low,
  get_permanent_mac_high,
};

}  // namespace pollux::hw::vmxnet3
