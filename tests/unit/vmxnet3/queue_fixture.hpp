// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "drivers/vmware/vmxnet3/rx_queue.hpp"
#include "drivers/vmware/vmxnet3/tx_queue.hpp"
#include "mem/context_state.hpp"
#include "pollux/mem/burst.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/rx_metadata.hpp"

namespace pollux::drivers::vmxnet3 {

namespace rx_bits = hw::vmxnet3::rx;
namespace tx_bits = hw::vmxnet3::tx;
using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint32_t kSize = 32;
inline constexpr std::uint32_t kQueue = 1;
inline constexpr std::uint32_t kQueues = 4;
inline constexpr std::uint64_t kWhole = rx_bits::kStartOfPacket | rx_bits::kEndOfPacket;

inline Bytes frame_of(std::size_t bytes, std::uint8_t first = 2) {
  Bytes frame(bytes, first);
  frame[0] = 2;
  return frame;
}

/// TCP over IPv4 with that payload.
inline Bytes tcp_frame(std::size_t payload) {
  Bytes frame = frame_of(54 + payload);
  std::memset(&frame[12], 0, 42);
  packet::store16(&frame[12], 0x0800);
  frame[14] = 0x45;
  packet::store16(&frame[16], static_cast<std::uint16_t>(40 + payload));
  frame[22] = 64;
  frame[23] = 6;
  frame[26] = frame[30] = 10;
  frame[46] = 0x50;
  return frame;
}

/// The registers that bursts write: none of them is looked at.
class NoRegisters : public RemoteRegisters {
 public:
  std::uint32_t read32(std::uint32_t) noexcept override { return 0; }
  void write32(std::uint32_t offset, std::uint32_t value) noexcept override { last = {offset, value}; }
  void flush() noexcept override {}
  std::pair<std::uint32_t, std::uint32_t> last;
};

/// Queues of the driver beside a device in the hands of a test.
struct Vmxnet3Queues : testing::Test {
  Vmxnet3Queues() {
    filter.set_promiscuous(true);
    filter.set_mtu(1500);
  }
  ~Vmxnet3Queues() override {
    rx.drain(DrainReason::stopped, {});
    tx.drain(DrainReason::stopped);
    cache = {};
    EXPECT_EQ(pool->stats().in_use(), 0u);
  }

  QueueMemory area(std::size_t bytes) {
    return *paravirtual::allocate_queue_memory(*context.state(), bytes, -1, "test");
  }
  std::shared_ptr<MempoolCacheCore> new_cache() { return std::make_shared<MempoolCacheCore>(pool->core(), 16); }
  void start_rx(bool several = true) {
    memory = area(rx_bytes(kSize));
    rx.setup({.memory = memory,
              .size = kSize,
              .buffer_bytes = 2048,
              .index = kQueue,
              .queues = kQueues,
              .pool = pool->core(),
              .cache = new_cache(),
              .port = 0});
    ASSERT_TRUE(rx.fill(several ? 2 * kSize : kSize, {}));
    rx.describe(shared, Bar(registers, 4096), 3);
    rx.open();
  }
  void start_tx(std::uint32_t size = kSize) {
    memory = area(tx_bytes(size));
    tx_size = size;
    tx.setup({.memory = memory,
              .size = size,
              .limits = {.min_frame = 14,
                         .max_frame = 9018,
                         .offloads = TxOffload::kChecksums | TxOffload::insert_vlan | TxOffload::tcp_segmentation},
              .cache = cache.core(),
              .context = context.state()});
    tx.describe(tx_shared, Bar(registers, 4096), 0, 3);
    tx.open();
  }

  /// Writes a completion of the device.
  void complete(std::uint64_t low, std::uint64_t high) {
    auto* const entries = memory.at<reg::Completion>(2 * kSize * sizeof(reg::Descriptor));
    const bool first_lap = (done & (2 * kSize)) == 0;
    entries[done++ % (2 * kSize)] = {low, high | (first_lap ? reg::kCompletionGeneration : 0)};
  }
  /// The device fills `slot` of a ring, 0 or 1, with bytes.
  void fill(std::uint32_t ring, std::uint32_t slot, const Bytes& bytes, std::uint64_t low, std::uint64_t high = 0,
            std::uint64_t not_checked = rx_bits::kNotChecked) {
    const std::uint64_t address = memory.at<reg::Descriptor>(0)[ring * kSize + slot].address;
    // The arena is one piece of memory, so one difference holds for all of it.
    std::ranges::copy(
        bytes, reinterpret_cast<std::uint8_t*>(memory.address) + static_cast<std::ptrdiff_t>(address - memory.iova));
    const std::uint64_t id = kQueue + ring * kQueues;
    complete(slot | id << rx_bits::kRingShift | low | not_checked, high | bytes.size());
  }
  std::vector<Bytes> poll(std::vector<RxMetadata>* metadata = nullptr, TxOffload* request = nullptr) {
    std::vector<Bytes> frames;
    Burst<32> burst;
    rx.rx_burst(burst);
    for (const Mbuf& mbuf : burst) {
      Bytes bytes(mbuf.packet_length());
      static_cast<void>(mbuf.copy_out(0, bytes));
      frames.push_back(bytes);
      if (metadata != nullptr) metadata->emplace_back(mbuf);
      if (request != nullptr) *request = mbuf.tx_offload();
    }
    burst.drop(seen);
    return frames;
  }
  /// Slots of a ring that are the device's in the lap of `position`.
  [[nodiscard]] bool is_ready(std::uint32_t ring, std::uint32_t position) const {
    const std::uint64_t word = memory.at<reg::Descriptor>(0)[ring * kSize + position % kSize].word;
    return ((word & rx_bits::kGeneration) != 0) == ((position & kSize) == 0);
  }

  Context context{{.huge_pages = HugePages::never}};
  Result<Mempool> pool = Mempool::create(context, {.count = 512, .name = "vmxnet3"});
  MempoolCache cache{*pool};
  RxFilter filter;
  VlansInSoftware vlans;
  NoRegisters registers;
  reg::RxQueueShared shared{};
  reg::TxQueueShared tx_shared{};
  QueueMemory memory;
  Vmxnet3RxQueue rx{filter, true, vlans};
  Vmxnet3TxQueue tx;
  std::uint32_t tx_size = kSize;
  std::uint32_t done = 0;
  DropCounter seen{"seen"};
};

}  // namespace pollux::drivers::vmxnet3
