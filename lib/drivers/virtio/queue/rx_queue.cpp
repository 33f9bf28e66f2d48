// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/queue/rx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "hw/virtio/net.hpp"
#include "net/frame_size.hpp"
#include "net/virtio_net_header.hpp"

namespace pollux::drivers::virtio {

namespace {

constexpr unsigned kBuffersShift = 48;  // of num_buffers in RxFastPath::header

// Flags and kind of segmentation, but DATA_VALID only where it means nothing, and the number of buffers.
std::uint64_t header_mask(hw::virtio::Features features) noexcept {
  using namespace hw::virtio::feature;
  const std::uint64_t ignored = (features & kGuestCsum) != 0 ? VirtioNetHeader::kDataValid : 0;
  const std::uint64_t buffers = (features & kMrgRxbuf) != 0 ? 0xFFFF : 0;
  return (0xFFFF & ~ignored) | buffers << kBuffersShift;
}

}  // namespace

RxQueue::RxQueue(const RxFilter& filter, bool sleeps) : pollux::RxQueue(&idle, &filter) {
  if (sleeps) use_event(std::make_shared<QueueEvent>(-1, QueueEvent::Trigger::edge));
}

// The header lies in front of the frame, which begins where that of any port does, if there is headroom for it.
void RxQueue::setup(RxQueueSetup setup) {
  using namespace hw::virtio;
  features_ = setup.features;
  packed_ = (setup.features & feature::kRingPacked) != 0;
  mergeable_ = (setup.features & feature::kMrgRxbuf) != 0;
  hashes_ = (setup.features & feature::kHashReport) != 0;
  const RingOptions options{.event_index = (setup.features & feature::kEventIdx) != 0,
                            .in_order = (setup.features & feature::kInOrder) != 0};
  memory_ = std::move(setup.memory);
  mask_ = memory_.size - 1;
  packed_ring_ = packed_ ? PackedRing(memory_, options) : PackedRing();
  split_ring_ = packed_ ? SplitRing() : SplitRing(memory_, options);
  set_up(std::move(setup.pool), std::move(setup.cache), setup.port);
  const std::uint32_t header = hashes_ ? sizeof(NetHeaderWithHash) : sizeof(NetHeader);
  const std::uint32_t data = std::max(pool()->data_offset(), header);
  const std::uint32_t buffer_bytes = std::min(setup.buffer_bytes, pool()->buffer_size() - data);
  const std::uint64_t moved = data - pool()->data_offset();
  fast_path_ = {.shortest = header + kEthernetHeaderBytes,
                .word = pool()->empty_word(RxFormat::virtio_net, setup.port) + kEthernetHeaderBytes +
                        (moved << MbufAccess::kOffsetShift),
                .header_at = static_cast<std::uint32_t>(Mbuf::kHeaderSize) + data - header,
                .header_bytes = header,
                .iova_at = data - header,
                .room = header + buffer_bytes,
                .max_excess = buffer_bytes - kEthernetHeaderBytes,
                .header_mask = header_mask(setup.features),
                .header = mergeable_ ? std::uint64_t{1} << kBuffersShift : 0};
  slot_memory_.assign(memory_.size, nullptr);
  slots_ = slot_memory_.data();
  posted_.resize(memory_.size);
  slot_of_.resize(memory_.size);
}

Result<void> RxQueue::fill(std::span<Mbuf* const> given) {
  const std::span slots(slot_memory_);
  const auto missing = slots.subspan(std::min(given.size(), slots.size()));
  const std::uint32_t taken = pool()->take(missing);
  if (taken != missing.size()) {
    pool()->put(missing.first(taken));
    std::fill(missing.begin(), missing.end(), nullptr);
    pool()->count_failure();
    return fail(ErrorCode::no_memory,
                fmt::format("mempool {} has {} mbufs left and a receive ring needs {}", pool()->options().name, taken,
                            missing.size()),
                "make the pool larger (count) or the rings smaller (rx.ring)");
  }
  std::copy_n(given.begin(), slots.size() - missing.size(), slots.begin());
  clear_ring();
  return {};
}

void RxQueue::clear_ring() noexcept {
  next_ = 0;
  published_ = memory_.size;
  batch_end_.reset();
  fast_ = !hashes_;
  fault_.store(nullptr, std::memory_order_release);
  std::iota(posted_.begin(), posted_.end(), 0U);
  slot_of_ = posted_;
  // What a device used in an earlier life of the ring must not be seen again.
  std::memset(memory_.descriptors.address, 0,
              static_cast<std::size_t>(memory_.extra.address - memory_.descriptors.address));
  with_ring([](const auto& ring) { ring.ask_none(0); });
}

void RxQueue::publish_all() noexcept {
  with_ring([&](const auto& ring) {
    for (std::uint32_t slot = 0; slot <= mask_; ++slot) {
      post(ring, slot, slot, MbufAccess::iova(*slots_[slot]) + fast_path_.iova_at, fast_path_.room);
    }
    ring.publish(0, mask_ + 1, 0, notifier_);
  });
  notifier_.flush();
}

void RxQueue::open() noexcept {
  open_bursts(rx_burst_for(packed_));
  notify_change();
}

std::uint32_t RxQueue::drain(DrainReason reason, std::span<Mbuf*> kept) noexcept {
  if (slots_ == nullptr || slots_[0] == nullptr) return 0;
  const RxDrop why = reason == DrainReason::stopped ? &RxDrops::stopped : &RxDrops::removed;
  const std::uint32_t end = next_ + mask_ + 1;
  with_ring([&](const auto& ring) {
    for (std::uint32_t position = next_; position != end && fault() == nullptr;) {
      const std::uint32_t ready = ring.ready(position);
      if (ready == 0 || ready > end - position) break;
      const UsedBuffer used = ring.at(position);
      if (used.id > mask_) break;
      hw::virtio::NetHeader header;
      const auto* const start = reinterpret_cast<const std::byte*>(slots_[used.id]) + fast_path_.header_at;
      std::memcpy(&header, start, sizeof header);
      const std::uint32_t bytes = used.length - std::min(used.length, fast_path_.header_bytes);
      drop(why, reinterpret_cast<const std::uint8_t*>(start) + fast_path_.header_bytes, bytes);
      const std::uint32_t buffers = mergeable_ ? header.num_buffers : 1;
      position += std::clamp(buffers, 1U, end - position);
    }
  });
  // Everything goes to the pool's shared list: the cache belongs to the polling thread.
  std::copy_n(slots_, kept.size(), kept.begin());
  pool()->put(std::span(slot_memory_).subspan(kept.size()));
  std::fill(slot_memory_.begin(), slot_memory_.end(), nullptr);
  return mask_ + 1;
}

void RxQueue::retire() noexcept {
  pollux::RxQueue::retire();
  slots_ = nullptr;
  slot_memory_.clear();
  memory_ = {};
}

std::optional<RxDescriptorStatus> RxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (slots_ == nullptr || slots_[0] == nullptr || offset > mask_) return std::nullopt;
  const bool done = packed_ ? packed_ring_.ready(next_ + offset) != 0 : split_ring_.ready(next_) > offset;
  return done ? RxDescriptorStatus::done : RxDescriptorStatus::empty;
}

void RxQueue::attach_vector(int source) noexcept {
  has_vector_ = source >= 0;
  if (event() != nullptr) event()->set_source(source);
}

bool RxQueue::has_frame() const noexcept {
  return with_ring([&](const auto& ring) { return ring.ready(next_) != 0; });
}

// The first look saves the barrier. The second one finds the frames that came before the device was asked.
bool RxQueue::watch() noexcept {
  if (!has_vector_ || has_frame()) return false;
  with_ring([&](const auto& ring) { ring.ask_interrupt(next_); });
  notifier_.flush();
  return !has_frame();
}

void RxQueue::unwatch() noexcept {
  gate_.visit(&idle, [&] { with_ring([&](const auto& ring) { ring.ask_none(next_); }); });
}

}  // namespace pollux::drivers::virtio
