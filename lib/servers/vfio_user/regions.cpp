// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/session.hpp"

#include <cerrno>
#include <cstring>

namespace pollux::vfio_user {
namespace {

constexpr std::uint64_t kConfigBytes = 4096;

/// The width of the next access to `left` bytes from `offset` on.
unsigned width_at(std::uint64_t offset, std::size_t left) noexcept {
  if (offset % 4 == 0 && left >= 4) return 4;
  return offset % 2 == 0 && left >= 2 ? 2 : 1;
}

constexpr std::uint32_t kFirstExtended = 0x100;
constexpr std::uint32_t kFunctionsId = 0x0010;
constexpr std::uint32_t kVendorSpecificId = 0x000B;
/// The most bytes that a processor reads at once.
constexpr std::size_t kMaxSingleRead = 8;

/// The place of the capability of virtual functions in the list of extended capabilities; 0 if there is none, or if it
/// is the first one, whose number QEMU keeps. PCI Express Base, "Extended Capabilities"; bounded, since lists may loop.
std::uint32_t find_functions(Device& device) {
  std::uint32_t at = kFirstExtended;
  for (unsigned seen = 0; seen < kConfigBytes / 4 && at >= kFirstExtended; ++seen) {
    const std::uint32_t header = device.read_config(at & ~3U, 4).value_or(0);
    if ((header & 0xFFFF) == kFunctionsId) return at == kFirstExtended ? 0 : at;
    at = header >> 20;
  }
  return 0;
}

}  // namespace

Result<Regions> Regions::create(Device& device, bool passes_functions) {
  Regions regions(device);
  if (passes_functions) regions.functions_at_ = find_functions(device);
  for (unsigned index = 0; index < regions.bars_.size(); ++index) {
    auto bar = device.bar(index);
    if (bar) {
      regions.bars_[index] = *bar;
    } else if (bar.error().code != ErrorCode::invalid_argument) {  // invalid_argument: the card does not have this one
      return pass_on(std::move(bar));
    }
  }
  return regions;
}

std::uint64_t Regions::size(std::uint32_t region) const noexcept {
  if (region == kConfigRegion) return kConfigBytes;
  return region < bars_.size() ? bars_[region].size() : 0;
}

// Avoids offset + count, which could wrap.
bool Regions::has(std::uint32_t region, std::uint64_t offset, std::size_t count) const noexcept {
  const std::uint64_t bytes = size(region);
  return count != 0 && count <= bytes && offset <= bytes - count;
}

int Regions::read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> bytes) {
  if (!has(region, offset, bytes.size())) return EINVAL;
  const std::span<std::byte> all = bytes;
  auto at = static_cast<std::uint32_t>(offset);
  while (!bytes.empty()) {
    const unsigned width = width_at(at, bytes.size());
    std::uint32_t value = 0;
    if (region == kConfigRegion) {
      const auto read = device_->read_config(at, width);
      if (!read) return EIO;
      value = *read;
    } else {
      value = bars_[region].read(at, width);
    }
    std::memcpy(bytes.data(), &value, width);
    bytes = bytes.subspan(width);
    at += width;
  }
  if (region == kConfigRegion && all.size() > kMaxSingleRead) disguise_functions(offset, all);
  return 0;
}

void Regions::disguise_functions(std::uint64_t offset, std::span<std::byte> bytes) const {
  if (functions_at_ == 0 || functions_at_ < offset || functions_at_ + 2 > offset + bytes.size()) return;
  bytes[functions_at_ - offset] = static_cast<std::byte>(kVendorSpecificId);
}

int Regions::write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!has(region, offset, bytes.size())) return EINVAL;
  auto at = static_cast<std::uint32_t>(offset);
  while (!bytes.empty()) {
    const unsigned width = width_at(at, bytes.size());
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data(), width);
    if (region != kConfigRegion) {
      bars_[region].write(at, width, value);
    } else if (!device_->write_config(at, width, value)) {
      return EIO;
    }
    bytes = bytes.subspan(width);
    at += width;
  }
  return 0;
}

void Regions::flush() noexcept {
  for (const Bar& bar : bars_) {
    if (bar) return bar.flush();
  }
}

}  // namespace pollux::vfio_user
