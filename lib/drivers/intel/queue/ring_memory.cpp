// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/ring_memory.hpp"

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/compiler.hpp"
#include "hw/intel/descriptors.hpp"

namespace pollux::drivers::intel {
namespace {

using hw::intel::Descriptor;

/// Places one ring after the other in the segments of a DmaMemory. Each belongs to another thread than the next.
class RingPlacer {
 public:
  explicit RingPlacer(const DmaMemory& memory) : segments_(memory.segments()) {}

  /// Returns false if no segment has room. Call it for the larger rings first: sizes are powers of two, so little is
  /// lost at the ends of segments.
  [[nodiscard]] bool place(std::uint32_t size, Ring& into) {
    const std::size_t bytes = size * sizeof(Descriptor);
    while (!segments_.empty() && used_ + bytes > segments_.front().size) {
      segments_ = segments_.subspan(1);
      used_ = 0;
    }
    if (segments_.empty()) return false;
    const DmaSegment& segment = segments_.front();
    into = {.descriptors = reinterpret_cast<Descriptor*>(segment.address + used_),
            .iova = segment.iova + used_,
            .size = size};
    std::uninitialized_value_construct_n(into.descriptors, size);
    used_ += bytes + kApartFromStream;
    return true;
  }

 private:
  std::span<const DmaSegment> segments_;
  std::size_t used_ = 0;
};

// Every ring size is a multiple of the smallest, so consecutive rings are aligned.
static_assert(hw::intel::kRingMin * sizeof(Descriptor) % hw::intel::kRingAlignment == 0);
static_assert(kApartFromStream % hw::intel::kRingAlignment == 0);

tl::unexpected<Error> does_not_fit(std::string_view port) {
  return fail(ErrorCode::no_memory, fmt::format("{}: a ring does not fit into contiguous memory", port),
              "reserve huge pages (without an IOMMU, rings need physically contiguous memory), or use smaller rings");
}

}  // namespace

Result<RingMemory> RingMemory::allocate(ContextState& context, const PlacedQueues& config, int numa_node,
                                        std::string_view port) {
  std::size_t bytes = 0;
  const auto add = [&](std::uint32_t ring) { bytes += ring * sizeof(Descriptor) + kApartFromStream; };
  for (const PlacedRxQueue& queue : config.rx) add(queue.ring);
  for (const PlacedTxQueue& queue : config.tx) add(queue.ring);
  const std::string purpose = fmt::format("rings of {}", port);
  auto memory = context.allocate({.size = bytes, .numa_node = numa_node, .purpose = purpose});
  if (!memory) return pass_on(std::move(memory));

  RingMemory rings;
  rings.memory_ = *std::move(memory);
  RingPlacer placer(rings.memory_);
  const auto place_all = [&](const auto& queues, std::uint32_t size, std::vector<Ring>& into) {
    for (std::size_t i = 0; i < queues.size(); ++i) {
      if (queues[i].ring == size && !placer.place(size, into[i])) return false;
    }
    return true;
  };
  rings.rx_.resize(config.rx.size());
  rings.tx_.resize(config.tx.size());
  bool fits = true;
  for (std::uint32_t size = hw::intel::kRingMax; fits && size >= hw::intel::kRingMin; size /= 2) {
    fits = place_all(config.rx, size, rings.rx_) && place_all(config.tx, size, rings.tx_);
  }
  if (!fits) return does_not_fit(port);
  rings.rx_exchanged_.resize(config.rx.size());
  rings.tx_exchanged_.resize(config.tx.size());
  return rings;
}

Result<RingMemory::Single> RingMemory::allocate_one(ContextState& context, std::uint32_t size, int numa_node,
                                                    std::string_view port) {
  const std::size_t bytes = size * sizeof(Descriptor);
  auto memory = context.allocate({.size = bytes, .numa_node = numa_node, .purpose = fmt::format("ring of {}", port)});
  if (!memory) return pass_on(std::move(memory));
  Single single{.memory = *std::move(memory), .ring = {}};
  RingPlacer placer(single.memory);
  if (!placer.place(size, single.ring)) return does_not_fit(port);
  return single;
}

void RingMemory::exchange(QueueId queue, Single ring) noexcept {
  (queue.receives() ? rx_ : tx_)[queue.index] = ring.ring;
  (queue.receives() ? rx_exchanged_ : tx_exchanged_)[queue.index] = std::move(ring.memory);
}

}  // namespace pollux::drivers::intel
