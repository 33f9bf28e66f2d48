// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/umem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace pollux::xdp {
namespace {

/// Linux, include/uapi/linux/bpf.h, XDP_PACKET_HEADROOM: the kernel leaves as much before each frame.
constexpr std::uint32_t kKernelHeadroom = 256;

}  // namespace

Result<ChunkLayout> ChunkLayout::of(const MempoolOptions& pool, const std::string& name) {
  const std::uint32_t data = static_cast<std::uint32_t>(Mbuf::kHeaderSize) + pool.headroom + (pool.ip_align ? 2U : 0U);
  if (data < kKernelHeadroom) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: pool '{}' has headroom = {}, and the kernel needs {} bytes in front of a frame", name,
                            pool.name, pool.headroom, kKernelHeadroom),
                fmt::format("create the pool with headroom = {} or more", kKernelHeadroom - Mbuf::kHeaderSize));
  }
  constexpr std::uint32_t kSmallest = 2048;
  constexpr std::uint32_t kLargest = 4096;
  const std::uint32_t stride = MempoolCore::stride(pool);
  // The kernel keeps room behind a frame (struct skb_shared_info): as much is left of its smallest chunk.
  constexpr std::uint32_t kMinRoom = 448;
  if (stride - data < kMinRoom) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: pool '{}' has data_room = {}, and the kernel wants buffers of {}", name, pool.name,
                            pool.data_room, kMinRoom),
                fmt::format("create the pool with data_room = {} or more", kMinRoom));
  }
  const std::uint32_t before = stride < kSmallest ? kSmallest - stride : 0;
  return ChunkLayout{
      .chunk = std::clamp(stride, kSmallest, kLargest), .headroom = data + before - kKernelHeadroom, .before = before};
}

std::uint32_t ChunkLayout::room() const noexcept { return chunk - headroom - kKernelHeadroom; }

bool Umem::holds(const void* address, std::size_t bytes) const noexcept {
  const auto* const start = static_cast<const std::byte*>(address);
  return std::any_of(pieces_.begin(), pieces_.end(), [&](const Piece& piece) {
    return start >= piece.first && start + bytes <= piece.first + piece.bytes &&
           piece.exists.load(std::memory_order_acquire);
  });
}

bool Umem::holds(const MempoolCore& pool) const noexcept {
  return holds(&pool.at(0), 1) && holds(&pool.at(pool.options().count - 1), 1);
}

std::optional<Umem::Bound> Umem::bound_socket(bool zero_copy) const {
  const std::lock_guard guard(lock_);
  const auto found = std::ranges::find(sockets_, zero_copy, &Bound::zero_copy);
  return found == sockets_.end() ? std::nullopt : std::optional(*found);
}

void Umem::add_socket(Bound socket) {
  const std::lock_guard guard(lock_);
  sockets_.push_back(socket);
}

void Umem::remove_socket(int descriptor) {
  const std::lock_guard guard(lock_);
  std::erase_if(sockets_, [=](const Bound& socket) { return socket.descriptor == descriptor; });
}

/// Called with the Context's lock held, so it calls nothing of the Context.
class SharedMemory::Domain final : public DmaDomain {
 public:
  [[nodiscard]] std::string_view name() const override { return "AF_XDP"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return {{0, ~std::uint64_t{0}}}; }

  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    const std::lock_guard guard(lock_);
    if (segment.writable) segments_.emplace(segment.address, segment.size);
    return {};
  }

  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override {
    const std::lock_guard guard(lock_);
    segments_.erase(segment.address);
    for (const auto& weak : areas_) {
      const auto area = weak.lock();
      if (area == nullptr) continue;
      for (Umem::Piece& piece : area->pieces_) {
        if (piece.first == segment.address) piece.exists.store(false, std::memory_order_release);
      }
    }
    return {};
  }

  [[nodiscard]] std::shared_ptr<Umem> area(const std::vector<const MempoolCore*>& pools, ChunkLayout layout) {
    const std::lock_guard guard(lock_);
    std::erase_if(areas_, [](const auto& weak) { return weak.expired(); });
    const auto fits = [&](const Umem& area) {
      return std::all_of(pools.begin(), pools.end(), [&](const MempoolCore* pool) { return area.holds(*pool); });
    };
    for (const auto& weak : areas_) {
      if (auto area = weak.lock(); area != nullptr && area->layout() == layout && fits(*area)) return area;
    }
    std::shared_ptr<Umem> best;
    for (auto& area : runs(layout)) {
      if (fits(*area) && (best == nullptr || area->bytes() > best->bytes())) best = area;
    }
    if (best != nullptr) areas_.push_back(best);
    return best;
  }

 private:
  /// All memory, as areas of adjacent segments.
  [[nodiscard]] std::vector<std::shared_ptr<Umem>> runs(ChunkLayout layout) const {
    std::vector<std::shared_ptr<Umem>> runs;
    const std::byte* end = nullptr;
    for (const auto& [address, size] : segments_) {
      if (address != end) runs.push_back(std::make_shared<Umem>(layout));
      runs.back()->pieces_.emplace_back(address, size);
      end = address + size;
    }
    return runs;
  }

  std::mutex lock_;
  std::map<std::byte*, std::size_t> segments_;
  std::vector<std::weak_ptr<Umem>> areas_;
};

SharedMemory::SharedMemory() : domain_(std::make_shared<Domain>()) {}

Result<void> SharedMemory::follow(Context& context) {
  const std::lock_guard guard(lock_);
  if (attached_) return {};
  auto attached = context.attach(domain_);
  attached_ = attached.has_value();
  return attached;
}

Result<void> SharedMemory::open(InterfaceId interface, const std::string& name) {
  const std::lock_guard guard(lock_);
  if (open_.insert(interface).second) return {};
  return fail(ErrorCode::busy, fmt::format("{}: the interface is already open", name), "close that port first");
}

void SharedMemory::close(InterfaceId interface) noexcept {
  const std::lock_guard guard(lock_);
  open_.erase(interface);
}

std::shared_ptr<Umem> SharedMemory::area(const std::vector<const MempoolCore*>& pools, ChunkLayout layout) {
  return domain_->area(pools, layout);
}

}  // namespace pollux::xdp
