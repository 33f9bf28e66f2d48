// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/queue/virtqueue.hpp"

#include <utility>

#include "hw/virtio/rings.hpp"

namespace pollux::drivers::virtio {
namespace {

/// Each area begins a cache line, since device and driver write different ones.
constexpr std::size_t kLine = 64;

constexpr std::size_t lines(std::size_t bytes) noexcept { return (bytes + kLine - 1) / kLine * kLine; }

struct Sizes {
  std::size_t descriptors;
  std::size_t driver;
  std::size_t device;

  Sizes(hw::virtio::Features features, std::uint32_t size) noexcept {
    const bool packed = (features & hw::virtio::feature::kRingPacked) != 0;
    descriptors = lines(size * sizeof(hw::virtio::SplitDescriptor));
    driver = lines(packed ? sizeof(hw::virtio::EventSuppression) : hw::virtio::split_driver_bytes(size));
    device = lines(packed ? sizeof(hw::virtio::EventSuppression) : hw::virtio::split_device_bytes(size));
  }
};

}  // namespace

std::size_t virtqueue_bytes(hw::virtio::Features features, std::uint32_t size, std::size_t extra) noexcept {
  const Sizes sizes(features, size);
  return sizes.descriptors + sizes.driver + sizes.device + lines(extra);
}

Virtqueue place_virtqueue(paravirtual::QueueMemory memory, hw::virtio::Features features, std::uint32_t size,
                          std::size_t extra) noexcept {
  const Sizes sizes(features, size);
  std::size_t used = 0;
  const auto take = [&](std::size_t part) {
    const DmaArea area{memory.address + used, memory.iova + used};
    used += part;
    return area;
  };
  return {.size = size,
          .descriptors = take(sizes.descriptors),
          .driver = take(sizes.driver),
          .device = take(sizes.device),
          .extra = take(extra),
          .memory = std::move(memory.memory)};
}

Result<Virtqueue> allocate_virtqueue(ContextState& context, hw::virtio::Features features, std::uint32_t size,
                                     std::size_t extra, int numa_node, std::string_view port) {
  auto memory = paravirtual::allocate_queue_memory(context, virtqueue_bytes(features, size, extra), numa_node, port);
  if (!memory) return pass_on(std::move(memory));
  return place_virtqueue(*std::move(memory), features, size, extra);
}

}  // namespace pollux::drivers::virtio
