// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "backends/vfio/group_container.hpp"
#include "backends/vfio/pagemap.hpp"

namespace pollux::vfio {

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
