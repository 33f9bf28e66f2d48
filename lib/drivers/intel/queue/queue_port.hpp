// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "drivers/intel/queue/queue_set.hpp"
#include "drivers/intel/queue/queue_watch.hpp"
#include "drivers/intel/queue/ring_memory.hpp"
#include "hw/intel/features.hpp"
#include "mem/context_state.hpp"
#include "net/queue_caches.hpp"
#include "net/tx_watch.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/queued_port.hpp"
#include "pollux/net/transmit_watch.hpp"

namespace pollux::drivers::intel {

/// The limits of a port with `queues` receive and transmit queues of advanced descriptors.
[[nodiscard]] PortLimits queue_limits(std::uint16_t queues, std::uint32_t max_mtu) noexcept;

/// The offloads of such a port. The card computes transmit checksums, and software those of frames whose
/// headers the card may read differently (prepare_request). The receive flags are what the cards report in a write-back
/// by default.
[[nodiscard]] OffloadLimits queue_offloads() noexcept;

/// PortInfo of Intel's `card`, which `device` gives access to.
[[nodiscard]] PortInfo describe_port(const Device& device, std::string_view driver, std::string_view card,
                                     const hw::intel::CardFeatures& features, std::uint16_t index,
                                     const PortLimits& limits);

/// The part of a driver that handles queues of advanced descriptors and their memory. A card's driver derives from it
/// and adds the control of the card.
class QueuePort : public QueuedPort, private Interrupts, private TransmitWatch, private ReceiveWatch {
 public:
  [[nodiscard]] Result<void> configure(const PlacedSettings& settings) override;
  [[nodiscard]] Result<void> fill() final { return queues_->fill(); }
  void open_queues() noexcept final;
  std::uint32_t drain(DrainReason reason) noexcept override { return queues_->drain(reason); }
  void retire() noexcept final;

  /// All queues of the port. A forward path borrows some of them.
  [[nodiscard]] const std::shared_ptr<QueueSet>& queues() const noexcept { return queues_; }

 protected:
  /// `memory`: see QueueSet.
  QueuePort(std::shared_ptr<ContextState> context, PortInfo info, const TxFormat& format = kAdvancedTx,
            const std::shared_ptr<std::pmr::memory_resource>& memory = nullptr);

  /// Call it before `configure`.
  void use_registers(const QueueRegisters& registers) noexcept { registers_ = registers; }
  /// The same for a port that may be configured: the queues keep their rings, caches and counters. Needs them closed.
  void exchange_registers(const QueueRegisters& registers) noexcept {
    use_registers(registers);
    queues_->exchange_registers(registers);
  }
  [[nodiscard]] const QueueRegisters& queue_registers() const noexcept { return registers_; }
  [[nodiscard]] const RingMemory& rings() const noexcept { return rings_; }
  /// Capabilities that a card's driver adds to its table.
  [[nodiscard]] CapabilityEntry interrupt_capability() noexcept { return offer<Interrupts>(*this); }
  [[nodiscard]] CapabilityEntry transmit_watch() noexcept { return offer<TransmitWatch>(*this); }
  /// Writes Settings::moderation. The vectors are enabled.
  void moderate(const Settings& settings);
  /// For a driver that overrides `counted_frames`.
  [[nodiscard]] CapabilityEntry receive_watch() noexcept { return offer<ReceiveWatch>(*this); }
  /// Called for a queue of a running port. Errors: not_supported (the card cannot stop this queue alone).
  [[nodiscard]] virtual Result<void> may_restart(QueueId /*queue*/) const { return {}; }
  /// Whether the card may send now: it has a link, and its link partner asks for no pause. The port is started.
  [[nodiscard]] virtual bool may_transmit() const = 0;
  /// How long a queue may stand still while the card sends what it has taken from it: the longest request at the lowest
  /// rate. 0: the rates are high, or unknown.
  [[nodiscard]] virtual Duration longest_request() const { return Duration(0); }
  /// What the card has counted, as of the last service. The port is started.
  [[nodiscard]] virtual CountedFrames counted_frames() { return {}; }

 private:
  /// The new ring, buffers and settings of a queue that is restarted.
  struct PreparedQueue {
    RingMemory::Single ring;
    IntelRxQueueSetup rx = {};  // of a receive queue
    IntelTxQueueSetup tx = {};  // of a transmit queue
    std::vector<Mbuf*> tx_slots = {};
    RxSlots rx_slots = {};
    // Of `rx_slots`: how many, from the first, get the buffers of the old ring; those after them have buffers of their
    // pool.
    std::uint32_t kept = 0;
    std::uint32_t kept_headers = 0;
    bool has_buffers = false;
  };

  [[nodiscard]] Result<void> prepare(QueueId queue, const PlacedSettings& next, bool running) final;
  [[nodiscard]] Result<void> take_buffers(PreparedQueue& prepared, const IntelRxQueue& queue);
  void discard() noexcept final;
  void exchange(QueueId queue) noexcept final;
  void open_queue(QueueId queue) noexcept final;

  [[nodiscard]] Report watch_transmit(Duration limit) final;
  [[nodiscard]] std::optional<std::uint16_t> watch_receive(Duration limit) final;
  [[nodiscard]] Result<std::vector<unsigned>> rx_vectors() final;

  QueueRegisters registers_;
  RingMemory rings_;
  std::shared_ptr<QueueSet> queues_;
  std::optional<PreparedQueue> prepared_;
  TxWatch tx_watch_;
  RxWatch rx_watch_;
};

}  // namespace pollux::drivers::intel
