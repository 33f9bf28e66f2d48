// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/paravirtual/queue_memory.hpp"

#include <cstring>
#include <utility>

#include <fmt/format.h>

namespace pollux::drivers::paravirtual {

Result<QueueMemory> allocate_queue_memory(ContextState& context, std::size_t bytes, int numa_node,
                                          std::string_view port) {
  auto memory = context.allocate({.size = bytes, .numa_node = numa_node, .purpose = fmt::format("queue of {}", port)});
  if (!memory) return pass_on(std::move(memory));
  const DmaSegment segment = memory->segments().front();
  if (segment.size < bytes) {
    return fail(
        ErrorCode::no_memory, fmt::format("{}: a queue does not fit into contiguous memory", port),
        "reserve huge pages (without an IOMMU, queues need physically contiguous memory), or use smaller rings");
  }
  std::memset(segment.address, 0, bytes);
  return QueueMemory{segment.address, segment.iova, std::make_shared<const DmaMemory>(*std::move(memory))};
}

}  // namespace pollux::drivers::paravirtual
