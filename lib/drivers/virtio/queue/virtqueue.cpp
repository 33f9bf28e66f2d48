// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/queue/virtqueue.hpp"

#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "hw/virtio/rings.hpp"

namespace pollux::drivers::virtio {
namespace {

/// Each area begins a cache line, since device and driver write different ones.
constexpr std::size_t kLine = 64;

constexpr std::size_t lines(std::size_t bytes) noexcept { return (bytes + kLine - 1) / kLine * kLine; }

}  // namespace

Result<Virtqueue> allocate_virtqueue(ContextState& context, hw::virtio::Features features, std::uint32_t size,
                                     std::size_t extra, int numa_node, std::string_view port) {
  const bool packed = (features & hw::virtio::feature::kRingPacked) != 0;
  const std::size_t descriptors = lines(size * sizeof(hw::virtio::SplitDescriptor));
  const std::size_t driver =
      lines(packed ? sizeof(hw::virtio::EventSuppression) : hw::virtio::split_driver_bytes(size));
  const std::size_t device =
      lines(packed ? sizeof(hw::virtio::EventSuppression) : hw::virtio::split_device_bytes(size));
  const std::size_t bytes = descriptors + driver + device + lines(extra);
  auto memory = context.allocate({.size = bytes, .numa_node = numa_node, .purpose = fmt::format("queue of {}", port)});
  if (!memory) return pass_on(std::move(memory));
  const DmaSegment segment = memory->segments().front();
  if (segment.size < bytes) {
    return fail(
        ErrorCode::no_memory, fmt::format("{}: a queue does not fit into contiguous memory", port),
        "reserve huge pages (without an IOMMU, queues need physically contiguous memory), or use smaller rings");
  }
  std::memset(segment.address, 0, bytes);
  std::size_t used = 0;
  const auto take = [&](std::size_t part) {
    const DmaArea area{segment.address + used, segment.iova + used};
    used += part;
    return area;
  };
  Virtqueue queue{.size = size,
                  .descriptors = take(descriptors),
                  .driver = take(driver),
                  .device = take(device),
                  .extra = take(extra),
                  .memory = nullptr};
  queue.memory = std::make_shared<const DmaMemory>(*std::move(memory));
  return queue;
}

}  // namespace pollux::drivers::virtio
