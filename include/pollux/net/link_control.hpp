// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"
#include "pollux/net/link.hpp"

namespace pollux {

/// Speed in Mb/s and duplex mode of a link, whatever its medium. The speeds are those of ethtool.
enum class LinkMode : std::uint8_t {
  half_10,
  full_10,
  half_100,
  full_100,
  half_1000,
  full_1000,
  full_2500,
  full_5000,
  full_10000,
  full_20000,
  full_25000,
  full_40000,
  full_50000,
  full_100000,
  full_200000,
  full_400000
};

/// The speeds of the modes, in Mb/s.
inline constexpr std::array<std::uint32_t, 16> kLinkSpeeds{
    10, 10, 100, 100, 1'000, 1'000, 2'500, 5'000, 10'000, 20'000, 25'000, 40'000, 50'000, 100'000, 200'000, 400'000};

/// In Mb/s.
[[nodiscard]] constexpr std::uint32_t speed_of(LinkMode mode) noexcept {
  return kLinkSpeeds[static_cast<std::size_t>(mode)];
}
/// The duplex mode that is part of it.
[[nodiscard]] constexpr Duplex duplex_of(LinkMode mode) noexcept {
  return mode == LinkMode::half_10 || mode == LinkMode::half_100 || mode == LinkMode::half_1000 ? Duplex::half
                                                                                                : Duplex::full;
}

/// All modes, the slowest first.
inline constexpr std::array kLinkModes = [] {
  std::array<LinkMode, kLinkSpeeds.size()> modes{};
  for (std::size_t i = 0; i < modes.size(); ++i) modes[i] = static_cast<LinkMode>(i);
  return modes;
}();

/// A set of modes.
class LinkModes {
 public:
  constexpr LinkModes() = default;
  /// The set of these modes.
  constexpr LinkModes(std::initializer_list<LinkMode> modes) noexcept {
    for (const LinkMode mode : modes) insert(mode);
  }
  /// As with any set; modes that it has already change nothing.
  ///@{
  constexpr void insert(LinkMode mode) noexcept { bits_ |= bit(mode); }
  [[nodiscard]] constexpr bool contains(LinkMode mode) const noexcept { return (bits_ & bit(mode)) != 0; }
  [[nodiscard]] constexpr bool contains(const LinkModes& others) const noexcept {
    return (bits_ & others.bits_) == others.bits_;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  ///@}
  [[nodiscard]] constexpr bool operator==(const LinkModes&) const = default;

 private:
  static constexpr std::uint32_t bit(LinkMode mode) noexcept { return 1U << static_cast<unsigned>(mode); }

  std::uint32_t bits_ = 0;
};

/// "100/full"
[[nodiscard]] POLLUX_API std::string to_string(LinkMode mode);
/// "10/half 100/full", the slowest first; "none" for an empty set.
[[nodiscard]] POLLUX_API std::string to_string(const LinkModes& modes);
/// The mode that `to_string` writes as `text`; empty if there is none.
[[nodiscard]] POLLUX_API std::optional<LinkMode> parse_link_mode(std::string_view text);

/// The set of all modes.
inline constexpr LinkModes kAllLinkModes = [] {
  LinkModes all;
  for (const LinkMode mode : kLinkModes) all.insert(mode);
  return all;
}();

/// How a link finds its mode.
struct LinkConfig {
  /// The modes that are offered to the link partner (IEEE 802.3, clause 28). kAllLinkModes: all that the port supports.
  /// What is offered of pause frames belongs to FlowControlConfig.
  LinkModes advertised = kAllLinkModes;
  /// A mode that is used without negotiation; `advertised` is then not used. 10 or 100 Mb/s, since faster ones need
  /// negotiation (IEEE 802.3). A link partner that negotiates finds the speed, but assumes half duplex.
  std::optional<LinkMode> forced = {};

  [[nodiscard]] bool operator==(const LinkConfig&) const = default;
};

/// What the link partner offers.
struct PartnerAbilities {
  bool negotiates = false;        ///< false: it was found by parallel detection, and `modes` has what that shows
  LinkModes modes = {};           ///< as it has advertised them
  bool pause = false;             ///< symmetric pause frames
  bool asymmetric_pause = false;  ///< pause frames in one direction

  [[nodiscard]] bool operator==(const PartnerAbilities&) const = default;
};

/// The length of the cable in metres, as the PHY estimates it.
struct CableLength {
  /// Bounds, in metres.
  ///@{
  std::uint16_t min = 0;
  std::uint16_t max = 0;
  ///@}

  [[nodiscard]] bool operator==(const CableLength&) const = default;
};

/// The link and its PHY as they are. The members that may be empty are known only while the link is up, and only if the
/// PHY reports them.
struct LinkDetails {
  Link link = {};                                ///< as Port::link
  std::string phy;                               ///< the kind of PHY, such as "IGP03"
  std::uint32_t phy_id = 0;                      ///< registers 2 (high half) and 3
  std::optional<PartnerAbilities> partner = {};  ///< what it offers
  std::optional<bool> mdix = {};                 ///< the pairs are crossed here (MDI-X)
  std::optional<bool> polarity_reversed = {};    ///< the two wires of a pair are swapped
  std::optional<CableLength> cable = {};         ///< at 1000 Mb/s
};

/// Capability (see capability.hpp): the link, whose modes are Settings::link, and its PHY.
class POLLUX_API LinkControl {
 public:
  static constexpr CapabilityId kId{"link_control"};

  virtual ~LinkControl() = default;
  /// Negotiates again. Errors: bad_state (closed, not started, a forced mode, or the PHY is stopped), busy (a
  /// management session or a loopback holds the link), device_removed, timeout, device_fault (the PHY).
  [[nodiscard]] virtual Result<void> restart_negotiation() = 0;
  /// Asks the PHY, which takes some milliseconds. Errors: bad_state (closed), device_removed, timeout, device_fault.
  [[nodiscard]] virtual Result<LinkDetails> link_details() = 0;
};

/// Checks a setting against the modes of a card. `port` is its name in the error. Errors: invalid_argument,
/// not_supported.
[[nodiscard]] POLLUX_API Result<void> check_link_config(std::string_view port, const LinkConfig& config,
                                                        const LinkModes& supported);

/// A register of a PHY on the card's management bus (IEEE 802.3, clause 22).
struct PhyRegister {
  std::uint8_t number = 0;                   ///< 0 to 31
  std::uint16_t page = 0;                    ///< for the registers from 16 on of a PHY that has pages, up to 2,047
  std::optional<std::uint8_t> address = {};  ///< 0 to 31; empty: the card's own PHY
};

/// Capability (see capability.hpp): reads and writes registers of the PHY, for tools. The driver does not know of
/// values that are written here; the next start of the port, or change of its link, may overwrite them.
class POLLUX_API PhyRegisters {
 public:
  static constexpr CapabilityId kId{"phy_registers"};

  virtual ~PhyRegisters() = default;
  /// Reading some registers clears bits of them, such as the link bit of register 1. Errors: invalid_argument (outside
  /// the ranges, or a page of a PHY without pages), bad_state (closed), device_removed, timeout, device_fault (the PHY
  /// does not answer at that address, or does not have the register).
  [[nodiscard]] virtual Result<std::uint16_t> read_phy_register(const PhyRegister& which) = 0;
  /// Errors: as `read_phy_register`.
  [[nodiscard]] virtual Result<void> write_phy_register(const PhyRegister& which, std::uint16_t value) = 0;
};

}  // namespace pollux
