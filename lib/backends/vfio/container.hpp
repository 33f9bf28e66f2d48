// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
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

/// A VFIO type1 container: one IOMMU address space that all groups in it share. Memory is pinned once, for any number
/// of groups.
class Container final : public GroupContainer {
 public:
  /// Opens /dev/vfio/vfio and checks that it supports type1. Memory can be mapped after a group has joined and
  /// `set_iommu` was called. Errors: those of `open_container_file`.
  [[nodiscard]] static Result<std::shared_ptr<GroupContainer>> open(const Host& host);

  Container(const Host& host, Descriptor descriptor) : host_(host), descriptor_(std::move(descriptor)) {}

  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.get(); }
  /// Error `not_supported` if the IOMMU cannot isolate interrupts.
  [[nodiscard]] Result<void> set_iommu() override;
  [[nodiscard]] Result<std::vector<IovaRange>> read_usable_iova() const override;

  [[nodiscard]] std::string_view name() const override { return "VFIO container"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return ranges_; }
  [[nodiscard]] bool is_iommu() const override { return true; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

 private:
  Host host_;
  Descriptor descriptor_;
  std::vector<IovaRange> ranges_;
  std::size_t mappings_ = 0;
};

/// A container of VFIO's no-IOMMU mode. Nothing is translated, so devices use physical addresses and can access all of
/// the machine's memory. `map` does nothing and pins no memory. Memory keeps its physical address because it consists
/// of huge pages: the kernel does not swap them, and moves them only on request.
class NoIommuContainer final : public GroupContainer {
 public:
  /// Opens /dev/vfio/vfio, and /proc/self/pagemap for physical addresses. Errors: `module_not_loaded`,
  /// `permission_denied`, `not_supported`.
  [[nodiscard]] static Result<std::shared_ptr<GroupContainer>> open(const Host& host);

  NoIommuContainer(Descriptor descriptor, std::shared_ptr<const Pagemap> pagemap)
      : descriptor_(std::move(descriptor)), pagemap_(std::move(pagemap)) {}

  [[nodiscard]] int descriptor() const noexcept override { return descriptor_.get(); }
  [[nodiscard]] Result<void> set_iommu() override;
  [[nodiscard]] Result<std::vector<IovaRange>> read_usable_iova() const override { return usable_iova(); }

  [[nodiscard]] std::string_view name() const override { return "a device without an IOMMU"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }
  [[nodiscard]] std::shared_ptr<const PhysicalAddresses> physical_addresses() const override { return pagemap_; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    if (segment.writable) return {};
    return fail(ErrorCode::not_supported, "a device without an IOMMU can write all memory");
  }
  [[nodiscard]] Result<void> unmap(const DmaSegment&) override { return {}; }

 private:
  Descriptor descriptor_;
  std::shared_ptr<const Pagemap> pagemap_;
};

}  // namespace pollux::vfio
