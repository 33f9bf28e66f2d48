// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "backlog.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"

namespace pollux::bench {

/// A card whose registers are plain memory. An access costs no more than a store to the cache, so benchmarks measure
/// the driver's own work only. Whenever the driver sleeps on `clock`, the card answers what the control path waits for
/// (reset, NVM, PHY, master disable). `receive` and `finish_transmits` do the card's work on the rings, outside the
/// timed part. Each queue may have a thread of its own.
class FakedCard {
 public:
  static constexpr std::uint32_t kQueues = Backlog::kQueues;
  /// Frames of 64 bytes that wait in the card at most: 64 KiB, the 82576's default (datasheet, RXPBS). The faked virtio
  /// device keeps as many.
  static constexpr std::uint32_t kPacketBuffer = 1024;

  /// An 82574 has extended descriptors and a ring's registers at other places. DPDK's driver of it receives with legacy
  /// ones (`use_legacy_receive`).
  enum class Kind : std::uint8_t { card_82576, card_82574 };

  explicit FakedCard(Kind kind = Kind::card_82576);
  FakedCard(const FakedCard&) = delete;
  FakedCard& operator=(const FakedCard&) = delete;

  /// The Device to pass to `pollux::open`. Call it once. The Device refers to the card.
  [[nodiscard]] std::unique_ptr<Device> device();

  /// The card's DMA domain. Attach it to the Context before anything is allocated.
  [[nodiscard]] std::shared_ptr<DmaDomain> domain() const { return domain_; }

  /// Sets the card's heads of all rings to 0, as a restart of the queues does.
  void restart();

  /// The clock for the Context's options. The card answers when it advances.
  [[nodiscard]] std::shared_ptr<Clock> clock() const { return clock_; }

  /// Makes the card flush each cache line that it writes or reads, as if the data came from memory.
  void set_cold(bool cold) { cold_ = cold; }

  /// Makes the card report a hash, a type and two good checksums with each frame.
  void set_marking(bool marking) { marking_ = marking; }

  /// Queues 0 to 3 have their ring registers where the 82575 has them, which a real 82576 accepts as well.
  void use_older_addresses() { older_addresses_ = true; }

  /// Receive descriptors have no buffer but the address, and are written back in the oldest format.
  void use_legacy_receive() { legacy_receive_ = true; }

  /// Writes `count` frames of `length` bytes into a receive queue's buffers and writes the descriptors back. A frame
  /// that is longer than a buffer takes several. If the queue splits frames, the first 54 bytes go to the other buffer
  /// of the first descriptor.
  void receive(std::uint32_t queue, std::uint32_t count, std::uint32_t length);
  /// So many frames arrive for a receive queue. They wait in the card until `deliver`, which moves as many as the queue
  /// has armed descriptors for. Those for which the card has no room are lost. For one thread.
  void offer(std::uint32_t queue, std::uint32_t count) { backlog_.offer(queue, count); }
  void deliver(std::uint32_t queue, std::uint32_t length);
  [[nodiscard]] std::uint64_t lost() const { return backlog_.lost(); }
  /// A queue's tail registers, RDT and TDT.
  [[nodiscard]] const volatile std::uint32_t* rx_tail(std::uint32_t queue) const;
  [[nodiscard]] const volatile std::uint32_t* tx_tail(std::uint32_t queue) const;

  /// What the card has done for a transmit queue.
  struct Sent {
    std::uint64_t descriptors = 0;  ///< read, those of contexts included
    std::uint64_t write_backs = 0;
  };
  [[nodiscard]] const Sent& sent(std::uint32_t queue) const { return queues_[queue].sent; }

  /// Reads all frames of a transmit queue and reports descriptors with RS done. Returns the number of frames.
  std::uint32_t finish_transmits(std::uint32_t queue);

 private:
  friend class FakedDevice;
  class Domain;

  [[nodiscard]] std::uint32_t get(std::uint32_t offset) const;
  // The value, or the place, of a register of a queue's ring.
  template <class Register>
  [[nodiscard]] std::uint32_t ring(std::uint32_t queue) const;
  template <class Register>
  [[nodiscard]] const std::byte* ring_register(std::uint32_t queue) const;
  void set(std::uint32_t offset, std::uint32_t value);
  void answer();
  [[nodiscard]] std::byte* at(std::uint64_t iova) const { return reinterpret_cast<std::byte*>(iova + delta_); }

  [[nodiscard]] std::uint32_t buffer_bytes(std::uint32_t queue) const;

  Kind kind_;
  std::unique_ptr<std::byte[], void (*)(std::byte*)> registers_;
  std::shared_ptr<DmaDomain> domain_;
  std::uint64_t delta_ = 0;  // from IOVA to address
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  bool cold_ = false;
  bool marking_ = false;
  bool older_addresses_ = false;
  bool legacy_receive_ = false;
  Backlog backlog_{kPacketBuffer};
  struct alignas(64) Queue {
    std::uint32_t rx_head = 0;
    std::uint32_t tx_head = 0;
    volatile std::uint64_t sink = 0;
    Sent sent;
  };
  std::array<Queue, kQueues> queues_{};
};

}  // namespace pollux::bench
