// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "backends/vfio/descriptor.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// What the process needs before it can open a device: the VFIO access (a group in a container, or an IOMMUFD) and the
/// DMA domain. The destructor releases both, so close the device's descriptor before it runs.
class DeviceAccess {
 public:
  DeviceAccess() = default;
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
  virtual ~DeviceAccess() = default;
  [[nodiscard]] virtual DmaDomain& dma_domain() = 0;
};

/// An opened device: its descriptor and the access it depends on. VfioDevice does not depend on the kind of access.
struct OpenedDevice {
  std::unique_ptr<DeviceAccess> access;
  Descriptor descriptor;  // declared last: closed first
};

}  // namespace pollux::vfio
