// SPDX-License-Identifier: BSD-3-Clause
// The fake kernel's IOMMUFD, the devices' own files, and /proc/self/pagemap.
#include <algorithm>
#include <cerrno>

#include "backends/vfio/iommufd_uapi.hpp"
#include "fake_kernel.hpp"

namespace pollux::vfio::test {
namespace {

constexpr std::uint32_t kIoas = 3;

}  // namespace

int FakeKernel::open_own_file(const std::string& file) {
  if (const int error = enter("open " + file); error < 0) return error;
  for (const auto& [name, card] : cards) {
    if (card.file != file) continue;
    Handle handle{Kind::device, name};
    handle.own_file = true;
    return add(handle);
  }
  return -ENOENT;
}

int FakeKernel::own_file_ioctl(Handle& handle, unsigned long request, void* argument) {
  if (request == uapi::kDeviceBindIommufd) {
    if (const int error = enter("BIND_IOMMUFD"); error < 0) return error;
    auto& bind = as<uapi::BindIommufd>(argument);
    const auto iommufd = handles_.find(bind.iommufd);
    if (bind.argsz < sizeof bind || bind.flags != 0 || handle.bound) return -EINVAL;
    if (iommufd == handles_.end() || iommufd->second.kind != Kind::iommufd) return -EBADF;
    for (const auto& [descriptor, other] : handles_) {
      if (&other != &handle && other.kind == Kind::device && other.name == handle.name && other.bound) return -EINVAL;
      if (other.kind == Kind::group && other.name == std::to_string(cards.at(handle.name).group)) return -EBUSY;
    }
    handle.bound = true;
    bind.device = 11;
    return 0;
  }
  if (request == uapi::kDeviceAttachPageTable) {
    if (const int error = enter("ATTACH_IOMMUFD_PT"); error < 0) return error;
    auto& attach = as<uapi::AttachPageTable>(argument);
    if (attach.argsz < sizeof attach || attach.flags != 0 || !handle.bound) return -EINVAL;
    if (attach.page_table != kIoas) return -ENOENT;
    handle.attached = true;
    attach.page_table = 12;
    return 0;
  }
  return -ENOTTY;
}

int FakeKernel::iommufd_ioctl(Handle& handle, unsigned long request, void* argument) {
  if (request == uapi::kIoasAlloc) {
    if (const int error = enter("IOAS_ALLOC"); error < 0) return error;
    auto& alloc = as<uapi::IoasAlloc>(argument);
    if (alloc.size < sizeof alloc || alloc.flags != 0 || handle.ioas != 0) return -EINVAL;
    alloc.ioas = handle.ioas = kIoas;
    return 0;
  }
  if (request == uapi::kIoasIovaRanges) return ioas_ranges(argument);
  if (request == uapi::kIoasMap) return ioas_map(argument);
  if (request == uapi::kIoasUnmap) return ioas_unmap(argument);
  return -ENOTTY;
}

int FakeKernel::ioas_ranges(void* argument) {
  if (const int error = enter("IOAS_IOVA_RANGES"); error < 0) return error;
  auto& asked = as<uapi::IoasIovaRanges>(argument);
  if (asked.size < sizeof asked || asked.ioas != kIoas) return -EINVAL;
  std::vector<IovaRange> offered = iommufd_ranges.value_or(ranges);
  for (const auto& [descriptor, handle] : handles_) {
    if (handle.kind != Kind::device || !handle.attached) continue;
    const auto found = ranges_with_group.find(cards.at(handle.name).group);
    if (found != ranges_with_group.end()) offered = found->second;
  }
  const bool room = asked.count >= offered.size();
  if (room) {
    auto* const out = reinterpret_cast<uapi::IovaRange*>(static_cast<std::uintptr_t>(asked.ranges));
    std::transform(offered.begin(), offered.end(), out, [](const IovaRange& range) {
      return uapi::IovaRange{range.first, range.last};
    });
  }
  asked.count = static_cast<std::uint32_t>(offered.size());
  asked.alignment = 4096;
  return room ? 0 : -EMSGSIZE;
}

int FakeKernel::ioas_map(void* argument) {
  if (const int error = enter("IOAS_MAP"); error < 0) return error;
  const auto& request = as<uapi::IoasMap>(argument);
  constexpr std::uint32_t kAll = uapi::kMapFixedIova | uapi::kMapReadable | uapi::kMapWriteable;
  if (request.size < sizeof request || request.flags != kAll || request.reserved != 0) return -EINVAL;
  if (request.ioas != kIoas) return -ENOENT;
  if (dma_.contains(request.iova)) return -EADDRINUSE;
  dma_[request.iova] = request.length;
  return 0;
}

int FakeKernel::ioas_unmap(void* argument) {
  if (const int error = enter("IOAS_UNMAP"); error < 0) return error;
  auto& request = as<uapi::IoasUnmap>(argument);
  if (request.size < sizeof request) return -EINVAL;
  const auto found = dma_.find(request.iova);
  if (request.ioas != kIoas || found == dma_.end()) return -ENOENT;
  request.length = found->second;
  dma_.erase(found);
  return 0;
}

void FakeKernel::close_iommufd() {
  journal_.emplace_back("close iommufd");
  if (!dma_.empty()) complain("IOMMUFD closed with memory mapped");
  for (const auto& [descriptor, handle] : handles_) {
    if (handle.kind == Kind::device && handle.bound) complain("IOMMUFD closed before its devices");
  }
}

int FakeKernel::read_pagemap(void* buffer, std::size_t size, std::uint64_t offset) {
  if (size != sizeof(std::uint64_t) || offset % size != 0) return -EINVAL;
  const std::uint64_t entry = pagemap(offset / size);
  std::memcpy(buffer, &entry, size);
  return static_cast<int>(size);
}

}  // namespace pollux::vfio::test
