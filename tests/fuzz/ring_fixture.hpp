// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "unit/intel_queues/queue_fixture.hpp"

namespace pollux::test {

/// Mbufs in the application's hands.
using Held = std::vector<MbufPtr>;

/// A queue of each kind on rings of 16, for a fuzzer in the card's place: it writes what it likes over the rings.
/// Made once; each input starts and ends it, and at the end every buffer must be home.
class RingFixture {
 public:
  static constexpr std::uint32_t kSlots = 16;
  static constexpr std::uint32_t kMbufs = 96;  ///< few, so that the pool runs dry

  RingFixture();

  void start();
  /// The card stops, pollers leave, what lies in the rings goes home.
  void stop();
  /// Gives the last `count` of them back, or all there are.
  void release(Held& held, std::size_t count);
  /// What must hold whatever the card did, once the application holds no mbuf.
  void require_all_home() const;
  void require_no_misuse() const;

  [[nodiscard]] drivers::intel::RxQueue& rx() { return queues_.rx; }
  [[nodiscard]] drivers::intel::TxQueue& tx() { return queues_.tx; }
  [[nodiscard]] MempoolCache& cache() { return *queues_.cache_handle; }
  [[nodiscard]] std::uint32_t in_use() const { return queues_.in_use(); }
  [[nodiscard]] std::span<hw::intel::Descriptor> rx_ring() { return ring(0); }
  [[nodiscard]] std::span<hw::intel::Descriptor> tx_ring() { return ring(kSlots); }
  /// Bytes of a receive buffer as the card knows it.
  static constexpr std::uint32_t kBufferBytes = 2048;

 private:
  [[nodiscard]] std::span<hw::intel::Descriptor> ring(std::uint32_t first);

  QueueFixture queues_;
};

}  // namespace pollux::test
