// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "hw/intel/igb/phy.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/timers.hpp"

namespace pollux::models::igb {

/// [I-M-PARTNER] The capabilities of the link partner's PHY.
struct LinkPartner {
  /// The modes that the partner advertises, or its one forced mode, in the format of register 5.
  std::uint16_t abilities = hw::phy::kSelector8023 | hw::phy::k10Half | hw::phy::k10Full | hw::phy::k100Half |
                            hw::phy::k100Full | hw::phy::kPause | hw::phy::kPauseAsymmetric;
  bool gigabit_half = true;
  bool gigabit_full = true;
  /// False if the partner is forced to 10 or 100 Mb/s. Parallel detection then finds its speed but not its duplex mode,
  /// so the link is half duplex (82575 manual, p. 264, 11.2).
  bool negotiates = true;
};

/// The copper PHY, which is accessed through MDIC.
/// [I-M-PHY] As with QEMU's card (e1000x_common.c), autonegotiation does not start automatically after a reset. It
/// starts when software sets the restart bit, or when the carrier is lost and returns.
class Phy {
 public:
  /// Duration of autonegotiation: QEMU, e1000x_common.c, e1000x_restart_autoneg. Real gigabit links take one to three
  /// seconds.
  static constexpr Duration kNegotiationTime = std::chrono::milliseconds(500);
  /// Duration of a management frame: 64 bits at 2.5 MHz (IEEE 802.3, clause 22).
  static constexpr Duration kFrameTime = std::chrono::microseconds(26);

  /// `link_changed` is called after anything that may have changed `link_up` or the speed.
  Phy(RegisterFile& registers, Timers& timers, const hw::phy::PhyTraits& traits, std::function<void()> link_changed);

  void reset();
  void set_carrier(bool present);
  /// Sets the link partner for the next negotiation.
  void set_partner(const LinkPartner& partner) noexcept { partner_ = partner; }

  [[nodiscard]] bool link_up() const noexcept { return link_up_; }
  /// In the encoding of STATUS.SPEED: 0, 1, 2 for 10, 100, 1000 Mb/s.
  [[nodiscard]] std::uint32_t speed() const noexcept { return speed_; }
  [[nodiscard]] bool full_duplex() const noexcept { return full_duplex_; }

 private:
  void start_frame(hw::MDIC::Value request);
  void finish_frame();
  [[nodiscard]] std::uint16_t read(std::uint32_t number);
  void write(std::uint32_t number, std::uint16_t value);
  void write_control(std::uint16_t value);
  void negotiate();
  void finish_negotiation();
  void drop_link();
  void force_link();
  void raise_link(std::uint32_t speed, bool full_duplex);
  void raise_best_link(unsigned common);

  RegisterFile& registers_;
  Timers& timers_;
  hw::phy::PhyTraits traits_;
  std::function<void()> link_changed_;
  Timers::Id frame_done_;
  Timers::Id negotiated_;
  std::array<std::uint16_t, 32> values_{};
  LinkPartner partner_;
  bool carrier_ = false;
  bool waiting_for_carrier_ = false;
  bool link_up_ = false;
  bool link_was_lost_ = false;  // the status register's link bit latches low until it is read
  bool full_duplex_ = true;
  std::uint32_t speed_ = 2;
};

}  // namespace pollux::models::igb
