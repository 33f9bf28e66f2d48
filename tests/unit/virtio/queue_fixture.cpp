// SPDX-License-Identifier: BSD-3-Clause
#include "unit/virtio/queue_fixture.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "mem/context_state.hpp"
#include "net/frame_size.hpp"
#include "support/chain.hpp"

namespace pollux::drivers::virtio::test {

using hw::virtio::PackedDescriptor;
using hw::virtio::SplitDescriptor;

// The arena is one piece of memory, so one difference holds for all of it.
std::uint8_t* DeviceSide::at(std::uint64_t iova) const {
  return reinterpret_cast<std::uint8_t*>(memory_.descriptors.address) +
         static_cast<std::ptrdiff_t>(iova - memory_.descriptors.iova);
}

void DeviceSide::read_table(const SplitDescriptor& table, Buffer& buffer) const {
  for (std::uint32_t i = 0; i < table.length / sizeof table; ++i) {
    SplitDescriptor entry;
    std::memcpy(&entry, at(table.address) + i * sizeof entry, sizeof entry);
    buffer.parts.push_back({at(entry.address), entry.length});
  }
}

std::vector<std::uint32_t> DeviceSide::look() {
  std::vector<std::uint32_t> found;
  const std::uint32_t mask = memory_.size - 1;
  if (!packed()) {
    const SplitRing ring(memory_, {});
    for (; static_cast<std::uint16_t>(seen_) != ring.driver->index; ++seen_) {
      const std::uint32_t head = ring.available[seen_ & mask];
      Buffer buffer;
      for (std::uint32_t slot = head;; slot = ring.descriptors[slot].next) {
        const SplitDescriptor& descriptor = ring.descriptors[slot];
        if ((descriptor.flags & hw::virtio::kDescIndirect) != 0) {
          read_table(descriptor, buffer);
          break;
        }
        buffer.parts.push_back({at(descriptor.address), descriptor.length});
        if ((descriptor.flags & hw::virtio::kDescNext) == 0) break;
      }
      buffers_[head] = std::move(buffer);
      found.push_back(head);
    }
    return found;
  }
  const PackedRing ring(memory_, {});
  const auto is_available = [&](std::uint32_t position) {
    const std::uint16_t flags = ring.descriptors[position & mask].flags;
    return (flags & (hw::virtio::kPackedAvail | hw::virtio::kPackedUsed)) ==
           hw::virtio::packed_available(ring.wrap(position));
  };
  while (is_available(seen_)) {
    Buffer buffer{.parts = {}, .span = 0};
    for (bool more = true; more;) {
      const PackedDescriptor& descriptor = ring.descriptors[seen_ & mask];
      if ((descriptor.flags & hw::virtio::kDescIndirect) != 0) {
        read_table({.address = descriptor.address, .length = descriptor.length, .flags = 0, .next = 0}, buffer);
      } else {
        buffer.parts.push_back({at(descriptor.address), descriptor.length});
      }
      more = (descriptor.flags & hw::virtio::kDescNext) != 0;
      ++buffer.span;
      ++seen_;
      if (more) continue;
      found.push_back(descriptor.id);
      buffers_[descriptor.id] = std::move(buffer);
    }
  }
  return found;
}

void DeviceSide::write_packed(std::uint32_t id, std::uint32_t length, bool wrap, std::uint32_t slot) const {
  const PackedRing ring(memory_, {});
  ring.descriptors[slot].length = length;
  ring.descriptors[slot].id = static_cast<std::uint16_t>(id);
  __atomic_store_n(&ring.descriptors[slot].flags, hw::virtio::packed_used(wrap), __ATOMIC_RELEASE);
}

void DeviceSide::prepare(std::uint32_t id, std::uint32_t length) {
  if (!packed()) {
    const SplitRing ring(memory_, {});
    const_cast<hw::virtio::UsedElement*>(ring.used)[used_++ & ring.mask] = {id, length};
    return;
  }
  const PackedRing ring(memory_, {});
  const Hidden entry{used_ & ring.mask, id, length, ring.wrap(used_)};
  if (hidden_) {
    write_packed(id, length, entry.wrap, entry.slot);
  } else {
    hidden_ = entry;
  }
  const auto known = buffers_.find(id);
  used_ += known != buffers_.end() ? known->second.span : 1;
}

void DeviceSide::show() {
  if (!packed()) {
    const SplitRing ring(memory_, {});
    __atomic_store_n(&const_cast<hw::virtio::UsedRing*>(ring.device)->index, static_cast<std::uint16_t>(used_),
                     __ATOMIC_RELEASE);
  } else if (hidden_) {
    write_packed(hidden_->id, hidden_->length, hidden_->wrap, hidden_->slot);
    hidden_.reset();
  }
}

void DeviceSide::use(std::uint32_t id, std::uint32_t length, std::uint32_t skip) {
  prepare(id, length);
  used_ += skip;
  show();
}

void DeviceSide::ask_for_kick_at(std::uint32_t position) const {
  const PackedRing ring(memory_, {});
  *const_cast<hw::virtio::EventSuppression*>(ring.device) = {ring.offset_and_wrap(position),
                                                             hw::virtio::kEventDescriptor};
}

void DeviceSide::jump(std::uint16_t entries) {
  used_ += entries;
  show();
}

void DeviceSide::use_with_wrong_wrap(std::uint32_t id, std::uint32_t length) {
  const PackedRing ring(memory_, {});
  write_packed(id, length, !ring.wrap(used_), used_ & ring.mask);
}

QueueFixture::QueueFixture(hw::virtio::Features with, std::uint32_t mbufs)
    : pool(Mempool::create(context, {.count = mbufs, .name = "queues"}).value()), cache(pool, 64), features(with) {
  filter.set_promiscuous(true);
}

QueueFixture::~QueueFixture() {
  rx.drain(DrainReason::stopped, {});
  tx.drain(DrainReason::stopped);
  EXPECT_EQ(pool.stats().in_use(), 0u) << "every buffer is accounted for";
  rx.retire();
  tx.retire();
}

void QueueFixture::start_rx() {
  auto memory = allocate_virtqueue(*context.state(), features, kSize, 0, -1, "test").value();
  device.emplace(memory, features);
  rx.setup({.memory = memory,
            .features = features,
            .buffer_bytes = 2048,
            .pool = pool.core(),
            .cache = cache.core(),
            .port = 5});
  ASSERT_TRUE(rx.fill(rx.size(), {}));
  rx.use_notifier(Notifier(Bar(reinterpret_cast<volatile std::uint8_t*>(&doorbell), 2), 0, 0, false));
  rx.publish_all();
  rx.open();
  EXPECT_EQ(device->look().size(), kSize);
}

void QueueFixture::start_tx() {
  auto memory =
      allocate_virtqueue(*context.state(), features, kSize, tx_extra_bytes(features, kSize), -1, "test").value();
  device.emplace(memory, features);
  tx.setup(
      {.memory = memory,
       .features = features,
       .limits = {.min_frame = 14, .max_frame = 1518, .offloads = TxOffload::kChecksums | TxOffload::kSegmentation},
       .cache = cache.core(),
       .context = context.state()});
  tx.use_notifier(Notifier(Bar(reinterpret_cast<volatile std::uint8_t*>(&doorbell), 2), 0, 1, false));
  tx.open();
}

void QueueFixture::receive(std::uint32_t id, std::uint32_t bytes, hw::virtio::NetHeader header, std::uint8_t first) {
  const DeviceSide::Part part = device->parts(id).front();
  std::memcpy(part.address, &header, sizeof header);
  std::iota(part.address + sizeof header, part.address + sizeof header + bytes, first);
  device->prepare(id, static_cast<std::uint32_t>(sizeof header) + bytes);
}

std::vector<Bytes> QueueFixture::poll() {
  Burst<32> burst;
  rx.rx_burst(burst);
  std::vector<Bytes> frames;
  for (const Mbuf& frame : burst) {
    Bytes bytes(frame.packet_length());
    static_cast<void>(frame.copy_out(0, bytes));
    frames.push_back(std::move(bytes));
  }
  burst.drop(seen, cache);
  device->look();
  return frames;
}

std::uint64_t QueueFixture::dropped(RxDrop why) { return rx.drops().*why; }
std::uint64_t QueueFixture::dropped(TxDrop why) { return tx.drops().*why; }

MbufPtr QueueFixture::make(const Bytes& bytes, std::size_t segment_bytes) {
  return pollux::test::make_chain(cache, bytes, segment_bytes, segment_bytes);
}

std::uint32_t QueueFixture::send(std::vector<MbufPtr> frames) {
  Burst<32> burst;
  for (MbufPtr& frame : frames) EXPECT_TRUE(burst.push(frame));
  const std::uint32_t taken = tx.tx_burst(burst);
  burst.drop(seen, cache);
  return taken;
}

Bytes QueueFixture::content(std::uint32_t id) {
  Bytes bytes;
  for (const DeviceSide::Part& part : device->parts(id)) {
    bytes.insert(bytes.end(), part.address, part.address + part.length);
  }
  return bytes;
}

Bytes frame_of(std::size_t bytes, std::uint8_t first) {
  Bytes frame(bytes);
  std::iota(frame.begin(), frame.end(), first);
  return frame;
}

}  // namespace pollux::drivers::virtio::test
