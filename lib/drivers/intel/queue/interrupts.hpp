// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/device/device.hpp"
#include "pollux/net/interrupts.hpp"

namespace pollux::drivers::intel {

class QueueSet;

/// Where a card masks and moderates its MSI-X vectors. The defaults are those of EIMS, EIMC and EITR of an 82576.
struct MaskRegisters {
  Bar bar;
  std::uint32_t unmask = 0;      ///< offset; bit n + first_bit is vector n
  std::uint32_t mask = 0;        ///< offset
  std::uint32_t moderation = 0;  ///< offset of that of vector 0
  unsigned first_bit = 0;
  std::uint32_t causes = 0;          ///< offset of ICR, if a masked vector remembers its cause there; 0: it does not
  std::uint32_t interval_ns = 1000;  ///< the unit of an interval
  unsigned interval_shift = 2;       ///< where an interval is
  std::uint32_t interval_bits = 1U << 31;  ///< what is written with it: bit 31 keeps the running counter
};

/// An MSI-X vector of receive queues. A vector is unmasked from the moment a queue is armed until its next message,
/// which masks it at the card (EIAM), or until no queue of it is armed. Every queue of the vector gets the message and
/// arms itself again, so an armed queue either has an unmasked vector or has got a message.
/// Thread rule: any thread; `setup` only while no queue of the vector is polled.
class InterruptVector {
 public:
  /// The vector of these registers from now on, without moderation.
  void setup(const MaskRegisters& masks, unsigned number) noexcept;
  /// Writes the interval. Call it after `setup`.
  void moderate(const InterruptModeration& moderation) noexcept;
  /// Unmasks the vector. When it returns, the card has seen this. `queue`: 0 to 31. `frames`: that the queue has
  /// received since it was last armed.
  void arm(unsigned queue, std::uint64_t frames) noexcept;
  /// Masks the vector if no other queue is armed.
  void disarm(unsigned queue) noexcept;

 private:
  void write_interval(Duration interval) noexcept;

  std::mutex mutex_;  // another queue's thread must not mask what this one has just unmasked
  MaskRegisters masks_;
  InterruptModeration moderation_;
  Duration interval_{0};  // in EITR
  unsigned number_ = 0;
  std::uint32_t bit_ = 0;
  std::uint32_t armed_ = 0;  // queues
};

/// The MSI-X vectors of a port. Vector 0 is for causes that belong to no queue. The receive queues have the others:
/// one each, or in turn if there are fewer vectors than queues. With a single vector all queues share it, and the other
/// causes have none.
/// Thread rule: that of the port's control calls.
class QueueInterrupts {
 public:
  /// `vectors`: of the card. `queues`: the most receive queues that the port can have.
  QueueInterrupts(unsigned vectors, unsigned queues) : vectors_(std::min(vectors, queues + 1)) {}

  /// Enables the vectors of the first `count` queues, and masks them at the card's MSI-X table no longer. Needs the
  /// queues closed. On an error the queues have no vector, so they have to be polled.
  [[nodiscard]] Result<void> enable(Device& device, const MaskRegisters& masks, QueueSet& queues, unsigned count);
  /// The queues have no vector any more. Call it before the device closes its eventfds.
  void detach(QueueSet& queues) noexcept;

  /// Writes what differs of Settings::moderation. Of queues that share a vector, the lowest one that is named counts.
  void moderate(const std::map<std::uint16_t, InterruptModeration>& moderation);

  /// Vectors that are enabled.
  [[nodiscard]] unsigned enabled() const noexcept { return enabled_; }
  [[nodiscard]] unsigned vector_of(unsigned queue) const noexcept {
    return enabled_ < 2 ? 0 : 1 + queue % (enabled_ - 1);
  }
  /// Whether vector 0 is for causes that belong to no queue.
  [[nodiscard]] bool has_other() const noexcept { return enabled_ > 1; }
  /// The eventfd of that vector; -1 if there is none.
  [[nodiscard]] int other_event() const noexcept { return other_event_; }
  /// Whether that vector has sent a message since the last call. The eventfd stays readable, for others that watch it.
  [[nodiscard]] bool take_other() noexcept;
  /// The bits of all vectors that are enabled.
  [[nodiscard]] std::uint32_t bits() const noexcept { return (std::uint32_t{1} << enabled_) - 1; }

 private:
  void watch_other(int event) noexcept;

  std::vector<InterruptVector> vectors_;
  unsigned enabled_ = 0;
  unsigned queues_ = 0;  // that have the enabled vectors
  int other_event_ = -1;
  FileDescriptor other_seen_;  // an epoll instance that reports each signal of other_event_ once
};

}  // namespace pollux::drivers::intel
