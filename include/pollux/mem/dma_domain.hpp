// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"

namespace pollux {

/// A range of IOVAs: the addresses that a device uses for memory (I/O virtual addresses). Both ends are included.
struct IovaRange {
  std::uint64_t first = 0;  ///< address of the first byte
  std::uint64_t last = 0;   ///< address of the last byte
};

/// Memory that is contiguous for the process and for every device: byte i has address `address` + i and IOVA `iova` +
/// i.
struct DmaSegment {
  std::byte* address = nullptr;  ///< of its first byte; page-aligned
  std::uint64_t iova = 0;        ///< of its first byte; page-aligned
  std::size_t size = 0;          ///< bytes, a multiple of the page size
  bool writable = true;          ///< whether devices may write it
};

/// Returns physical addresses. Backends implement it for devices without address translation (no IOMMU).
/// Thread rule: called with the Context's lock held, so never from two threads at once.
class POLLUX_API PhysicalAddresses {
 public:
  PhysicalAddresses() = default;
  PhysicalAddresses(const PhysicalAddresses&) = delete;
  PhysicalAddresses& operator=(const PhysicalAddresses&) = delete;
  virtual ~PhysicalAddresses() = default;

  /// The physical address of the byte at `address`, whose page is populated.
  /// Errors: permission_denied, not_supported, io_error.
  [[nodiscard]] virtual Result<std::uint64_t> find(const std::byte* address) const = 0;
};

/// An address translation that one or more devices share: an IOMMU container, an emulator's RAM, an in-process table.
/// Backends implement it and attach it to a Context, which maps every DmaMemory into every domain.
/// Thread rule: called with the Context's lock held, so never from two threads at once.
class POLLUX_API DmaDomain {
 public:
  DmaDomain() = default;
  DmaDomain(const DmaDomain&) = delete;
  DmaDomain& operator=(const DmaDomain&) = delete;
  virtual ~DmaDomain() = default;

  /// Used in messages, such as "vfio container".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// The IOVAs that the domain's devices can use, in ascending order. Constant once the domain is attached.
  [[nodiscard]] virtual std::vector<IovaRange> usable_iova() const = 0;
  /// Whether memory must be locked (mlock) because the domain does not pin it.
  [[nodiscard]] virtual bool wants_locked_pages() const { return false; }
  /// Not null if there is no address translation, so that every IOVA must be a physical address. While such a domain is
  /// attached, or memory allocated for it exists, the Context allocates huge pages only: one segment for each
  /// physically contiguous run of them. Constant once the domain is attached.
  [[nodiscard]] virtual std::shared_ptr<const PhysicalAddresses> physical_addresses() const { return nullptr; }
  /// Whether an IOMMU translates, so that the memory's IOVAs mean nothing to a device that bypasses it.
  [[nodiscard]] virtual bool is_iommu() const { return false; }
  /// Lets the domain's devices read `segment`, and write it if it is `writable`, until `unmap`. Error not_supported:
  /// the domain cannot keep devices from writing.
  [[nodiscard]] virtual Result<void> map(const DmaSegment& segment) = 0;
  /// Ends the mapping of a segment that `map` was given. An error means that devices may still reach it: the Context
  /// then logs this, and keeps the memory.
  [[nodiscard]] virtual Result<void> unmap(const DmaSegment& segment) = 0;
};

}  // namespace pollux
