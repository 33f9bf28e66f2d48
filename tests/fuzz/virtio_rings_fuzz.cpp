// SPDX-License-Identifier: BSD-3-Clause
// The virtio driver's queues with a device that writes anything to the ring and to the headers of frames, at any time.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "fuzz/require.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

using pollux::test::require;

constexpr std::uint32_t kMbufs = 96;  // few, so that the pool is often exhausted
constexpr std::uint32_t kBufferBytes = 2048;
constexpr std::uint32_t kSegmentBytes = kBufferBytes + sizeof(hw::virtio::NetHeaderWithHash);  // of a merged frame

/// What the header of a received frame may request.
constexpr hw::virtio::Features kRequests = feature::kGuestCsum | feature::kGuestTso4 | feature::kGuestTso6 |
                                           feature::kGuestEcn | feature::kGuestUso4 | feature::kGuestUso6;

constexpr std::array<hw::virtio::Features, 8> kKinds{
    0,
    feature::kMrgRxbuf | feature::kEventIdx | feature::kIndirectDesc,
    feature::kMrgRxbuf | feature::kInOrder | feature::kCsum | kRequests,
    feature::kHashReport | kRequests | feature::kMrgRxbuf | feature::kInOrder | feature::kIndirectDesc,
    feature::kRingPacked,
    feature::kRingPacked | feature::kMrgRxbuf | feature::kEventIdx | feature::kIndirectDesc,
    feature::kRingPacked | feature::kMrgRxbuf | feature::kInOrder | feature::kCsum | kRequests,
    feature::kRingPacked | feature::kHashReport | kRequests | feature::kMrgRxbuf | feature::kInOrder |
        feature::kIndirectDesc};

/// Mbufs that the application owns, each of them once.
class Held {
 public:
  void add(MbufPtr frame) {
    for (const Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next())
      require(owned_.insert(segment).second, "no buffer is handed out twice");
    frames_.push_back(std::move(frame));
  }
  void release(std::size_t count) {
    for (; count != 0 && !frames_.empty(); --count) take();
  }
  MbufPtr take() {
    MbufPtr frame = std::move(frames_.back());
    frames_.pop_back();
    for (const Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next()) owned_.erase(segment);
    return frame;
  }
  [[nodiscard]] bool empty() const { return frames_.empty(); }
  void release_all() { release(frames_.size()); }

 private:
  std::vector<MbufPtr> frames_;
  std::set<const Mbuf*> owned_;
};

/// A queue of one direction. It is created once; each input starts and stops it.
class Ring {
 public:
  Ring(hw::virtio::Features features, bool receives) : queue_(features, kMbufs), receives_(receives) {
    std::vector<MbufPtr> all;
    while (MbufPtr mbuf = queue_.pool.allocate()) {
      headers_.push_back(const_cast<std::uint8_t*>(mbuf->head()));
      all.push_back(std::move(mbuf));
    }
    all.clear();
    receives_ ? queue_.start_rx() : queue_.start_tx();
    stop();
  }

  void start() {
    if (receives_) {
      require(queue_.rx.fill().has_value(), "a full pool fills the ring");
      queue_.rx.publish_all();
      queue_.rx.open();
    } else {
      queue_.tx.clear();
      queue_.tx.open();
    }
    used_ = 0;
  }
  void stop() {
    receives_ ? queue_.rx.drain(DrainReason::stopped) : queue_.tx.drain(DrainReason::stopped);
    require(queue_.pool.stats().in_use() == 0, "every mbuf is free");
  }

  void step(FuzzedDataProvider& input, Held& held) {
    switch (input.ConsumeIntegralInRange(0, 9)) {
      case 0:
        held.release_all();
        stop();
        start();
        break;
      case 1: held.release(input.ConsumeIntegralInRange<std::size_t>(0, 32)); break;
      case 2: write_header(input); break;
      case 3: write_anything(input); break;
      case 4:
      case 5:
      case 6: write_used(input); break;
      default: receives_ ? poll(input, held) : send(input, held);
    }
  }

 private:
  void write_header(FuzzedDataProvider& input) {
    hw::virtio::NetHeader header{.num_buffers = input.ConsumeIntegralInRange<std::uint16_t>(0, 4)};
    if (input.ConsumeBool()) {
      const auto bytes = input.ConsumeBytes<std::uint8_t>(sizeof header);
      if (!bytes.empty()) std::memcpy(&header, bytes.data(), bytes.size());
    }
    const std::uint32_t before = (queue_.features & feature::kHashReport) != 0 ? 20 : 12;
    const std::uint32_t at = std::max(queue_.pool.core()->data_offset(), before) - before;
    for (std::uint8_t* const head : headers_) std::memcpy(head + at, &header, sizeof header);
  }

  // Anything, anywhere in the ring and in the areas of device and driver.
  void write_anything(FuzzedDataProvider& input) {
    const Virtqueue& memory = receives_ ? queue_.rx.memory : queue_.tx.memory;
    const auto size = static_cast<std::size_t>(memory.extra.address - memory.descriptors.address);
    const auto at = input.ConsumeIntegralInRange<std::size_t>(0, size / 2 - 1) * 2;
    const auto value = input.ConsumeIntegral<std::uint16_t>();
    std::memcpy(memory.descriptors.address + at, &value, sizeof value);
  }

  // The next used entries, as a device might write them.
  void write_used(FuzzedDataProvider& input) {
    const Virtqueue& memory = receives_ ? queue_.rx.memory : queue_.tx.memory;
    const auto count = input.ConsumeIntegralInRange<std::uint32_t>(1, 4);
    const auto length = receives_ ? input.ConsumeIntegralInRange<std::uint32_t>(0, 2100) : 0;
    const auto skip = input.ConsumeIntegralInRange<std::uint32_t>(0, 15);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t slot = used_ & (memory.size - 1);
      const std::uint32_t id = skip < 12 ? slot : (slot + skip) & (memory.size - 1);
      if (queue_.device->packed()) {
        const PackedRing ring(memory, {});
        *ring.word_at(slot) = PackedRing::word(length, id, hw::virtio::packed_used(ring.wrap(used_)));
      } else {
        const SplitRing ring(memory, {});
        const_cast<hw::virtio::UsedElement*>(ring.used)[slot] = {id, length};
      }
      ++used_;
    }
    if (queue_.device->packed()) return;
    const SplitRing ring(memory, {});
    const_cast<hw::virtio::UsedRing*>(ring.device)->index = static_cast<std::uint16_t>(used_);
  }

  void poll(FuzzedDataProvider& input, Held& held) {
    Burst<32> burst;
    const auto limit = input.ConsumeIntegralInRange<std::uint32_t>(0, 32);
    const std::uint32_t count = queue_.rx.rx_burst(burst, limit);
    require(count == burst.size() && count <= limit, "a burst has as many frames as it says");
    while (MbufPtr frame = burst.pop()) {
      std::uint32_t bytes = 0;
      for (Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next()) {
        require(segment->length() != 0 && segment->length() <= kSegmentBytes, "a segment's length fits its buffer");
        require(segment->data() >= segment->head() && segment->tail() <= segment->end(), "the data lie in the buffer");
        bytes += segment->length();
      }
      require(bytes == frame->packet_length() && bytes >= 14, "the segments add up to the frame");
      require((queue_.features & kRequests) != 0 ||
                  (frame->tx_offload().flags == 0 && RxMetadata(*frame).l4_checksum() == ChecksumStatus::unknown),
              "nothing is believed that was not negotiated");
      held.add(std::move(frame));
    }
  }

  void send(FuzzedDataProvider& input, Held& held) {
    Burst<32> burst;
    const auto count = input.ConsumeIntegralInRange<std::uint32_t>(0, 8);
    for (std::uint32_t i = 0; i < count; ++i) {
      MbufPtr frame;
      const auto segments = input.ConsumeIntegralInRange<std::uint32_t>(1, 3);
      for (std::uint32_t part = 0; part < segments; ++part) {
        MbufPtr segment = queue_.cache.allocate();
        if (segment == nullptr) break;
        static_cast<void>(segment->append(input.ConsumeIntegralInRange<std::uint32_t>(0, 200)));
        if (frame == nullptr) {
          frame = std::move(segment);
        } else {
          require(frame->chain(segment), "a short chain grows");
        }
      }
      if (frame == nullptr) break;
      if (input.ConsumeBool()) {
        frame->set_tx_offload(
            {.flags = input.PickValueInArray<std::uint32_t>({TxOffload::udp_checksum, TxOffload::tcp_segmentation}),
             .l2 = 14,
             .l3 = 20,
             .l4 = 20,
             .segment_size = input.ConsumeIntegralInRange<std::uint16_t>(0, 100)});
      }
      require(burst.push(frame), "a burst has room");
    }
    const std::uint32_t before = burst.size();
    const std::uint32_t taken = queue_.tx.tx_burst(burst);
    require(taken + burst.size() == before, "what was not taken stays in the burst");
    require(queue_.tx.in_flight() <= QueueFixture::kSize, "the ring has no more than fits");
    while (MbufPtr frame = burst.pop()) held.add(std::move(frame));
  }

  QueueFixture queue_;
  const bool receives_;
  std::vector<std::uint8_t*> headers_;  // where each mbuf's buffer begins
  std::uint32_t used_ = 0;
};

}  // namespace
}  // namespace pollux::drivers::virtio::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux::drivers::virtio::test;
  static std::array<std::array<std::unique_ptr<Ring>, 2>, kKinds.size()> rings;
  FuzzedDataProvider input(data, size);
  const auto kind = input.ConsumeIntegralInRange<std::size_t>(0, kKinds.size() - 1);
  const bool receives = input.ConsumeBool();
  std::unique_ptr<Ring>& ring = rings[kind][receives ? 1 : 0];
  if (ring == nullptr) ring = std::make_unique<Ring>(kKinds[kind], receives);
  Held held;
  ring->start();
  while (input.remaining_bytes() != 0) ring->step(input, held);
  held.release_all();
  ring->stop();
  return 0;
}
