// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "backends/vfio/kernel.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// A VFIO container. IOMMU groups join it before their devices can be opened. All groups in one container share its
/// address translation, or have none.
class GroupContainer : public DmaDomain {
 public:
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  /// Call once, after the first group joined.
  [[nodiscard]] virtual Result<void> set_iommu() = 0;
  /// Queries the IOVA ranges that all groups now in the container can use.
  [[nodiscard]] virtual Result<std::vector<IovaRange>> read_usable_iova() const = 0;
};

/// Physical addresses of this process's pages, from /proc/self/pagemap (Linux, Documentation/admin-guide/mm/
/// pagemap.rst). Not for a forked child: the open file still describes the parent's pages.
class Pagemap final : public PhysicalAddresses {
 public:
  /// Opens the file and looks up one page as a test. Errors: `permission_denied` (the kernel hides addresses from a
  /// process without CAP_SYS_ADMIN), `not_supported` (a kernel without the file).
  [[nodiscard]] static Result<std::shared_ptr<const Pagemap>> open(const Host& host);

  explicit Pagemap(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  [[nodiscard]] Result<std::uint64_t> find(const std::byte* address) const override;

 private:
  Descriptor descriptor_;
};

/// Opens /dev/vfio/vfio and checks its API version. Errors: `module_not_loaded`, `permission_denied`,
/// `not_supported`.
[[nodiscard]] Result<Descriptor> open_container_file(const Host& host);

/// Opens /dev/vfio/vfio and checks that it supports type1. Memory can be mapped after a group has joined and
/// `set_iommu` was called. Errors: those of `open_container_file`.
[[nodiscard]] Result<std::shared_ptr<GroupContainer>> open_container(const Host& host);

/// Opens /dev/vfio/vfio, and /proc/self/pagemap for physical addresses. Errors: `module_not_loaded`,
/// `permission_denied`, `not_supported`.
[[nodiscard]] Result<std::shared_ptr<GroupContainer>> open_no_iommu_container(const Host& host);

}  // namespace pollux::vfio
