// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/queue/rx_queue.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

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

VirtioRxQueue::VirtioRxQueue(const RxFilter& filter, bool sleeps, const VlansInSoftware* software)
    : RxVirtqueue(&idle, &filter) {
  vlans = software;
  if (sleeps) use_interrupts();
}

// The header lies in front of the frame, which begins where that of any port does, if there is headroom for it.
void VirtioRxQueue::setup(RxQueueSetup setup) {
  using namespace hw::virtio;
  features = setup.features;
  packed_ = (setup.features & feature::kRingPacked) != 0;
  mergeable = (setup.features & feature::kMrgRxbuf) != 0;
  hashes = (setup.features & feature::kHashReport) != 0;
  const RingOptions options{.event_index = (setup.features & feature::kEventIdx) != 0,
                            .in_order = (setup.features & feature::kInOrder) != 0};
  memory = std::move(setup.memory);
  mask = memory.size - 1;
  packed_ring = packed_ ? PackedRing(memory, options) : PackedRing();
  split_ring = packed_ ? SplitRing() : SplitRing(memory, options);
  set_up(std::move(setup.pool), std::move(setup.cache), setup.port);
  const std::uint32_t header = hashes ? sizeof(NetHeaderWithHash) : sizeof(NetHeader);
  const std::uint32_t data = std::max(pool()->data_offset(), header);
  const std::uint32_t buffer_bytes = std::min(setup.buffer_bytes, pool()->buffer_size() - data);
  const std::uint64_t moved = data - pool()->data_offset();
  fast_path = {.shortest = header + kEthernetHeaderBytes,
               .word = pool()->empty_word(RxFormat::virtio_net, setup.port) + kEthernetHeaderBytes +
                       (moved << MbufAccess::kOffsetShift),
               .header_at = static_cast<std::uint32_t>(Mbuf::kHeaderSize) + data - header,
               .header_bytes = header,
               .iova_at = data - header,
               .room = header + buffer_bytes,
               .max_excess = buffer_bytes - kEthernetHeaderBytes,
               .header_mask = header_mask(setup.features),
               .header = mergeable ? std::uint64_t{1} << kBuffersShift : 0};
  slot_memory_.assign(memory.size + kPrefetchDistance, nullptr);
  slots = slot_memory_.data();
  posted.resize(memory.size);
  slot_of.resize(memory.size);
}

Result<void> VirtioRxQueue::fill(std::uint32_t /*count*/, std::span<Mbuf* const> given) {
  if (auto taken = take_buffers({slots, size()}, given); !taken) return taken;
  repeat_first_slots();
  clear_ring();
  return {};
}

void VirtioRxQueue::clear_ring() noexcept {
  next = 0;
  published = memory.size;
  batch_end.reset();
  fast = !hashes;
  fault_.store(nullptr, std::memory_order_release);
  std::iota(posted.begin(), posted.end(), 0U);
  slot_of = posted;
  // What a device used in an earlier life of the ring must not be seen again.
  std::memset(memory.descriptors.address, 0,
              static_cast<std::size_t>(memory.extra.address - memory.descriptors.address));
  with_ring([](const auto& ring) { ring.ask_none(0); });
}

void VirtioRxQueue::publish_all() noexcept {
  with_ring([&](const auto& ring) {
    for (std::uint32_t slot = 0; slot <= mask; ++slot) {
      post(ring, slot, slot, MbufAccess::iova(*slots[slot]) + fast_path.iova_at, fast_path.room);
    }
    ring.publish(0, mask + 1, 0, notifier);
  });
  notifier.flush();
}

void VirtioRxQueue::open() noexcept {
  open_bursts(rx_burst_for(packed_));
  notify_change();
}

std::uint32_t VirtioRxQueue::buffers() const noexcept { return slots == nullptr || slots[0] == nullptr ? 0 : size(); }

std::uint32_t VirtioRxQueue::drain(DrainReason reason, std::span<Mbuf*> kept) noexcept {
  if (buffers() == 0) return 0;
  const RxDrop why = reason == DrainReason::stopped ? &RxDrops::stopped : &RxDrops::removed;
  const std::uint32_t behind = next + mask + 1;
  with_ring([&](const auto& ring) {
    for (std::uint32_t position = next; position != behind && fault() == nullptr;) {
      const std::uint32_t ready = ring.ready(position);
      if (ready == 0 || ready > behind - position) break;
      const UsedBuffer used = ring.at(position);
      if (used.id > mask) break;
      hw::virtio::NetHeader header;
      const auto* const start = reinterpret_cast<const std::byte*>(slots[used.id]) + fast_path.header_at;
      std::memcpy(&header, start, sizeof header);
      const std::uint32_t bytes = used.length - std::min(used.length, fast_path.header_bytes);
      drop(why, reinterpret_cast<const std::uint8_t*>(start) + fast_path.header_bytes, bytes);
      const std::uint32_t buffers = mergeable ? header.num_buffers : 1;
      position += std::clamp(buffers, 1U, behind - position);
    }
  });
  return return_buffers({slots, size()}, kept);
}

void VirtioRxQueue::retire() noexcept {
  RxQueueDriver::retire();
  slots = nullptr;
  slot_memory_.clear();
  memory = {};
}

std::optional<RxDescriptorStatus> VirtioRxQueue::descriptor_status(std::uint32_t offset) const noexcept {
  if (offset >= buffers()) return std::nullopt;
  const bool done = packed_ ? packed_ring.ready(next + offset) != 0 : split_ring.ready(next) > offset;
  return done ? RxDescriptorStatus::done : RxDescriptorStatus::empty;
}

bool VirtioRxQueue::has_frame() const noexcept {
  return with_ring([&](const auto& ring) { return ring.ready(next) != 0; });
}

// The first look saves the barrier. The second one finds the frames that came before the device was asked.
bool VirtioRxQueue::watch() noexcept {
  if (!has_vector_ || has_frame()) return false;
  with_ring([&](const auto& ring) { ring.ask_interrupt(next); });
  notifier.flush();
  return !has_frame();
}

void VirtioRxQueue::unwatch() noexcept {
  gate_.visit(&idle, [&] { with_ring([&](const auto& ring) { ring.ask_none(next); }); });
}

}  // namespace pollux::drivers::virtio
