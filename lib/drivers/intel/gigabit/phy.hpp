// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/link_control.hpp"

namespace pollux::drivers::gigabit {

/// A register of a PHY on the management bus.
struct MdioRegister {
  std::uint32_t address;   ///< of the PHY, 0 to 31
  std::uint32_t page = 0;  ///< of the registers from 16 on; selected as the internal PHY does it
  std::uint32_t number = 0;
};

/// Access to one register by MDIC. Hold Shared::phy during the call. Errors: device_removed, timeout (MDIC.READY),
/// device_fault (MDIC.ERROR, or an answer for another register).
[[nodiscard]] Result<std::uint16_t> read_mdio(const GigabitCard& card, const MdioRegister& which);
[[nodiscard]] Result<void> write_mdio(const GigabitCard& card, const MdioRegister& which, std::uint16_t value);

/// The same for register `number` of the internal PHY; from 16 on, of page 0.
[[nodiscard]] Result<std::uint16_t> read_phy(const GigabitCard& card, std::uint32_t number);
[[nodiscard]] Result<void> write_phy(const GigabitCard& card, std::uint32_t number, std::uint16_t value);
/// Changes bits of such a register.
[[nodiscard]] Result<void> modify_phy(const GigabitCard& card, std::uint32_t number, unsigned clear, unsigned set);

/// The modes of the internal PHY and of the MAC.
inline constexpr LinkModes kPhyModes{LinkMode::half_10, LinkMode::full_10, LinkMode::half_100, LinkMode::full_100,
                                     LinkMode::full_1000};

/// Resets the PHY and waits until the card has configured it from its NVM: at most about 200 ms. Acquires Shared::phy
/// itself, as all functions here do. Errors: device_removed, timeout (Shared::phy).
[[nodiscard]] Result<void> reset_phy(const GigabitCard& card);

/// Lets the PHY send frames back to the MAC at 1000 Mb/s, without a link partner. Call it after `reset_phy`. Errors: as
/// above, and those of read_mdio.
[[nodiscard]] Result<void> loop_phy(const GigabitCard& card);

/// [E-PLL] Whether the PHY's PLL is configured; always, on a card without that erratum. Errors: those of read_mdio.
[[nodiscard]] Result<bool> pll_runs(const GigabitCard& card);

/// Sets the PHY up, powered, and starts autonegotiation with the modes of `config` and the bits `pause`, or forces its
/// mode. Errors: as above; device_fault if no PHY answers.
[[nodiscard]] Result<void> set_up_phy(const GigabitCard& card, const LinkConfig& config, std::uint16_t pause);

/// Powers the PHY down. Errors: as above.
[[nodiscard]] Result<void> stop_phy(const GigabitCard& card);

/// The link partner's abilities (register 5), which are known once the link is up. Errors: as above.
[[nodiscard]] Result<std::uint16_t> partner_abilities(const GigabitCard& card);

/// What a PHY reports of the cable while it has a link. Empty: it does not report it.
struct CableReport {
  std::optional<bool> mdix;
  std::optional<bool> polarity_reversed;
  std::optional<CableLength> length;
};

/// A kind of PHY: what it has beyond the registers of IEEE 802.3, clause 22 (0 to 15), which phy.cpp uses for every
/// PHY. A kind has no state. Hold Shared::phy during its calls. Errors: those of read_mdio.
class PhyKind {
 public:
  virtual ~PhyKind() = default;
  [[nodiscard]] virtual std::string_view name(const GigabitCard& card) const noexcept = 0;
  /// Whether more than the registers of clause 22 is known.
  [[nodiscard]] virtual bool is_known() const noexcept = 0;
  /// Prepares for negotiation, or for a forced mode. Call it before register 0 is written.
  [[nodiscard]] virtual Result<void> prepare(const GigabitCard& card, bool forced) const = 0;
  [[nodiscard]] virtual Result<CableReport> cable(const GigabitCard& card) const = 0;
};

/// The kind of the PHY with this id (registers 2 and 3): that of the card, or one with only the registers 0 to 15.
[[nodiscard]] const PhyKind& phy_kind(const GigabitCard& card, std::uint32_t id) noexcept;

/// Whether the PHY seems to hang, for kinds that are known to. Errors: as above.
[[nodiscard]] Result<bool> phy_hangs(const GigabitCard& card);

/// What the PHY says of itself, and while `link_up` of its link.
struct PhyReport {
  const PhyKind* kind = nullptr;
  std::uint32_t id = 0;
  std::optional<PartnerAbilities> partner;
  CableReport cable;
};
/// Errors: as above; device_fault if no PHY answers.
[[nodiscard]] Result<PhyReport> report_phy(const GigabitCard& card, bool link_up);

}  // namespace pollux::drivers::gigabit
