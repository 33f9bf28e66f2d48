// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "backends/vfio/descriptor.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// What entitles this process to a device's descriptor and translates its DMA: a group in a container, an IOMMUFD.
/// Going away gives both back, so it outlives the descriptor.
class DeviceAccess {
 public:
  DeviceAccess() = default;
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
  virtual ~DeviceAccess() = default;
  [[nodiscard]] virtual DmaDomain& dma_domain() = 0;
};

/// A device's descriptor, however it was come by; what is done with it is VfioDevice's part.
struct OpenedDevice {
  std::unique_ptr<DeviceAccess> access;
  Descriptor descriptor;  // declared last: closed first
};

}  // namespace pollux::vfio
