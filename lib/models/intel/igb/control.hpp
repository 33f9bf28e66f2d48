// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/phy.hpp"
#include "models/intel/igb/register_file.hpp"

namespace pollux::models::igb {

/// CTRL, STATUS and CTRL_EXT: the MAC's side of the link, the master disable and the reset bits.
class Control {
 public:
  /// How long outstanding requests take to complete. An estimate, so that a driver has to wait.
  static constexpr Duration kMasterDisableTime = std::chrono::microseconds(10);

  struct Actions {
    std::function<void()> reset;            ///< CTRL.RST was written
    std::function<void()> link_changed;     ///< STATUS.LU has a new value
    std::function<void()> reset_announced;  ///< CTRL_EXT.PFRSTD was set
  };

  Control(RegisterFile& registers, Timers& timers, Dma& dma, Phy& phy, Interrupts& interrupts, std::uint32_t lan_id,
          Actions actions);

  void reset(bool function_level);
  /// Sets or clears CTRL.RST, which reads as set during a reset.
  void set_in_reset(bool in_reset);
  /// Called after the PHY, the carrier or CTRL.SLU may have changed.
  void update_link();

  /// Device Control 2 of the configuration space. It sets the completion timeout if GCR.CAP_VER2 is set.
  void set_device_control2(std::uint16_t value);

  /// For tests: the card never finishes its requests after GIO_MASTER_DISABLE, until the function is reset.
  void hang_master() noexcept { master_hangs_ = true; }

  /// Sets STATUS.TXOFF: the link partner has requested a pause.
  void set_paused(bool paused) noexcept { paused_ = paused; }

  /// Sets STATUS.NUM_VFS and IOV_MODE.
  void set_functions(unsigned count) noexcept { functions_ = count; }

  [[nodiscard]] bool link_up() const noexcept { return link_up_; }
  /// The duplex mode of the link: the PHY's, or the one that CTRL forces.
  [[nodiscard]] bool full_duplex() const;

 private:
  void write_control(hw::CTRL::Value value);
  void update_completion_timeout();
  [[nodiscard]] hw::STATUS::Value status() const;

  RegisterFile& registers_;
  Timers& timers_;
  Dma& dma_;
  Phy& phy_;
  Interrupts& interrupts_;
  Actions actions_;
  Timers::Id master_disabled_;
  std::uint32_t lan_id_;
  std::uint16_t device_control2_ = 0;
  bool master_enabled_ = true;
  bool master_hangs_ = false;
  bool phy_was_reset_ = true;
  bool link_up_ = false;
  bool paused_ = false;
  unsigned functions_ = 0;
};

/// Wake-up: the frames and changes of the link that WUFC selects set WUS and WUC.PME_STATUS, and the first frame is
/// kept in WUPL and WUPM. Works while WUC.PME_EN is set, also with receiving disabled. [I-M-WAKE] 82575 manual, 3.8;
/// bits: DPDK e1000, e1000_defines.h.
class Wake {
 public:
  explicit Wake(RegisterFile& registers) : registers_(registers) {}

  void frame(std::span<const std::byte> frame);
  void link_is(bool up);

  [[nodiscard]] bool requested() const noexcept { return registers_.get<hw::WUC>().has(hw::WUC::PME_STATUS); }
  /// WUS keeps the reasons.
  void end_request() noexcept { registers_.set<hw::WUC>(registers_.get<hw::WUC>().without(hw::WUC::PME_STATUS)); }

 private:
  [[nodiscard]] bool armed() const { return registers_.get<hw::WUC>().has(hw::WUC::PME_EN); }
  [[nodiscard]] hw::WUS::Value reasons(std::span<const std::byte> frame) const;
  void request(hw::WUS::Value reasons);

  RegisterFile& registers_;
  bool link_up_ = false;
};

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
