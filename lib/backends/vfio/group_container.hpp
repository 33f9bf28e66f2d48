// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// What IOMMU groups join, so that their devices can be opened: all groups in one share its translation, or none of
/// them has any.
class GroupContainer : public DmaDomain {
 public:
  [[nodiscard]] virtual int descriptor() const noexcept = 0;
  /// Once, after the first group joined.
  [[nodiscard]] virtual Result<void> set_iommu() = 0;
  /// Asks anew what the groups that are in it now can reach together.
  [[nodiscard]] virtual Result<std::vector<IovaRange>> read_usable_iova() const = 0;
};

}  // namespace pollux::vfio
