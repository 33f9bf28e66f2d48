// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "drivers/intel/igb/card.hpp"
#include "pollux/net/link_control.hpp"

namespace pollux::drivers::igb {

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
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Whether the registers from 16 on have pages, which register 31 selects.
  [[nodiscard]] virtual bool has_pages() const noexcept = 0;
  /// Prepares for negotiation, or for a forced mode. Call it before register 0 is written.
  [[nodiscard]] virtual Result<void> prepare(const Card& card, bool forced) const = 0;
  [[nodiscard]] virtual Result<CableReport> cable(const Card& card) const = 0;
};

/// The kind of the PHY with this id (registers 2 and 3): IGP03, or one with only the registers 0 to 15.
[[nodiscard]] const PhyKind& phy_kind(const Card& card, std::uint32_t id) noexcept;

}  // namespace pollux::drivers::igb
