// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>

#include "drivers/virtio/net/card.hpp"
#include "drivers/virtio/queue/rings.hpp"
#include "hw/virtio/control.hpp"

namespace pollux::drivers::virtio {

/// Sends commands to the device, one at a time: VIRTIO 1.2, 5.1.6.5 "Control Virtqueue".
/// Thread rule: the port's control thread.
class ControlQueue {
 public:
  /// Bytes of the longest data of a command.
  static constexpr std::uint32_t kMaxData = 4096;
  /// A command needs three descriptors.
  static constexpr std::uint32_t kMinSize = 4;

  /// Takes memory for a queue of the device that `card` describes, once for all starts. Errors: those of
  /// allocate_virtqueue; device_fault (the device has too short a queue).
  [[nodiscard]] Result<void> allocate(const VirtioNetCard& card, std::uint16_t queue, int numa_node);
  /// Empties the queue and gives it to the device, after its reset. Errors: see enable_queue.
  [[nodiscard]] Result<void> start(const VirtioNetCard& card);
  /// Sends a command and waits for the device's answer. `name` is for messages. Errors: device_fault (the device
  /// refuses), timeout (the device does not answer: no command can be sent until the next start), device_removed.
  [[nodiscard]] Result<void> send(const VirtioNetCard& card, std::string_view name,
                                  hw::virtio::ControlClass control_class, std::uint8_t command,
                                  std::span<const std::uint8_t> data);

 private:
  [[nodiscard]] bool take_used() noexcept;
  void write(std::uint32_t data_bytes) noexcept;

  Virtqueue memory_;
  Notifier notifier_;
  SplitRing split_;
  PackedRing packed_ring_;
  std::uint16_t queue_ = 0;
  bool packed_ = false;
  bool is_silent_ = false;   // a command is still with the device
  std::uint32_t next_ = 0;   // position of the next descriptor
  std::uint32_t entry_ = 0;  // commands so far
};

}  // namespace pollux::drivers::virtio
