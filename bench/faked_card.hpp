// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"

namespace pollux::bench {

/// Plain memory where an 82576's registers would be, so that a driver's accesses cost what a store to a cache costs and
/// all that is measured is its own work. What the control path waits for (reset, NVM, PHY, master disable) is answered
/// whenever the driver sleeps on `clock`. The card's side of the rings is done by `receive` and `finish_transmits`,
/// outside the timed part.
class FakedCard {
 public:
  static constexpr std::uint32_t kQueues = 16;

  FakedCard();
  FakedCard(const FakedCard&) = delete;
  FakedCard& operator=(const FakedCard&) = delete;

  /// The Device to hand to `pollux::open`; once. It refers to the card.
  [[nodiscard]] std::unique_ptr<Device> device();

  /// The card's way to memory: to be attached to the Context before anything is allocated.
  [[nodiscard]] std::shared_ptr<DmaDomain> domain() const { return domain_; }

  /// Puts the card's place in all rings back to the start, as the queues' restart does.
  void restart();

  /// For the Context's options: the card answers as it moves on.
  [[nodiscard]] std::shared_ptr<Clock> clock() const { return clock_; }

  /// Flushes each line the card writes or reads from the caches, as if it had gone through memory.
  void set_cold(bool cold) { cold_ = cold; }

  /// Reports a hash, a type and two good checksums with each frame from now on.
  void set_marking(bool marking) { marking_ = marking; }

  /// Writes `count` frames of `length` bytes into a receive queue's posted buffers and marks them done. A frame that is
  /// longer than a buffer takes several.
  void receive(std::uint32_t queue, std::uint32_t count, std::uint32_t length);
  /// Reads all frames on a transmit queue and reports those done that ask for it; returns how many frames there were.
  std::uint32_t finish_transmits(std::uint32_t queue);

 private:
  friend class FakedDevice;
  class Domain;

  [[nodiscard]] std::uint32_t get(std::uint32_t offset) const;
  void set(std::uint32_t offset, std::uint32_t value);
  void answer();
  [[nodiscard]] std::byte* at(std::uint64_t iova) const { return reinterpret_cast<std::byte*>(iova + delta_); }

  std::unique_ptr<std::byte[], void (*)(std::byte*)> registers_;
  std::shared_ptr<DmaDomain> domain_;
  std::uint64_t delta_ = 0;  // from IOVA to address
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  bool cold_ = false;
  bool marking_ = false;
  std::array<std::uint32_t, kQueues> rx_heads_{};
  std::array<std::uint32_t, kQueues> tx_heads_{};
  volatile std::uint64_t sink_ = 0;
};

}  // namespace pollux::bench
