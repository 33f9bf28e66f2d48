// SPDX-License-Identifier: BSD-3-Clause
#include "servers/vfio_user/regions.hpp"

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

}  // namespace

Result<Regions> Regions::create(Device& device) {
  Regions regions(device);
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
  return 0;
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
