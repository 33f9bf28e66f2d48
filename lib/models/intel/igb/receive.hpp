// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/clocks.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/filter.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// One receive queue: its ring, and the code that writes frames to the ring's buffers.
class CardRxQueue {
 public:
  CardRxQueue(RegisterFile& registers, Dma& dma, std::uint32_t number)
      : registers_(registers), dma_(&dma), number_(number) {}

  void reset();
  /// Accesses memory as another function of the card does.
  void use(Dma& dma) noexcept { dma_ = &dma; }
  [[nodiscard]] bool has_memory() const noexcept { return dma_->active(); }
  [[nodiscard]] bool enabled() const noexcept { return enabled_; }
  /// Called when RXDCTL.ENABLE takes effect.
  void set_enabled(bool enabled);
  void write_head(std::uint32_t value);
  /// For tests: the queue takes no frame until it is enabled again.
  void hang() noexcept { hangs_ = true; }
  void write_tail(std::uint32_t value);

  enum class Outcome {
    stored,
    no_descriptors,  ///< nothing was written
    broken,          ///< the ring is unusable: not in memory, a tail outside it, or an unsupported format
  };
  /// Writes `bytes` to the buffers, and writes their descriptors back. `last` is the write-back of the last descriptor;
  /// its length is computed. Its header_length is where `split_point` found the headers' end; it is used if the queue
  /// splits frames.
  [[nodiscard]] Outcome deliver(std::span<const std::byte> bytes, intel::rx::WriteBack last);

  /// Writes the next armed descriptor back with the given content and moves the head, without writing its buffer. False
  /// if no descriptor is armed. For tests with a faulty card.
  bool write_back(const intel::Descriptor& descriptor);

  /// Performs all pending write-backs. False if there are none.
  bool flush_write_backs() { return waiting_.flush(*dma_, number_); }
  [[nodiscard]] std::size_t waiting_write_backs() const noexcept { return waiting_.size(); }
  /// RXDCTL.WTHRESH.
  [[nodiscard]] std::uint32_t threshold() const { return registers_.get<hw::RXDCTL>(number_).get(hw::RXDCTL::WTHRESH); }

  /// Buffer size in bytes, from SRRCTL or RCTL.
  [[nodiscard]] std::size_t buffer_bytes() const;
  /// The number of descriptors that the card may fill.
  [[nodiscard]] std::uint32_t armed() const;
  /// The number of armed descriptors that were left after the last frame.
  [[nodiscard]] std::uint32_t left() const noexcept { return left_; }
  /// The number of writes to RDT, of other values than 0, while the queue was not enabled. A driver that follows the
  /// 82575 manual, 14.3.59, makes none.
  [[nodiscard]] std::uint64_t early_tails() const noexcept { return early_tails_; }

 private:
  [[nodiscard]] std::uint32_t ring_size() const;
  [[nodiscard]] std::uint32_t head() const { return registers_.get<hw::RDH>(number_).get(hw::RDH::HEAD); }
  [[nodiscard]] std::uint32_t tail() const { return registers_.get<hw::RDT>(number_).get(hw::RDT::TAIL); }
  [[nodiscard]] std::uint64_t slot() const;  // address of the next descriptor
  [[nodiscard]] Outcome deliver_split(std::span<const std::byte> bytes, intel::rx::WriteBack last);
  [[nodiscard]] const std::byte* read_descriptor(std::uint64_t at);
  void complete(std::uint64_t slot, const intel::Descriptor& descriptor);
  void advance_head();

  RegisterFile& registers_;
  Dma* dma_;
  std::uint32_t number_;
  bool enabled_ = false;
  bool broken_ = false;  // true until the queue is enabled again
  bool hangs_ = false;
  std::uint32_t left_ = 0;
  std::uint64_t early_tails_ = 0;
  WriteBacks waiting_;
};

/// The receive path: filters, queue selection, the packet buffer and the queues.
class Receive {
 public:
  /// Time until RXDCTL.ENABLE reads as set. An estimate, so that a driver has to wait.
  static constexpr Duration kEnableTime = std::chrono::microseconds(10);

  /// Numbers of dropped frames that no register counts.
  struct Losses {
    std::uint64_t not_receiving = 0;  ///< link down or RCTL.RXEN clear
    std::uint64_t not_for_us = 0;     ///< filtered
    std::uint64_t queue_disabled = 0;
    std::uint64_t queue_broken = 0;  ///< see CardRxQueue::Outcome::broken
    std::uint64_t flushed = 0;       ///< in the packet buffer at a reset, or when receiving was disabled
  };

  Receive(RegisterFile& registers, Timers& timers, Dma& dma, Interrupts& interrupts, Statistics& statistics,
          TimeSync& time, std::uint32_t exact_addresses);

  void reset();
  void set_work_budget(WorkBudget& budget) noexcept { budget_ = &budget; }
  /// Loads the port's address into RAL[0] and RAH[0].
  void set_mac(std::array<std::uint8_t, 6> mac) { filter_.set_mac(mac); }
  /// Receives a frame without FCS. `link_up` is STATUS.LU.
  void frame(std::span<const std::byte> frame, bool link_up);
  /// Switches a frame (without FCS) that `pool` has sent. True if it concerns pools alone, and not the wire.
  bool frame_of_pool(std::span<const std::byte> frame, std::uint32_t pool);
  /// Receives a frame whose FCS is wrong.
  void corrupt_frame(std::span<const std::byte> frame, bool link_up);
  /// True if receiving is enabled and the longest frame fits into the packet buffer.
  [[nodiscard]] bool has_room() const;
  /// Sets the handler that is called with the number of bytes in the packet buffer after each change.
  void on_level(std::function<void(std::size_t bytes)> handler) { level_ = std::move(handler); }
  /// Moves waiting packets from the packet buffer to the queues.
  void drain();

  /// Resets and disables a queue, as the reset of its function does.
  void disable_queue(std::uint32_t number);
  [[nodiscard]] const Pools& pools() const noexcept { return pools_; }
  [[nodiscard]] CardRxQueue& queue(std::uint32_t number) { return queues_[number]; }
  [[nodiscard]] const Losses& losses() const noexcept { return losses_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return buffer_.size(); }

 private:
  struct Packet {
    std::vector<std::byte> bytes;
    intel::rx::WriteBack write_back;
    std::uint32_t queue = 0;
    std::size_t charge = 0;  // the bytes that it takes in the packet buffer
    bool counted_no_buffer = false;
  };

  void install_hooks();
  void reset_queue(std::uint32_t number);
  void schedule_enable(std::uint32_t queue);
  enum class Passes : std::uint8_t { no, as_bad, as_good };
  [[nodiscard]] Passes passes(std::span<const std::byte> frame, const Headers& headers, Filter::Match match);
  [[nodiscard]] intel::rx::WriteBack describe(std::span<const std::byte> frame, const Headers& headers,
                                              const RssChoice& choice, Filter::Match match) const;
  [[nodiscard]] bool has_outer_tags() const;
  [[nodiscard]] std::uint16_t split_of(std::span<const std::byte> frame, const Headers& headers,
                                       const intel::rx::WriteBack& write_back, std::uint32_t queue) const;
  [[nodiscard]] Headers parsed(std::span<const std::byte> frame) const;
  void to_pools(std::span<const std::byte> frame, const Headers& headers, intel::rx::WriteBack write_back,
                const RssChoice& rss, const Pools::Choice& choice, Pools::From from);
  void store(std::span<const std::byte> frame, std::uint32_t queue, intel::rx::WriteBack write_back,
             bool counts = true);
  [[nodiscard]] std::span<const std::byte> as_stored(std::span<const std::byte> frame, std::uint64_t status,
                                                     std::uint32_t queue);
  [[nodiscard]] bool keeps_crc(std::uint32_t queue) const;
  /// True if the packet is finished, because it was written to memory or dropped. False if it has to wait.
  [[nodiscard]] bool try_deliver(std::span<const std::byte> bytes, std::uint32_t queue,
                                 const intel::rx::WriteBack& write_back, bool& counted_no_buffer);
  void flush();
  void stored(std::uint32_t queue);
  void flush_write_backs(std::uint32_t queue);
  void set_level(std::size_t bytes);
  [[nodiscard]] std::size_t capacity() const;
  void charge_crc(std::size_t bytes) const noexcept;

  RegisterFile& registers_;
  Timers& timers_;
  Interrupts& interrupts_;
  Statistics& statistics_;
  TimeSync& time_;
  Filter filter_;
  Pools pools_;
  std::vector<CardRxQueue> queues_;
  std::array<Timers::Id, hw::kRxQueues> enable_timer_{};
  std::array<Timers::Id, hw::kRxQueues> write_back_timer_{};
  std::array<bool, hw::kRxQueues> requested_{};  // the last value written to RXDCTL.ENABLE
  std::function<void(std::size_t)> level_;
  std::deque<Packet> buffer_;
  std::size_t buffered_bytes_ = 0;
  std::vector<std::byte> scratch_;
  Losses losses_;
  WorkBudget* budget_ = nullptr;
};

}  // namespace pollux::models::igb
