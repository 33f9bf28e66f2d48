// SPDX-License-Identifier: BSD-3-Clause
// The virtio driver's queues with a device that writes anything to the ring and to the headers of frames, at any time.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/ring_frames.hpp"
#include "pollux/net/rx_metadata.hpp"
#include "unit/virtio/queue_fixture.hpp"

namespace pollux::drivers::virtio::test {
namespace {

using pollux::test::Held;
using pollux::test::require;
using pollux::test::send;

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
      require(queue_.rx.fill(queue_.rx.size(), {}).has_value(), "a full pool fills the ring");
      queue_.rx.publish_all();
      queue_.rx.open();
    } else {
      queue_.tx.clear();
      queue_.tx.open();
    }
    used_ = 0;
  }
  void stop() {
    receives_ ? queue_.rx.drain(DrainReason::stopped, {}) : queue_.tx.drain(DrainReason::stopped);
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
      default: receives_ ? poll(input, held) : send(queue_.tx, queue_.cache, input, held, QueueFixture::kSize);
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
    pollux::test::poll(queue_.rx, input, held, kSegmentBytes, [this](const Mbuf& frame) {
      require((queue_.features & kRequests) != 0 ||
                  (frame.tx_offload().flags == 0 && RxMetadata(frame).l4_checksum() == ChecksumStatus::unknown),
              "nothing is believed that was not negotiated");
    });
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
