// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/device.hpp"

#include <algorithm>

namespace pollux::sim {
namespace {

constexpr std::uint32_t kHasCapabilities = 0x0010;
constexpr std::uint32_t kFirstCapability = 0x34;
constexpr std::uint32_t kEthernetClass = 0x020000;
constexpr std::uint32_t kPinA = 1;
// The power management capability: PME from D0, D3hot and D3cold, and the bit that enables it. Without these, Linux's
// igb offers no wake-on-LAN.
constexpr std::uint32_t kWakesFrom = 0xC800;
constexpr std::uint32_t kWakeEnable = 0x0100;
// Device Capabilities: payloads of 512 bytes, exit latencies of 512 ns from L0s and 64 us from L1, role-based error
// reporting, function level reset. Linux disables power saving of links to devices without role-based error reporting.
constexpr std::uint32_t kCanReset = 1U << 28;
constexpr std::uint32_t kRoleBasedErrors = 1U << 15;
constexpr std::uint32_t kDeviceCapabilities = kCanReset | kRoleBasedErrors | 6U << 9 | 3U << 6 | 2;
// Link Capabilities and Link Status: 2.5 GT/s, four lanes (82576EB datasheet, product features), L0s and L1.
constexpr std::uint32_t kSpeedAndWidth = 4U << 4 | 1;
constexpr std::uint32_t kLinkCapabilities = 6U << 15 | 6U << 12 | 3U << 10 | kSpeedAndWidth;
constexpr std::uint32_t kSlotClock = 0x1000;
// Device Capabilities 2: every range of completion timeouts (A to D), and the timeout can be disabled.
constexpr std::uint32_t kTimeoutRanges = 0xF;
constexpr std::uint32_t kTimeoutDisable = 1U << 4;

}  // namespace

ConfigSpace::ConfigSpace(DeviceModel& card) {
  const PciIdentity identity = card.identity();
  define(0x00, 2, identity.vendor);
  define(0x02, 2, identity.device);
  define(kCommand, 2, kCommandMemory, 0x0547);
  define(kStatus, 2, kHasCapabilities);
  define(0x08, 4, kEthernetClass << 8 | identity.revision);
  define(0x0C, 1, 0, 0xFF);
  for (unsigned bar = 0; bar < 6; ++bar) {
    const auto size = static_cast<std::uint32_t>(card.bar_size(bar));
    if (size != 0) define(0x10 + bar * 4, 4, 0, ~(size - 1));
  }
  define(0x2C, 2, identity.subsystem_vendor);
  define(0x2E, 2, identity.subsystem_device);
  define(kFirstCapability, 1, card.is_function() ? kMsix : kPowerManagement);
  define(0x3C, 1, 0, 0xFF);
  define_interrupts(card);
  define(kExpress, 2, 0x0010);
  define(kExpress + 2, 2, 0x0002);
  define(kExpress + 4, 4, kDeviceCapabilities);
  define(kDeviceControl, 2, 0x2810, 0xFFFF);
  define(kExpress + 0x24, 4, kTimeoutRanges | kTimeoutDisable);
  define(kDeviceControl2, 2, 0, 0x001F);
  define(kExpress + 0x0C, 4, kLinkCapabilities);
  define(kExpress + 0x10, 2, 0, 0x01CB);
  define(kLinkStatus, 2, kSlotClock | kSpeedAndWidth);
  define_vendor(card);
  DeviceModel* const function = card.function(0);
  if (card.functions() != 0 && function != nullptr) define_functions(card.functions(), *function);
  initial_ = bytes_;
}

void ConfigSpace::define_interrupts(const DeviceModel& card) {
  if (!card.is_function()) {
    define(kInterruptPin, 1, kPinA);
    const std::uint32_t next = card.has_msi() ? kMsi : kMsix;
    define(kPowerManagement, 4, kWakesFrom << 16 | 0x00030001 | next << 8);
    define(kPowerState, 2, 0, kPowerStateMask | kWakeEnable);
  }
  if (card.has_msi()) {
    define(kMsi, 2, 0x0005 | kMsix << 8);
    define(kMsiControl, 2, 0x0080, kMsiEnable);  // 64-bit address, one message
    define(kMsi + 4, 4, 0, 0xFFFFFFFC);
    define(kMsi + 8, 4, 0, 0xFFFFFFFF);
    define(kMsi + 12, 2, 0, 0xFFFF);
  }
  define(kMsix, 2, 0x0011 | kExpress << 8);
  const unsigned vectors = card.interrupt_vectors();
  define(kMsixControl, 2, vectors == 0 ? 0 : vectors - 1, kMsixEnable | 0x4000);
  const DeviceModel::MsixLayout layout = card.msix_layout();
  define(kMsixTable, 4, layout.table | layout.bar);
  define(kMsixTable + 4, 4, layout.pending | layout.bar);
}

// Between the capabilities that every card has. The last of the list comes first in this chain.
void ConfigSpace::define_vendor(const DeviceModel& card) {
  struct Piece {
    std::uint32_t at, end;
  };
  std::array<Piece, 3> pieces{Piece{kMsix + 12, kExpress}, Piece{kExpress + 0x3C, 0x100}, Piece{kMsi + 16, kMsix}};
  for (const DeviceModel::VendorCapability& capability : card.vendor_capabilities()) {
    const auto size = static_cast<std::uint32_t>(capability.bytes.size());
    const auto piece = std::find_if(pieces.begin(), pieces.end(), [&](const Piece& p) { return p.end - p.at >= size; });
    if (piece == pieces.end()) continue;
    for (std::uint32_t i = 0; i < size; ++i) define(piece->at + i, 1, capability.bytes[i]);
    define(piece->at + 1, 1, read(kFirstCapability, 1));
    define(kFirstCapability, 1, piece->at);
    if (capability.live) {
      live_at_ = piece->at;
      live_end_ = piece->at + size;
    }
    piece->at += size;
  }
}

// PCI Express Base, "Single Root I/O Virtualization"; Linux, include/uapi/linux/pci_regs.h. The offset and stride of
// the functions' numbers: QEMU, hw/net/igb_common.h, IGB_VF_OFFSET and IGB_VF_STRIDE; its base address registers:
// igb.c.
void ConfigSpace::define_functions(unsigned count, DeviceModel& first) {
  constexpr std::uint32_t kErrorsId = 0x0001;
  constexpr std::uint32_t kFunctionsId = 0x0010;
  constexpr std::uint32_t kVersion = 1U << 16;
  constexpr std::uint32_t kMemoryEnable = 0x0008;
  constexpr std::uint32_t kPageSizes = 0x553;  // 4 KiB to 4 MiB
  constexpr std::uint32_t kPrefetchable64 = 0xC;
  max_functions_ = count;
  define(kErrors, 4, kErrorsId | kVersion | kFunctions << 20);
  for (const std::uint32_t mask : {kErrors + 0x08, kErrors + 0x0C, kErrors + 0x14}) define(mask, 4, 0, 0xFFFFFFFF);
  define(kFunctions, 4, kFunctionsId | kVersion);
  define(kFunctionsControl, 2, 0, kFunctionsEnable | kMemoryEnable);
  define(kFunctions + 0x0C, 2, count);
  define(kFunctions + 0x0E, 2, count);
  define(kFunctionsNumber, 2, 0, 0xFFFF);
  define(kFunctions + 0x14, 2, 0x80);
  define(kFunctions + 0x16, 2, 2);
  define(kFunctions + 0x1A, 2, first.identity().device);
  define(kFunctions + 0x1C, 4, kPageSizes);
  define(kFunctions + 0x20, 4, 1, kPageSizes);
  for (unsigned bar = 0; bar < 5; ++bar) {
    const auto size = static_cast<std::uint32_t>(first.bar_size(bar));
    if (size == 0) continue;
    define(kFunctions + 0x24 + bar * 4, 4, kPrefetchable64, ~(size - 1));
    define(kFunctions + 0x28 + bar * 4, 4, 0, 0xFFFFFFFF);
  }
}

unsigned ConfigSpace::functions() const noexcept {
  if ((read(kFunctionsControl, 2) & kFunctionsEnable) == 0) return 0;
  return std::min(read(kFunctionsNumber, 2), max_functions_);
}

void ConfigSpace::disable_functions() noexcept {
  std::copy_n(initial_.begin() + kFunctions, kFunctionsBytes, bytes_.begin() + kFunctions);
}

void ConfigSpace::define(std::uint32_t offset, unsigned width, std::uint32_t value, std::uint32_t writable) {
  for (unsigned i = 0; i < width; ++i) {
    bytes_[offset + i] = static_cast<std::uint8_t>(value >> 8 * i & 0xFF);
    writable_[offset + i] = static_cast<std::uint8_t>(writable >> 8 * i & 0xFF);
  }
}

std::uint32_t ConfigSpace::read(std::uint32_t offset, unsigned width) const noexcept {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < width; ++i) value |= std::uint32_t{bytes_[offset + i]} << 8 * i;
  return value;
}

void ConfigSpace::write(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  for (unsigned i = 0; i < width; ++i) {
    const auto byte = static_cast<std::uint8_t>(value >> 8 * i & 0xFF);
    const std::uint8_t mask = writable_[offset + i];
    bytes_[offset + i] = static_cast<std::uint8_t>((bytes_[offset + i] & ~mask) | (byte & mask));
  }
}

InterruptMode ConfigSpace::interrupt_mode() const noexcept {
  if ((read(kMsiControl, 2) & kMsiEnable) != 0) return InterruptMode::msi;
  return (read(kMsixControl, 2) & kMsixEnable) != 0 ? InterruptMode::msix : InterruptMode::pin;
}

void ConfigSpace::enable_msix(bool enabled) noexcept {
  const std::uint32_t control = read(kMsixControl, 2);
  write(kMsixControl, 2, enabled ? control | kMsixEnable : control & ~kMsixEnable);
}

void ConfigSpace::set_interrupt_pending(bool pending) noexcept {
  const unsigned others = bytes_[kStatus] & ~kStatusInterrupt;
  bytes_[kStatus] = static_cast<std::uint8_t>(pending ? others | kStatusInterrupt : others);
}

void ConfigSpace::set_wake_requested(bool requested) noexcept {
  constexpr std::uint32_t kAt = kPowerState + 1;
  const unsigned others = bytes_[kAt] & ~(kWakeStatus >> 8);
  bytes_[kAt] = static_cast<std::uint8_t>(requested ? others | kWakeStatus >> 8 : others);
}

bool ConfigSpace::ends_wake_request(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept {
  constexpr std::uint32_t kAt = kPowerState + 1;
  if (offset > kAt || offset + width <= kAt) return false;
  return (value >> 8 * (kAt - offset) & kWakeStatus >> 8) != 0;
}

bool ConfigSpace::take_reset_request() noexcept {
  const std::uint32_t control = read(kDeviceControl, 2);
  write(kDeviceControl, 2, control & ~kInitiateReset);
  return (control & kInitiateReset) != 0;
}

}  // namespace pollux::sim
