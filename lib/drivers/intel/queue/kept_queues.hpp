// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <vector>

#include "drivers/intel/queue/queue_set.hpp"

namespace pollux::drivers::intel {

/// A queue of a program that has crashed, as the words say that bursts write. A burst writes them one after the other.
/// So how many frames there are follows from the card's position (RDH, TDH), which is exact; these say who had them. A
/// slot has one frame.
struct QueueAtCrash {
  std::uint32_t next = 0;     ///< slot, or slots written since the ring was new
  std::uint32_t mask = 0;     ///< slots of the ring - 1
  std::uint64_t all = 0;      ///< frames that bursts have taken out of rings or put into rings, and counted
  std::uint64_t counted = 0;  ///< those of this ring
  bool started = false;

  /// Of a receive queue: frames that no finished burst has returned. They are in the ring, or a burst that was cut had
  /// taken them. A burst of one frame counts it first, and then moves on.
  [[nodiscard]] std::uint64_t unreturned(std::uint32_t head) const noexcept {
    const std::uint32_t taken = next - static_cast<std::uint32_t>(counted);
    return started ? ((head - next) & mask) + ((taken + 1) & mask) - 1 : 0;
  }
  /// Of a transmit queue: frames that the card has not sent.
  [[nodiscard]] std::uint64_t unsent(std::uint32_t head) const noexcept { return started ? (next - head) & mask : 0; }
  /// Those that it has sent. A burst that was cut may have written frames, and not counted them, or the other way
  /// round.
  [[nodiscard]] std::uint64_t sent(std::uint32_t head) const noexcept {
    const auto uncounted = static_cast<std::int32_t>(next - static_cast<std::uint32_t>(counted));
    const auto not_sent = static_cast<std::int64_t>(unsent(head));
    const std::int64_t more = started && uncounted <= not_sent ? uncounted : 0;
    return all + static_cast<std::uint64_t>(more - not_sent);
  }
};

/// Memory for the queues of a port that outlives its program (ADR 25): bursts write there what a successor needs, with
/// no other instructions than elsewhere. In front are words of the control thread.
class KeptQueues {
 public:
  static constexpr std::size_t kMaxQueues = 16;
  static constexpr std::size_t kMaxCounters = 256;

  /// `area`: of `bytes` bytes, which `owner` has.
  KeptQueues(std::shared_ptr<void> owner, std::byte* area, std::size_t bytes);

  /// For QueueSet.
  [[nodiscard]] static std::shared_ptr<std::pmr::memory_resource> memory(const std::shared_ptr<KeptQueues>& self) {
    return self == nullptr ? nullptr : std::shared_ptr<std::pmr::memory_resource>(self, &self->memory_);
  }
  /// Words of the driver.
  [[nodiscard]] static std::span<std::uint64_t> counters(std::byte* area, std::size_t count) noexcept;
  [[nodiscard]] std::span<std::uint64_t> counters(std::size_t count) noexcept { return counters(area_, count); }

  /// A queue that is not started has no frames for a successor. It starts with an empty ring.
  void set_started(QueueId queue, QueueSet& queues, bool started) noexcept;

  /// Where a successor finds the words of the first queues: for `find`.
  [[nodiscard]] std::vector<std::uint64_t> describe(QueueSet& queues, bool receives, std::uint32_t count) const;
  static constexpr std::size_t kNumbers = 5;  // that describe a queue
  /// The queues of another program. Error invalid_argument: the places are not in the area.
  [[nodiscard]] static Result<std::vector<QueueAtCrash>> find(std::byte* area, std::size_t bytes, bool receives,
                                                              std::span<const std::uint64_t> described);

 private:
  struct Side;
  struct Words;
  [[nodiscard]] static Side& side(std::byte* area, bool receives) noexcept;

  std::shared_ptr<void> owner_;
  std::byte* area_;
  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace pollux::drivers::intel
