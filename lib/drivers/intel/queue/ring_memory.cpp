// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/ring_memory.hpp"

#include <memory>
#include <string>

#include <fmt/format.h>

#include "hw/intel/rings.hpp"

namespace pollux::drivers::intel {
namespace {

using hw::intel::Descriptor;

/// Places one ring after the other in the segments of a DmaMemory.
class RingPlacer {
 public:
  explicit RingPlacer(const DmaMemory& memory) : segments_(memory.segments()) {}

  /// Returns false if no segment has room. Call it for the larger rings first: sizes are powers of two, so little is
  /// lost at the ends of segments.
  [[nodiscard]] bool place(std::uint32_t size, std::vector<Ring>& into) {
    const std::size_t bytes = size * sizeof(Descriptor);
    while (!segments_.empty() && used_ + bytes > segments_.front().size) {
      segments_ = segments_.subspan(1);
      used_ = 0;
    }
    if (segments_.empty()) return false;
    std::byte* const start = segments_.front().address + used_;
    Ring ring{.descriptors = nullptr, .iova = segments_.front().iova + used_, .size = size};
    ring.descriptors = reinterpret_cast<Descriptor*>(start);
    std::uninitialized_value_construct_n(ring.descriptors, size);
    into.push_back(ring);
    used_ += bytes;
    return true;
  }

 private:
  std::span<const DmaSegment> segments_;
  std::size_t used_ = 0;
};

// Every ring size is a multiple of the smallest, so consecutive rings are aligned.
static_assert(hw::intel::kRingMin * sizeof(Descriptor) % hw::intel::kRingAlignment == 0);

}  // namespace

Result<RingMemory> RingMemory::allocate(ContextState& context, const ValidatedConfig& config, int numa_node,
                                        std::string_view port) {
  const std::size_t descriptors =
      std::size_t{config.rx_queues} * config.rx_ring + std::size_t{config.tx_queues} * config.tx_ring;
  const std::string purpose = fmt::format("rings of {}", port);
  auto memory =
      context.allocate({.size = descriptors * sizeof(Descriptor), .numa_node = numa_node, .purpose = purpose});
  if (!memory) return pass_on(std::move(memory));

  RingMemory rings;
  rings.memory_ = *std::move(memory);
  RingPlacer placer(rings.memory_);
  const auto place_all = [&](std::uint16_t count, std::uint32_t size, std::vector<Ring>& into) {
    for (std::uint16_t i = 0; i < count; ++i) {
      if (!placer.place(size, into)) return false;
    }
    return true;
  };
  const bool rx_first = config.rx_ring >= config.tx_ring;
  bool fits = rx_first || place_all(config.tx_queues, config.tx_ring, rings.tx_);
  fits = fits && place_all(config.rx_queues, config.rx_ring, rings.rx_);
  fits = fits && (!rx_first || place_all(config.tx_queues, config.tx_ring, rings.tx_));
  if (fits) return rings;
  return fail(ErrorCode::no_memory, fmt::format("{}: a ring does not fit into contiguous memory", port),
              "reserve huge pages (without an IOMMU, rings need physically contiguous memory), or use smaller rings");
}

}  // namespace pollux::drivers::intel
