// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/ioctl.h>

#include <cstdint>

/// The part of the kernel's IOMMUFD interface, and of VFIO's interface to it, that this backend uses. It is declared
/// here because the headers of current distributions (Linux 6.1) lack it. Source: the kernel's
/// include/uapi/linux/iommufd.h and include/uapi/linux/vfio.h (VFIO_DEVICE_BIND_IOMMUFD and the requests after it).
/// Each structure begins with its own size. Flags and reserved fields without a name here are zero.
namespace pollux::vfio::uapi {

struct IoasAlloc {
  std::uint32_t size = sizeof(IoasAlloc);
  std::uint32_t flags = 0;
  std::uint32_t ioas = 0;  ///< out: the id of the new address space
};

struct IovaRange {
  std::uint64_t start = 0;
  std::uint64_t last = 0;  ///< included
};

struct IoasIovaRanges {
  std::uint32_t size = sizeof(IoasIovaRanges);
  std::uint32_t ioas = 0;
  std::uint32_t count = 0;  ///< in: entries in the array; out: number of ranges (EMSGSIZE if the array is too short)
  std::uint32_t reserved = 0;
  std::uint64_t ranges = 0;  ///< an array of IovaRange
  std::uint64_t alignment = 0;
};

constexpr std::uint32_t kMapFixedIova = 1U << 0U;
constexpr std::uint32_t kMapWriteable = 1U << 1U;
constexpr std::uint32_t kMapReadable = 1U << 2U;

struct IoasMap {
  std::uint32_t size = sizeof(IoasMap);
  std::uint32_t flags = 0;
  std::uint32_t ioas = 0;
  std::uint32_t reserved = 0;
  std::uint64_t address = 0;
  std::uint64_t length = 0;
  std::uint64_t iova = 0;
};

struct IoasUnmap {
  std::uint32_t size = sizeof(IoasUnmap);
  std::uint32_t ioas = 0;
  std::uint64_t iova = 0;
  std::uint64_t length = 0;  ///< out: bytes that were unmapped
};

struct BindIommufd {
  std::uint32_t argsz = sizeof(BindIommufd);
  std::uint32_t flags = 0;
  std::int32_t iommufd = -1;
  std::uint32_t device = 0;  ///< out: the device's id within the IOMMUFD
};

struct AttachPageTable {
  std::uint32_t argsz = sizeof(AttachPageTable);
  std::uint32_t flags = 0;
  std::uint32_t page_table = 0;  ///< in: an address space's id; out: the page table created for it
};

static_assert(sizeof(IoasAlloc) == 12 && sizeof(IoasIovaRanges) == 32 && sizeof(IoasMap) == 40 &&
              sizeof(IoasUnmap) == 24 && sizeof(BindIommufd) == 16 && sizeof(AttachPageTable) == 12);

constexpr unsigned long kIoasAlloc = _IO(';', 0x81);
constexpr unsigned long kIoasIovaRanges = _IO(';', 0x84);
constexpr unsigned long kIoasMap = _IO(';', 0x85);
constexpr unsigned long kIoasUnmap = _IO(';', 0x86);
constexpr unsigned long kDeviceBindIommufd = _IO(';', 100 + 18);
constexpr unsigned long kDeviceAttachPageTable = _IO(';', 100 + 19);

}  // namespace pollux::vfio::uapi
