// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "unit/intel_queues/queue_fixture.hpp"

namespace pollux::test {

/// Mbufs that the application owns.
using Held = std::vector<MbufPtr>;

/// A receive and a transmit queue with rings of 16, for a fuzzer that acts as the card and writes to the rings.
/// It is created once. Each input starts and ends it; at the end every buffer must have been freed.
class RingFixture {
 public:
  static constexpr std::uint32_t kSlots = 16;
  static constexpr std::uint32_t kMbufs = 96;  ///< few, so that the pool is often exhausted
  static constexpr std::uint32_t kHeaderMbufs = 48;
  static constexpr std::uint32_t kHeaderBytes = 128;

  /// Whether the card puts the headers of received frames into mbufs of another pool.
  enum class Frames : std::uint8_t { whole, split };

  explicit RingFixture(Frames frames = Frames::whole);

  void start();
  /// Stops the card, closes the queues and frees the buffers in the rings.
  void stop();
  /// Frees the last `count` held mbufs, or all if there are fewer.
  void release(Held& held, std::size_t count);
  /// Checks what must always hold when the application holds no mbuf.
  void require_all_home() const;
  void require_no_misuse() const;

  [[nodiscard]] drivers::intel::IntelRxQueue& rx() { return queues_.rx; }
  [[nodiscard]] drivers::intel::IntelTxQueue& tx() { return queues_.tx; }
  [[nodiscard]] MempoolCache& cache() { return *queues_.cache_handle; }
  [[nodiscard]] std::uint32_t in_use() const { return queues_.in_use(); }
  [[nodiscard]] std::span<hw::intel::Descriptor> rx_ring() { return ring(0); }
  [[nodiscard]] std::span<hw::intel::Descriptor> tx_ring() { return ring(kSlots); }
  /// The size of a receive buffer, as configured in the card.
  static constexpr std::uint32_t kBufferBytes = 2048;

 private:
  [[nodiscard]] std::span<hw::intel::Descriptor> ring(std::uint32_t first);

  QueueFixture queues_;
};

}  // namespace pollux::test
