// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "drivers/intel/queue/rx_queue.hpp"
#include "drivers/intel/queue/tx_queue.hpp"
#include "mem/mempool_core.hpp"
#include "unit/intel_queues/strict_card.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::test {

struct CardFixtureOptions {
  std::uint32_t rx_ring = 64;
  std::uint32_t tx_ring = 64;
  bool remote = false;        ///< registers are accessed through functions
  bool split_memory = false;  ///< the receive pool is in two segments with distant IOVAs
  bool rx_head = false;       ///< the receive queue can read RDH
  bool tunnels = false;       ///< the card segments packets in tunnels
  bool stamps = false;        ///< the card stamps frames
  bool tx_cache = true;       ///< the transmit queue starts with the receive queue's cache
  std::uint32_t cache = 0;    ///< capacity
  std::uint32_t max_frame = 9500;
  BurstMode mode = BurstMode::best;
  MempoolOptions pool{.count = 1000, .name = "rx"};
  std::optional<MempoolOptions> headers = {};  ///< of the pool of headers; if unset, frames are not split
  IovaRange reach = {0, ~std::uint64_t{0}};    ///< of the card
};

/// The RDH register that the receive queue reads.
class HeadRegister final : public RemoteRegisters {
 public:
  static constexpr std::uint32_t kOffset = 4;

  [[nodiscard]] std::uint32_t read32(std::uint32_t offset) noexcept override {
    ++reads;
    if (before_read) before_read();
    return offset == kOffset && receiver != nullptr ? receiver->head() : ~std::uint32_t{0};
  }
  void write32(std::uint32_t, std::uint32_t) noexcept override {}
  void flush() noexcept override {}

  const StrictReceiver* receiver = nullptr;
  std::function<void()> before_read;
  unsigned reads = 0;
};

/// A receive queue and a transmit queue on a strict card, and a pool with a cache. Not started.
class QueueFixture {
 public:
  static constexpr std::uint16_t kPort = 5;

  explicit QueueFixture(const CardFixtureOptions& options);
  /// Frees buffers that are still in the rings, so that their pool does not outlive the test.
  ~QueueFixture();

  /// Fills the receive ring, starts the card and opens both gates.
  void start();
  /// Closes both gates and stops the card. The test calls `drain` itself.
  void close();
  void drain();
  /// Lets the card read the tail registers.
  void look();

  /// A slot of the transmit ring.
  [[nodiscard]] const hw::intel::Descriptor& ring(std::uint32_t slot) const;
  [[nodiscard]] std::uint32_t in_use() const { return pool->stats().in_use(); }
  /// Violations that the card found and reported misuses, as one text. Empty if there are none.
  [[nodiscard]] std::string errors() const;

  CardFixtureOptions options;
  PoolFixture fixture;
  std::shared_ptr<FakeDomain> domain = std::make_shared<FakeDomain>(std::vector{options.reach});
  CardMemory memory{*domain};
  TailRegister rdt;
  TailRegister tdt;
  HeadRegister rdh;
  DmaMemory rings;
  std::shared_ptr<MempoolCore> pool;
  std::optional<Mempool> headers;
  std::optional<Mempool> pool_handle;  ///< none where the memory is split
  std::optional<MempoolCache> cache_handle;
  std::shared_ptr<MempoolCacheCore> cache;
  drivers::intel::IntelRxQueue rx;
  drivers::intel::IntelTxQueue tx;
  std::optional<StrictReceiver> receiver;
  std::optional<StrictTransmitter> transmitter;
  ManualClock clock;

 private:
  void make_pool();
  [[nodiscard]] drivers::intel::RxSplitting splitting();
};

}  // namespace pollux::test
