// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/config_space.hpp"

namespace pollux::sim {
namespace {

constexpr std::uint32_t kPowerManagement = 0x40;
constexpr std::uint32_t kPendingOffset = 0x2000;
constexpr std::uint32_t kHasCapabilities = 0x0010;
constexpr std::uint32_t kEthernetClass = 0x020000;
constexpr std::uint32_t kCanReset = 1U << 28;

}  // namespace

ConfigSpace::ConfigSpace(const DeviceModel& card) {
  const PciIdentity identity = card.identity();
  define(0x00, 2, identity.vendor);
  define(0x02, 2, identity.device);
  define(kCommand, 2, kCommandMemory, 0x0547);
  define(0x06, 2, kHasCapabilities);
  define(0x08, 4, kEthernetClass << 8 | identity.revision);
  define(0x0C, 1, 0, 0xFF);
  for (unsigned bar = 0; bar < 6; ++bar) {
    const auto size = static_cast<std::uint32_t>(card.bar_size(bar));
    if (size != 0) define(0x10 + bar * 4, 4, 0, ~(size - 1));
  }
  define(0x2C, 2, identity.subsystem_vendor);
  define(0x2E, 2, identity.subsystem_device);
  define(0x34, 1, kPowerManagement);
  define(0x3C, 1, 0, 0xFF);
  define(kPowerManagement, 4, 0x00030001 | kMsix << 8);
  define(kPowerManagement + 4, 2, 0, 0x0003);
  define(kMsix, 2, 0x0011 | kExpress << 8);
  const unsigned vectors = card.interrupt_vectors();
  define(kMsix + 2, 2, vectors == 0 ? 0 : vectors - 1, 0xC000);
  define(kMsix + 4, 4, kMsixBar);
  define(kMsix + 8, 4, kPendingOffset | kMsixBar);
  define(kExpress, 2, 0x0010);
  define(kExpress + 2, 2, 0x0002);
  define(kExpress + 4, 4, kCanReset);
  define(kDeviceControl, 2, 0x2810, 0xFFFF);
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

bool ConfigSpace::take_reset_request() noexcept {
  const std::uint32_t control = read(kDeviceControl, 2);
  write(kDeviceControl, 2, control & ~kInitiateReset);
  return (control & kInitiateReset) != 0;
}

}  // namespace pollux::sim
