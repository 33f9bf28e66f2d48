// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "drivers/virtio/queue/virtqueue.hpp"
#include "hw/virtio/net.hpp"
#include "hw/virtio/pci.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/device/device.hpp"

namespace pollux::drivers::virtio {

/// The structures of a device's BARs: VIRTIO 1.2, 4.1.4 "Virtio Structure PCI Capabilities". Must not outlive the
/// Device.
/// Thread rule: that of Bar.
class Transport {
 public:
  Transport() = default;
  /// Finds them by the capabilities of `device`. Errors: not_supported (a legacy device, which has none), device_fault
  /// (a structure lies outside its BAR), and those of the device's own calls.
  [[nodiscard]] static Result<Transport> find(Device& device);

  [[nodiscard]] const hw::virtio::CommonRegisters& common() const noexcept { return common_; }
  [[nodiscard]] const hw::virtio::NetRegisters& net() const noexcept { return net_; }
  /// Whether the common configuration has QUEUE_RESET.
  [[nodiscard]] bool has_queue_reset() const noexcept { return has_queue_reset_; }
  /// The doorbell of a queue, by its QUEUE_NOTIFY_OFF. Error device_fault: it lies outside the doorbells.
  [[nodiscard]] Result<Notifier> notifier(const std::string& device, std::uint16_t queue, std::uint32_t notify_off,
                                          bool with_data) const;

 private:
  /// A structure's place.
  struct Place {
    Bar bar;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  /// A window that begins at an offset of a remote one.
  class RemotePart;

  [[nodiscard]] Bar window(const Place& place);

  hw::virtio::CommonRegisters common_;
  hw::virtio::NetRegisters net_;
  bool has_queue_reset_ = false;
  Place notify_;
  std::uint32_t notify_multiplier_ = 0;
  std::vector<std::shared_ptr<RemoteRegisters>> parts_;
};

}  // namespace pollux::drivers::virtio
