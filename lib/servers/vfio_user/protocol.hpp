// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

/// The messages of the vfio-user protocol, version 0.0, as they lie on the socket, in the byte order of the machine.
/// Source: QEMU, docs/interop/vfio-user.rst. The fields and flags that it takes from VFIO are those of
/// include/uapi/linux/vfio.h.
namespace pollux::vfio_user {

enum class Command : std::uint16_t {
  version = 1,
  dma_map = 2,
  dma_unmap = 3,
  device_get_info = 4,
  device_get_region_info = 5,
  device_get_region_io_fds = 6,
  device_get_irq_info = 7,
  device_set_irqs = 8,
  region_read = 9,
  region_write = 10,
  dma_read = 11,
  dma_write = 12,
  device_reset = 13,
  region_write_multi = 15,
};

/// Starts each message.
struct Header {
  static constexpr std::uint32_t kType = 0xF;
  static constexpr std::uint32_t kCommand = 0;
  static constexpr std::uint32_t kReply = 1;
  static constexpr std::uint32_t kNoReply = 0x10;
  static constexpr std::uint32_t kError = 0x20;

  std::uint16_t id = 0;  ///< chosen by the sender of a command, repeated in its reply
  Command command{};
  std::uint32_t size = 0;  ///< of the message, with this header
  std::uint32_t flags = 0;
  std::uint32_t error = 0;  ///< an errno value, if kError is set
};

struct Version {
  std::uint16_t major = 0;
  std::uint16_t minor = 0;
  // Followed by capabilities as JSON text, which ends with a NUL.
};

struct DmaMap {
  static constexpr std::uint32_t kReadable = 1;
  static constexpr std::uint32_t kWritable = 2;

  std::uint32_t argsz = 0;
  std::uint32_t flags = 0;
  std::uint64_t offset = 0;  ///< in the file that comes with the message
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

struct DmaUnmap {
  static constexpr std::uint32_t kAll = 2;  ///< VFIO_DMA_UNMAP_FLAG_ALL: address and size are 0

  std::uint32_t argsz = 0;
  std::uint32_t flags = 0;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

struct DeviceInfo {
  static constexpr std::uint32_t kReset = 1;
  static constexpr std::uint32_t kPci = 2;

  std::uint32_t argsz = 0;
  std::uint32_t flags = 0;
  std::uint32_t regions = 0;
  std::uint32_t irqs = 0;
};

struct RegionInfo {
  static constexpr std::uint32_t kRead = 1;
  static constexpr std::uint32_t kWrite = 2;

  std::uint32_t argsz = 0;
  std::uint32_t flags = 0;
  std::uint32_t index = 0;
  std::uint32_t capabilities = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

struct IrqInfo {
  static constexpr std::uint32_t kEventfd = 1;
  static constexpr std::uint32_t kMaskable = 2;
  static constexpr std::uint32_t kAutomasked = 4;
  static constexpr std::uint32_t kNoResize = 8;

  std::uint32_t argsz = 0;
  std::uint32_t flags = 0;
  std::uint32_t index = 0;
  std::uint32_t count = 0;
};

struct SetIrqs {
  static constexpr std::uint32_t kDataNone = 1;
  static constexpr std::uint32_t kDataBool = 2;
  static constexpr std::uint32_t kDataEventfd = 4;
  static constexpr std::uint32_t kMask = 8;
  static constexpr std::uint32_t kUnmask = 16;
  static constexpr std::uint32_t kTrigger = 32;

  std::uint32_t argsz = 0;
  std::uint32_t flags = 0;
  std::uint32_t index = 0;
  std::uint32_t start = 0;
  std::uint32_t count = 0;
  // With kDataBool, one byte for each interrupt follows.
};

/// REGION_READ and REGION_WRITE, and the replies of both. The data follow.
struct RegionAccess {
  std::uint64_t offset = 0;
  std::uint32_t region = 0;
  std::uint32_t count = 0;
};

/// One of the writes of a REGION_WRITE_MULTI, after their number in 64 bits.
struct SingleWrite {
  std::uint64_t offset = 0;
  std::uint32_t region = 0;
  std::uint32_t count = 0;  ///< bytes of `data`, at most 8
  std::uint64_t data = 0;
};

static_assert(sizeof(Header) == 16 && sizeof(Version) == 4 && sizeof(DmaMap) == 32 && sizeof(DmaUnmap) == 24);
static_assert(sizeof(DeviceInfo) == 16 && sizeof(RegionInfo) == 32 && sizeof(IrqInfo) == 16 && sizeof(SetIrqs) == 20);
static_assert(sizeof(RegionAccess) == 16 && sizeof(SingleWrite) == 24);

/// The regions and interrupts of a PCI device: VFIO_PCI_*_REGION_INDEX and VFIO_PCI_*_IRQ_INDEX.
inline constexpr std::uint32_t kRegions = 9;
inline constexpr std::uint32_t kConfigRegion = 7;
inline constexpr std::uint32_t kIrqs = 5;
inline constexpr std::uint32_t kIntx = 0;
inline constexpr std::uint32_t kMsi = 1;
inline constexpr std::uint32_t kMsix = 2;
inline constexpr std::uint32_t kErrorIrq = 3;
inline constexpr std::uint32_t kRequestIrq = 4;  ///< the host asks for the device to be released

/// Bytes that one message reads or writes at most. More than any region has.
inline constexpr std::uint32_t kMaxTransfer = 1U << 20;
/// Bytes after the header of the longest message.
inline constexpr std::uint32_t kMaxPayload = kMaxTransfer + sizeof(RegionAccess);
/// Descriptors of one message.
inline constexpr unsigned kMaxDescriptors = 16;
/// Ranges of the client's memory. QEMU maps some dozens. A process has 65,530 (vm.max_map_count), and may serve two
/// cards with seven functions each.
inline constexpr unsigned kMaxMappings = 2048;
/// Bytes of this process's address space for a client's memory, of which there are 128 TiB.
inline constexpr std::uint64_t kMaxMappedBytes = std::uint64_t{1} << 42;
inline constexpr std::uint64_t kPageSize = 4096;

/// The structure that `bytes` begin with, and removes it from them; nullopt if they are too short.
template <class T>
[[nodiscard]] std::optional<T> take(std::span<const std::byte>& bytes) noexcept {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  bytes = bytes.subspan(sizeof value);
  return value;
}

}  // namespace pollux::vfio_user
