// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "backends/vfio/group_container.hpp"

namespace pollux::vfio {

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
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

 private:
  Host host_;
  Descriptor descriptor_;
  std::vector<IovaRange> ranges_;
  std::size_t mappings_ = 0;
};

}  // namespace pollux::vfio
