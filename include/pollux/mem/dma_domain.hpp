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

/// Addresses as a device sees them, first to last, both included.
struct IovaRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// A piece of memory that is contiguous for the process and for every device: byte i lies at `address` + i and `iova` +
/// i.
struct DmaSegment {
  std::byte* address = nullptr;
  std::uint64_t iova = 0;
  std::size_t size = 0;  ///< bytes, a multiple of the page size
};

/// Tells where pages lie in the machine's own memory. Implemented by backends whose devices nothing translates for.
/// Thread rule: called with the Context's lock held, so never from two threads at once.
class POLLUX_API PhysicalAddresses {
 public:
  PhysicalAddresses() = default;
  PhysicalAddresses(const PhysicalAddresses&) = delete;
  PhysicalAddresses& operator=(const PhysicalAddresses&) = delete;
  virtual ~PhysicalAddresses() = default;

  /// The physical address of the byte at `address`, whose page is there. Errors: permission_denied, not_supported,
  /// io_error.
  [[nodiscard]] virtual Result<std::uint64_t> find(const std::byte* address) const = 0;
};

/// A translation that one or more devices share: an IOMMU container, an emulator's RAM, an in-process table.
/// Implemented by backends and attached to a Context, which maps every DmaMemory into every domain.
/// Thread rule: called with the Context's lock held, so never from two threads at once.
class POLLUX_API DmaDomain {
 public:
  DmaDomain() = default;
  DmaDomain(const DmaDomain&) = delete;
  DmaDomain& operator=(const DmaDomain&) = delete;
  virtual ~DmaDomain() = default;

  /// For messages, such as "vfio container".
  [[nodiscard]] virtual std::string_view name() const = 0;
  /// The addresses that its devices can use, in ascending order. Constant once the domain is attached.
  [[nodiscard]] virtual std::vector<IovaRange> usable_iova() const = 0;
  /// Whether memory must be locked (mlock) because the domain does not pin it itself.
  [[nodiscard]] virtual bool wants_locked_pages() const { return false; }
  /// Not null where nothing translates for the domain's devices, so that an IOVA has to be a physical address. Memory
  /// of the Context is then made of huge pages, one segment for each run of them that is contiguous physically, and its
  /// IOVAs are what this says; it stays so while there is such memory. Constant once the domain is attached.
  [[nodiscard]] virtual std::shared_ptr<const PhysicalAddresses> physical_addresses() const { return nullptr; }
  /// Makes `segment` reachable for the domain's devices, for reading and writing, until `unmap`.
  [[nodiscard]] virtual Result<void> map(const DmaSegment& segment) = 0;
  [[nodiscard]] virtual Result<void> unmap(const DmaSegment& segment) = 0;
};

}  // namespace pollux
