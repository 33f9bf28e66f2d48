// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "drivers/paravirtual/queue_memory.hpp"
#include "drivers/paravirtual/rx_queue.hpp"
#include "drivers/paravirtual/tx_queue.hpp"
#include "net/tx_watch.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/interrupts.hpp"
#include "pollux/net/queued_port.hpp"
#include "pollux/net/register_dump.hpp"
#include "pollux/net/transmit_watch.hpp"

namespace pollux::drivers::paravirtual {

/// How long a restart of one queue waits for the bursts of other threads, before it resets the whole device.
inline constexpr Duration kCloseLimit = std::chrono::seconds(1);
inline constexpr Duration kServiceInterval = std::chrono::seconds(1);

/// PortInfo of a device, but for what it supports and its limits. Its count of missed frames is a lower bound.
[[nodiscard]] PortInfo describe_device(const Device& device, std::string_view driver, std::string_view card,
                                       std::uint16_t index);

/// All queues of a configuration, receive queues first.
[[nodiscard]] std::vector<QueueId> queues_of(const PlacedQueues& config);

/// Error device_removed, for the device of that name.
[[nodiscard]] tl::unexpected<Error> fail_removed(std::string_view name);

/// The part of a driver that handles the queues of a paravirtual device: their memory, buffers and interrupts, and the
/// restart of one. A driver derives from it and adds the control of its device.
class ParavirtualPort : public QueuedPort, private RegisterDump, private Interrupts, private TransmitWatch {
 public:
  [[nodiscard]] Result<void> configure(const PlacedSettings& settings) final;
  [[nodiscard]] Result<void> fill() final;
  std::uint32_t drain(DrainReason reason) noexcept final;
  [[nodiscard]] std::vector<int> events() const final;
  [[nodiscard]] std::span<const CapabilityEntry> capabilities() const noexcept final { return capabilities_; }
  [[nodiscard]] bool can_attach() const noexcept final { return true; }

 protected:
  ParavirtualPort(std::shared_ptr<ContextState> context, PortInfo info, Drops drops);

  /// As QueuedPort's.
  ///@{
  void add(ParavirtualRxQueue& queue);
  void add(ParavirtualTxQueue& queue);
  ///@}

  /// Bytes of memory that a queue of the device needs.
  [[nodiscard]] virtual std::size_t queue_bytes(QueueId queue, const PlacedQueues& config) const = 0;
  /// Sets up a queue with such memory.
  virtual void set_up_queue(QueueId queue, const PlacedQueues& config, QueueMemory memory) = 0;
  /// Buffers of a receive queue that runs with these settings.
  [[nodiscard]] virtual std::uint32_t buffers_of(const PlacedSettings& settings, std::uint16_t queue) const = 0;
  [[nodiscard]] TxQueueLimits tx_limits() const noexcept;

  /// An error about this port.
  [[nodiscard]] tl::unexpected<Error> refuse(ErrorCode code, std::string_view what, std::string_view hint) const;
  /// Error device_fault: the device `has` done something to a queue, behind which `why` stands.
  [[nodiscard]] tl::unexpected<Error> fail_queue(std::string_view has, QueueId queue, std::string_view why = "") const;
  /// Error device_fault if the device has spoiled a queue, which cannot be used again without a reset.
  [[nodiscard]] Result<void> check_faults() const;
  /// Waits, for a limited time, until the device has sent what the queues from `begin` to before `end` have. Needs
  /// their gates closed. `registers` are flushed meanwhile.
  void wait_for_transmit(const Bar& registers, std::uint16_t begin, std::uint16_t end);
  /// The device has been reset as a whole, for one queue: frames in rings are lost, receive queues keep their buffers.
  void empty_queues() noexcept;

  /// Enables a vector for each receive queue behind or, if the device has too few, for several; and `others`. With less
  /// than `least` it enables none. Returns the eventfd of the first vector; -1: there is none.
  int enable_interrupts(unsigned others, unsigned least);
  void forget_vectors() noexcept;
  /// The queues have the vectors behind the first, in turn if there are too few.
  [[nodiscard]] unsigned vector_of(std::uint16_t queue) const noexcept {
    return vectors_ <= others_ ? 0 : 1 + queue % (vectors_ - others_);
  }

  [[nodiscard]] Result<void> prepare(QueueId queue, const PlacedSettings& settings, bool running) override;
  void discard() noexcept final;
  void exchange(QueueId queue) noexcept final;

  std::unique_ptr<Device> device_;  // the driver's constructor sets it
  unsigned vectors_ = 0;            // enabled
  int event_ = -1;                  // of the vector for events of the device
  bool dma_ended_ = true;           // false while DMA may be going on
  TxWatch tx_watch_;

 private:
  /// What a restart of a queue has prepared.
  struct PreparedQueue {
    PlacedQueues config;
    QueueMemory memory;
    std::vector<Mbuf*> buffers = {};  // of a receive queue that runs: as many as `kept` lacks
    std::uint32_t kept = 0;           // of the old ring's buffers
  };

  [[nodiscard]] Result<QueueMemory> allocate(QueueId queue, const PlacedQueues& config);
  [[nodiscard]] Report watch_transmit(Duration limit) final;
  [[nodiscard]] Result<std::vector<unsigned>> rx_vectors() final;

  std::vector<CapabilityEntry> capabilities_;
  std::vector<ParavirtualRxQueue*> rx_queues_;
  std::vector<ParavirtualTxQueue*> tx_queues_;
  std::optional<PreparedQueue> prepared_;
  unsigned others_ = 0;  // vectors besides those of receive queues
};

}  // namespace pollux::drivers::paravirtual
