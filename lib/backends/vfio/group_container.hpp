// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

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

}  // namespace pollux::vfio
