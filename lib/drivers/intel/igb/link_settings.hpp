// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>

#include "drivers/intel/igb/card.hpp"
#include "drivers/intel/igb/link.hpp"
#include "drivers/intel/igb/mdio.hpp"
#include "pollux/net/link_control.hpp"

namespace pollux::drivers::igb {

/// The link of one port: keeps its setup, and writes it to the MAC and the PHY.
class LinkSettings final : public LinkControl, public PhyRegisters {
 public:
  /// `card` outlives this object. `restarted` is called after the link of a started port was set up anew, which has
  /// turned flow control off.
  LinkSettings(const drivers::igb::Card& card, std::function<Result<void>()> restarted)
      : card_(card), restarted_(std::move(restarted)) {}

  /// Called at each start of the port, after the card's reset. Changes reach the card at once from now on. Errors:
  /// those of start_link.
  [[nodiscard]] Result<void> start(LoopbackMode loopback, std::uint16_t pause);
  void stop() noexcept { running_ = false; }
  /// The PHY of a started port negotiates again, with other pause bits. Errors: those of restart_link.
  [[nodiscard]] Result<void> advertise_pause(std::uint16_t pause);
  /// The link as the card reports it.
  [[nodiscard]] Link link() const;

  [[nodiscard]] LinkModes supported_modes() const override;
  /// Stops the PHY again after others have used it while the port is not started.
  [[nodiscard]] Result<void> after_reset() const;
  [[nodiscard]] LinkConfig link_config() const override { return setup_.config; }
  [[nodiscard]] Result<void> set_link_config(const LinkConfig& config) override;
  [[nodiscard]] Result<void> restart_negotiation() override;
  [[nodiscard]] bool phy_enabled() const override { return setup_.enabled; }
  [[nodiscard]] Result<void> set_phy_enabled(bool enabled) override;
  [[nodiscard]] Result<LinkDetails> link_details() override;

  [[nodiscard]] Result<std::uint16_t> read_phy_register(const PhyRegister& which) override;
  [[nodiscard]] Result<void> write_phy_register(const PhyRegister& which, std::uint16_t value) override;

 private:
  /// Error busy: a management session or a loopback holds the link.
  [[nodiscard]] Result<void> expect_free() const;
  [[nodiscard]] Result<void> expect_control(const char* what) const;
  [[nodiscard]] Result<void> change(const LinkSetup& setup);
  [[nodiscard]] Result<MdioRegister> checked(const PhyRegister& which) const;

  const drivers::igb::Card& card_;
  std::function<Result<void>()> restarted_;
  LinkSetup setup_;
  bool running_ = false;
};

}  // namespace pollux::drivers::igb
