// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

/// [I-M-TXRATE] The rate limits of the transmit queues (RTTDQSEL, RTTBCNRC). After a frame, a limited queue waits for
/// the time that the frame takes on the wire, with preamble and gap, times the rate factor. It never catches up.
class TxRates {
 public:
  TxRates(RegisterFile& registers, Timers& timers);

  void reset();
  /// The link's speed in the encoding of STATUS.SPEED.
  void set_speed(std::uint32_t speed) noexcept { speed_ = speed < 2 ? speed : 2; }
  /// True if the queue may not start a frame yet.
  [[nodiscard]] bool waits(std::uint32_t queue) const { return next_[queue] > timers_.now(); }
  [[nodiscard]] Duration wait(std::uint32_t queue) const { return next_[queue] - timers_.now(); }
  /// RTTBCNRC of a queue.
  [[nodiscard]] hw::RTTBCNRC::Value rate(std::uint32_t queue) const { return rate_[queue]; }
  /// The queue has sent a frame of `bytes` without FCS.
  void sent(std::uint32_t queue, std::size_t bytes);

 private:
  RegisterFile& registers_;
  Timers& timers_;
  std::uint32_t selected_ = 0;
  std::uint32_t speed_ = 2;
  std::array<hw::RTTBCNRC::Value, hw::kTxQueues> rate_{};
  std::array<Duration, hw::kTxQueues> next_{};  // when the queue may start its next frame
};

}  // namespace pollux::models::igb
