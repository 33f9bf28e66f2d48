// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/mem/dma_domain.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::vfio {

/// An IOMMUFD with one address space. All devices of a Context share it, so memory is pinned once.
class Iommufd final : public DmaDomain {
 public:
  /// Opens /dev/iommu and creates the address space. Errors: `module_not_loaded`, `permission_denied`, `io_error`.
  [[nodiscard]] static Result<std::shared_ptr<Iommufd>> open(const Host& host);

  Iommufd(const Host& host, Descriptor descriptor, std::uint32_t ioas)
      : host_(host), descriptor_(std::move(descriptor)), ioas_(ioas) {}

  /// Binds the device file `opened` to this IOMMUFD and attaches the device to the address space, until the file is
  /// closed. Errors: `busy`, `group_in_use`, `group_not_viable`, `not_supported`, `io_error`.
  [[nodiscard]] Result<void> attach_device(const Descriptor& opened, const pci::DeviceInfo& device);
  /// Queries the IOVA ranges that all attached devices can use.
  [[nodiscard]] Result<std::vector<IovaRange>> read_usable_iova() const;
  /// Sets the value of `usable_iova`. Call after the first device was attached to this IOMMUFD, and before this IOMMUFD
  /// is attached to a Context.
  void set_usable_iova(std::vector<IovaRange> ranges) { ranges_ = std::move(ranges); }

  [[nodiscard]] std::string_view name() const override { return "IOMMUFD"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return ranges_; }
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

 private:
  Host host_;
  Descriptor descriptor_;
  std::uint32_t ioas_;
  std::vector<IovaRange> ranges_;
  std::uint64_t pinned_ = 0;
};

}  // namespace pollux::vfio
