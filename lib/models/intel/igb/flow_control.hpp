// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/statistics.hpp"
#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

/// Pause frames (IEEE 802.3, annex 31B). They are obeyed if CTRL.RFCE is set. They are sent if CTRL.TFCE is set and the
/// packet buffer fills up to FCRTH. I210 datasheet, 3.7.5; 82575 manual, 14.3.53 to 14.3.55 and 14.9.14 to 14.9.18.
/// [I-M-PAUSE] Pause frames have their own counters. Received ones that are not passed on also count in TPR and TOR,
/// and sent ones in TPT and TOT.
class FlowControl {
 public:
  struct Actions {
    std::function<void(bool paused)> pause;                      ///< pauses or resumes this card's transmitter
    std::function<void(std::span<const std::byte> frame)> send;  ///< sends to the wire, even while paused
  };

  FlowControl(RegisterFile& registers, Timers& timers, Statistics& statistics, Actions actions);

  void reset();
  void set_link(bool up, std::uint32_t speed);
  /// False if the frame is certainly no pause frame. A fast check before `take`.
  [[nodiscard]] static bool concerns(std::span<const std::byte> frame) noexcept {
    return frame.size() >= 18 && frame[12] == std::byte{0x88} && frame[13] == std::byte{0x08};
  }
  /// Handles a frame from the wire. True if it was a pause frame that is not passed on.
  [[nodiscard]] bool take(std::span<const std::byte> frame);
  /// TCTL.SWXOFF: sends one pause frame with the time in FCTTV, regardless of CTRL.TFCE.
  void send_for_software();
  /// Call this with the number of bytes in the packet buffer after each change.
  void set_level(std::size_t bytes);
  [[nodiscard]] bool paused() const noexcept { return timers_.running(resume_); }

 private:
  [[nodiscard]] Duration quanta(std::uint32_t count) const noexcept;
  [[nodiscard]] bool is_for_us(std::span<const std::byte> frame) const;
  void send(std::uint32_t quanta);
  void send_xoff();
  void refresh();

  RegisterFile& registers_;
  Timers& timers_;
  Statistics& statistics_;
  Actions actions_;
  Timers::Id resume_;
  Timers::Id refresh_;
  bool link_up_ = false;
  bool xoff_sent_ = false;  // the link partner was paused and has not been resumed
  std::size_t level_ = 0;
  std::uint32_t speed_ = 2;  // in the encoding of STATUS.SPEED
};

}  // namespace pollux::models::igb
