// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "backends/vfio/descriptor.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// The process's right to use a device, and the translation of the device's DMA: a group in a container, or an IOMMUFD.
/// The destructor releases both, so this object outlives the device's descriptor.
class DeviceAccess {
 public:
  DeviceAccess() = default;
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
  virtual ~DeviceAccess() = default;
  [[nodiscard]] virtual DmaDomain& dma_domain() = 0;
};

/// An opened device: its descriptor and the access it depends on. VfioDevice works the same with each kind of access.
struct OpenedDevice {
  std::unique_ptr<DeviceAccess> access;
  Descriptor descriptor;  // declared last: closed first
};

}  // namespace pollux::vfio
