// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "hw/intel/igb/phy.hpp"
#include "models/intel/igb/register_file.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::igb {

/// [I-M-PARTNER] The capabilities of the link partner's PHY.
using LinkPartner = LinkSignal;

/// The copper PHY, which is accessed through MDIC.
/// [I-M-PHY] As with QEMU's card (e1000x_common.c), autonegotiation does not start automatically after a reset. It
/// starts when software sets the restart bit, or when the carrier is lost and returns.
/// [I-M-DIRTY] At power-on, the registers have values that an earlier owner may have left. CTRL.RST changes none of
/// them. After a reset of the PHY, the card configures it from the NVM, and until then it answers no access.
class Phy {
 public:
  /// Duration of autonegotiation: QEMU, e1000x_common.c, e1000x_restart_autoneg. Real gigabit links take one to three
  /// seconds.
  static constexpr Duration kNegotiationTime = std::chrono::milliseconds(500);
  /// Duration of a management frame: 64 bits at 2.5 MHz (IEEE 802.3, clause 22).
  static constexpr Duration kFrameTime = std::chrono::microseconds(26);
  /// Time from the end of a reset of the PHY until the card has configured it. An estimate; Linux waits up to 100 ms.
  static constexpr Duration kConfigureTime = std::chrono::milliseconds(5);

  /// A register, 0 to 31 and of page 0, and the value that it gets.
  struct Setting {
    std::uint32_t number;
    std::uint16_t value;
  };

  struct Actions {
    std::function<void()> link_changed;           ///< after anything that may have changed `link_up` or the speed
    std::function<void()> configuration_changed;  ///< `configured` has a new value
    std::function<void()> accessed;               ///< software accesses or resets the PHY
  };

  Phy(RegisterFile& registers, Timers& timers, const hw::phy::PhyTraits& traits, Actions actions);

  /// The state after the card was plugged in.
  void power_on();
  /// The reset line. While it is set, the PHY has no link. Afterwards the card configures the PHY.
  void set_reset(bool active);
  /// Sets the registers' defaults at once, as if no one had used the PHY before and the NVM had no settings for it.
  void restore_defaults();
  /// What the card writes into the PHY after each reset of it. Initially low-power link-up and another page.
  void set_configuration(std::vector<Setting> settings) { configuration_ = std::move(settings); }
  /// Gives a register of another page a value, which it keeps; `selection` is the value of the page select register
  /// (page * 32 + number). All other registers of other pages read as zero.
  void set_on_other_page(std::uint16_t selection, std::uint16_t value) { other_registers_[selection] = value; }
  /// What the PHY finds out about the cable when the link is up.
  void set_cable(bool mdix, bool polarity_reversed) noexcept {
    mdix_ = mdix;
    polarity_reversed_ = polarity_reversed;
  }
  /// False from a reset of the PHY until the card has configured it.
  [[nodiscard]] bool configured() const noexcept { return configured_; }
  /// Whether the card passes accesses to the PHY. It does not while it reads its NVM.
  void set_accessible(bool accessible) noexcept { accessible_ = accessible; }

  /// PHPM was written.
  void apply_power();
  void set_carrier(bool present);
  /// The link partner has changed. A link or negotiation that depends on it starts again.
  void set_partner(const LinkPartner& partner);
  /// What this PHY sends to its link partner.
  [[nodiscard]] LinkSignal signal() const;
  void on_signal(std::function<void(Duration now)> handler) { signal_changed_ = std::move(handler); }

  [[nodiscard]] bool link_up() const noexcept { return link_up_; }
  /// True if frames come back from the PHY (register 0, bit 14).
  [[nodiscard]] bool loops_back() const noexcept {
    return (values_[hw::phy::kControl] & hw::phy::kControlLoopback) != 0 && link_up_;
  }
  /// In the encoding of STATUS.SPEED: 0, 1, 2 for 10, 100, 1000 Mb/s.
  [[nodiscard]] std::uint32_t speed() const noexcept { return speed_; }
  [[nodiscard]] bool full_duplex() const noexcept { return full_duplex_; }

  // For tests: what a correct driver keeps at zero.
  /// Accesses before the PHY was configured.
  [[nodiscard]] std::uint64_t early_accesses() const noexcept { return early_accesses_; }
  /// Accesses to registers of another page than software probably meant.
  [[nodiscard]] std::uint64_t other_pages() const noexcept { return other_pages_; }
  /// Resets and writes while a management session holds the link (MANC.BLK_PHY_RST_ON_IDE).
  [[nodiscard]] std::uint64_t disturbed_sessions() const noexcept { return disturbed_sessions_; }
  /// The number of times that the link was lost.
  [[nodiscard]] std::uint64_t link_losses() const noexcept { return link_losses_; }

 private:
  void set_defaults();
  void set_dirty();
  [[nodiscard]] std::vector<Setting> initial_configuration() const;
  [[nodiscard]] bool leaves_page() const noexcept;
  void finish_configuration();
  void set_configured(bool configured);
  void start_frame(hw::MDIC::Value request);
  void finish_frame();
  [[nodiscard]] bool session() const;
  [[nodiscard]] bool reaches_phy(hw::MDIC::Value request) const;
  [[nodiscard]] bool paged(std::uint32_t number) const noexcept;
  [[nodiscard]] std::uint32_t page() const noexcept;
  [[nodiscard]] bool on_other_page(std::uint32_t number);
  /// The value that a test has given to a register of the selected page.
  [[nodiscard]] std::optional<std::uint16_t> other_register(std::uint32_t number) const;
  [[nodiscard]] std::uint16_t read(std::uint32_t number);
  void write(std::uint32_t number, std::uint16_t value);
  void write_control(std::uint16_t value);
  [[nodiscard]] std::uint16_t extended() const noexcept;
  void install_efficiency();

  // The link, in phy_link.cpp.
  [[nodiscard]] bool has(std::uint32_t number, unsigned bits) const noexcept { return (values_[number] & bits) != 0; }
  [[nodiscard]] bool low_power() const noexcept;
  [[nodiscard]] bool powered() const noexcept;
  [[nodiscard]] bool negotiates() const noexcept { return has(hw::phy::kControl, hw::phy::kControlAutonegotiate); }
  [[nodiscard]] bool medium() const noexcept;
  [[nodiscard]] std::uint16_t advertised() const noexcept;
  [[nodiscard]] unsigned advertised_gigabit() const noexcept;
  [[nodiscard]] LinkSignal::Role role() const noexcept;
  [[nodiscard]] LinkSignal::Crossover crossover() const noexcept;
  void apply_control(bool restart);
  void follow_medium();
  void stop_negotiation();
  void stop_link();
  void negotiate();
  [[nodiscard]] bool saves_energy() const noexcept;
  void finish_negotiation();
  void resolve();
  void detect_in_parallel();
  [[nodiscard]] bool roles_differ();
  void force_link();
  void drop_link();
  void raise_link(std::uint32_t speed, bool full_duplex);
  void announce();

  RegisterFile& registers_;
  Timers& timers_;
  hw::phy::PhyTraits traits_;
  Actions actions_;
  std::function<void(Duration)> signal_changed_;
  Timers::Id frame_done_;
  Timers::Id negotiated_;
  Timers::Id configured_timer_;
  std::array<std::uint16_t, 32> values_{};
  std::vector<Setting> configuration_;
  std::map<std::uint16_t, std::uint16_t> other_registers_;
  bool mdix_ = false;
  bool polarity_reversed_ = false;
  LinkPartner partner_;
  LinkSignal announced_;
  bool untouched_ = true;  // no software has used the PHY since power-on
  bool in_reset_ = false;
  bool configured_ = true;
  bool accessible_ = true;
  bool carrier_ = false;
  bool started_ = false;              // software has started a negotiation since the last reset
  bool waiting_for_partner_ = false;  // this side has finished its part
  bool link_up_ = false;
  bool link_was_lost_ = false;  // the status register's link bit latches low until it is read
  bool full_duplex_ = true;
  std::uint32_t speed_ = 2;
  std::uint16_t efficient_ = 0;  // what it advertises, from IPCNFG when the negotiation ends
  std::uint64_t early_accesses_ = 0;
  std::uint64_t other_pages_ = 0;
  std::uint64_t disturbed_sessions_ = 0;
  std::uint64_t link_losses_ = 0;
};

}  // namespace pollux::models::igb
