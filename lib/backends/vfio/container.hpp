// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "backends/vfio/iommu_info.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// A type1 container: one IOMMU address space that every group in it shares. Memory is pinned once, however many
/// groups.
class Container final : public DmaDomain {
 public:
  /// Opens /dev/vfio/vfio and checks that it speaks type1. Nothing can be mapped before a group has joined and
  /// `set_iommu` was called. Errors: `module_not_loaded`, `permission_denied`, `not_supported`.
  [[nodiscard]] static Result<std::shared_ptr<Container>> open(const Host& host);

  Container(const Host& host, Descriptor descriptor) : host_(host), descriptor_(std::move(descriptor)) {}

  /// Once, after the first group joined. Error `not_supported` where interrupts cannot be isolated.
  [[nodiscard]] Result<void> set_iommu();
  /// Asks anew what the groups that are in it now can reach together.
  [[nodiscard]] Result<IommuInfo> read_info() const { return read_iommu_info(descriptor_); }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }

  [[nodiscard]] std::string_view name() const override { return "VFIO container"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return ranges_; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

 private:
  Host host_;
  Descriptor descriptor_;
  std::vector<IovaRange> ranges_;
  std::size_t mappings_ = 0;
};

}  // namespace pollux::vfio
