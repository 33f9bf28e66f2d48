// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "drivers/paravirtual/queue_memory.hpp"
#include "hw/virtio/features.hpp"
#include "hw/virtio/pci.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/mem/dma_memory.hpp"

namespace pollux::drivers::virtio {

/// Memory that the device accesses.
struct DmaArea {
  std::byte* address = nullptr;
  std::uint64_t iova = 0;

  template <class T>
  [[nodiscard]] T* at(std::size_t offset = 0) const noexcept {
    return reinterpret_cast<T*>(address + offset);
  }
};

/// The memory of one virtqueue: the three areas that the device is told of, and one for what its buffers need besides
/// frames. Free it only after the device has been reset, or the queue.
struct Virtqueue {
  std::uint32_t size = 0;  ///< descriptors, a power of two
  DmaArea descriptors;
  DmaArea driver;
  DmaArea device;
  DmaArea extra;
  std::shared_ptr<const DmaMemory> memory;
};

/// Bytes of a virtqueue of `size` descriptors in the ring format of `features`, with `extra` bytes.
[[nodiscard]] std::size_t virtqueue_bytes(hw::virtio::Features features, std::uint32_t size,
                                          std::size_t extra) noexcept;
/// Such a virtqueue in memory of that size.
[[nodiscard]] Virtqueue place_virtqueue(paravirtual::QueueMemory memory, hw::virtio::Features features,
                                        std::uint32_t size, std::size_t extra) noexcept;
/// Allocates a virtqueue of `size` descriptors in the ring format of `features`, with `extra` bytes, all zero.
/// Errors: those of ContextState::allocate; no_memory if it does not fit into contiguous memory.
[[nodiscard]] Result<Virtqueue> allocate_virtqueue(ContextState& context, hw::virtio::Features features,
                                                   std::uint32_t size, std::size_t extra, int numa_node,
                                                   std::string_view port);

/// Tells the device that a queue has new buffers: VIRTIO 1.2, 2.9 "Driver Notifications" and 4.1.5.2.
class Notifier {
 public:
  Notifier() = default;
  /// `offset`: of the queue's doorbell in `bar`. `with_data`: NOTIFICATION_DATA was negotiated.
  Notifier(const Bar& bar, std::uint32_t offset, std::uint16_t queue, bool with_data) noexcept
      : narrow_(bar, offset), wide_(bar, offset), queue_(queue), with_data_(with_data) {}

  /// `next`: see hw::virtio::notification.
  void ring(std::uint16_t next) const noexcept {
    if (with_data_) return wide_.ring(hw::virtio::notification(queue_, next));
    narrow_.ring(queue_);
  }
  /// Sends the queued writes of remote registers.
  void flush() const noexcept { wide_.flush(); }

 private:
  BasicDoorbell<std::uint16_t> narrow_;
  Doorbell wide_;
  std::uint16_t queue_ = 0;
  bool with_data_ = false;
};

}  // namespace pollux::drivers::virtio
