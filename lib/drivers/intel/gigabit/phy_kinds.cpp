// SPDX-License-Identifier: BSD-3-Clause
// What PHYs have beyond clause 22.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/gigabit/phy.hpp"

namespace pollux::drivers::gigabit {
namespace {

namespace phy = hw::gigabit::phy;

/// A PHY of which only the registers of clause 22 are known.
class GenericPhy final : public PhyKind {
 public:
  [[nodiscard]] std::string_view name(const GigabitCard& /*card*/) const noexcept override {
    return "generic (IEEE 802.3, clause 22)";
  }
  [[nodiscard]] bool is_known() const noexcept override { return false; }
  [[nodiscard]] Result<void> prepare(const GigabitCard& /*card*/, bool /*forced*/) const override { return {}; }
  [[nodiscard]] Result<CableReport> cable(const GigabitCard& /*card*/) const override { return CableReport{}; }
};

/// A PHY that a card's traits describe.
class KnownPhy final : public PhyKind {
 public:
  [[nodiscard]] std::string_view name(const GigabitCard& card) const noexcept override { return card.family.phy.name; }
  [[nodiscard]] bool is_known() const noexcept override { return true; }
  [[nodiscard]] Result<void> prepare(const GigabitCard& card, bool forced) const override;
  [[nodiscard]] Result<CableReport> cable(const GigabitCard& card) const override;
};

/// How long the reset of register 0 may take: IEEE 802.3, clause 22.2.4.1.1.
constexpr Duration kSoftResetLimit = milliseconds(500);

// Linux igb, e1000_phy.c, igb_copper_link_setup_m88_gen2: the PHY's own reset lets new settings take effect.
Result<void> commit(const GigabitCard& card) {
  if (auto reset = modify_phy(card, phy::kControl, 0, phy::kControlReset); !reset) return reset;
  Result<std::uint16_t> control = std::uint16_t{0};
  auto done = wait_for(
      card, "the PHY's reset", kSoftResetLimit,
      [&] {
        control = read_phy(card, phy::kControl);
        return !control || (*control & phy::kControlReset) == 0;
      },
      milliseconds(1));
  return control ? done : pass_on(std::move(control));
}

// Linux, e1000_phy.c, igb_copper_link_setup_igp, _82580 and _m88_gen2, and DPDK, e1000_phy.c,
// e1000_copper_link_setup_igp: without low-power link-up in D0, which would advertise 10 Mb/s only; MDI or MDI-X is
// selected automatically, but a forced mode needs MDI (igb_phy_force_speed_duplex_igp).
Result<void> KnownPhy::prepare(const GigabitCard& card, bool forced) const {
  const phy::PhyTraits& own = card.family.phy;
  if (own.low_power == phy::LowPower::phy) {
    if (auto full_power = modify_phy(card, phy::kPowerManagement, phy::kLowPowerD0, 0); !full_power) return full_power;
  }
  const phy::CrossoverRegister& crossover = own.crossover;
  const unsigned choice = forced ? 0U : crossover.automatic;
  auto chosen = modify_phy(card, crossover.number, unsigned{crossover.mdix} | crossover.automatic, choice);
  return chosen && own.settings_need_reset ? commit(card) : chosen;
}

/// The gain of a channel's amplifier as metres of cable, of which the gain is a measure. Empty: no such gain.
std::optional<unsigned> metres_of_gain(unsigned gain) {
  if (gain == 0 || gain >= phy::kMetresOfGain.size()) return std::nullopt;
  return phy::kMetresOfGain[gain];
}

// [I-CABLE] Linux, e1000_phy.c, igb_get_cable_length_igp_2: the mean of the four channels without the longest and the
// shortest, give or take 15 m.
Result<std::optional<CableLength>> cable_length(const GigabitCard& card) {
  std::array<unsigned, phy::kGainPages.size()> metres{};
  for (std::size_t channel = 0; channel < metres.size(); ++channel) {
    const auto gain = read_mdio(card, {card.family.phy.address, phy::kGainPages[channel], phy::kGain});
    if (!gain) return tl::unexpected<Error>(gain.error());
    const auto known = metres_of_gain(static_cast<unsigned>(*gain) >> phy::kGainShift);
    if (!known) return std::optional<CableLength>();
    metres[channel] = *known;
  }
  std::sort(metres.begin(), metres.end());
  const unsigned mean = (metres[1] + metres[2]) / 2;
  const unsigned shortest = mean - std::min(mean, phy::kMetresOfError);
  return std::optional(CableLength{.min = static_cast<std::uint16_t>(shortest),
                                   .max = static_cast<std::uint16_t>(mean + phy::kMetresOfError)});
}

// Linux igb, e1000_82575.h, I82580_DSTATUS_CABLE_LENGTH.
Result<std::optional<CableLength>> cable_metres(const GigabitCard& card) {
  constexpr std::uint32_t kDiagnosis = 31;
  constexpr unsigned kUnknown = 0xFF;
  const auto diagnosis = read_phy(card, kDiagnosis);
  if (!diagnosis) return tl::unexpected<Error>(diagnosis.error());
  const unsigned metres = static_cast<unsigned>(*diagnosis) >> 2 & kUnknown;
  if (metres == kUnknown) return std::optional<CableLength>();
  return std::optional(CableLength{static_cast<std::uint16_t>(metres), static_cast<std::uint16_t>(metres)});
}

// Linux, e1000_phy.c, igb_get_phy_info_igp, _82580 and _m88, and igb_check_polarity_igp. With gains, there is no
// polarity at 100 Mb/s. QEMU's PHY has no pages: its register 17 answers on all of them, and register 20, which has the
// polarity at 1000 Mb/s, on none. So a PHY without that register is not asked for the length.
Result<CableReport> KnownPhy::cable(const GigabitCard& card) const {
  const phy::PhyTraits& own = card.family.phy;
  const phy::StatusRegister& place = own.status;
  const auto status = read_phy(card, place.number);
  if (!status) return tl::unexpected<Error>(status.error());
  const bool gigabit = (*status & place.speed_bits(3 - place.speed_base)) == place.speed_bits(2);
  CableReport report{.mdix = (*status & place.mdix) != 0, .polarity_reversed = {}, .length = {}};
  if (!gigabit || own.cable != phy::CableMeasure::gains) {
    report.polarity_reversed = (*status & place.polarity_reversed) != 0;
    if (!gigabit || own.cable != phy::CableMeasure::metres) return report;
    const auto length = cable_metres(card);
    if (!length) return tl::unexpected<Error>(length.error());
    report.length = *length;
    return report;
  }
  const auto polarity = read_mdio(card, {own.address, phy::kPcsPage, phy::kPcsInit});
  if (!polarity && polarity.error().code == ErrorCode::device_fault) return report;
  if (!polarity) return tl::unexpected<Error>(polarity.error());
  report.polarity_reversed = (*polarity & phy::kPcsPolarityReversed) != 0;
  const auto length = cable_length(card);
  if (!length) return tl::unexpected<Error>(length.error());
  report.length = *length;
  return report;
}

}  // namespace

namespace {

/// The internal PHY of the 82574, BM in Linux's words, with Marvell's registers.
class Bm final : public PhyKind {
 public:
  [[nodiscard]] std::string_view name(const GigabitCard& /*card*/) const noexcept override { return "82574 (BM)"; }
  [[nodiscard]] bool is_known() const noexcept override { return true; }
  [[nodiscard]] Result<void> prepare(const GigabitCard& card, bool forced) const override;
  [[nodiscard]] Result<CableReport> cable(const GigabitCard& card) const override;
};

// Linux e1000e, phy.c, e1000e_copper_link_setup_m88: MDI or MDI-X is selected automatically, but a forced mode needs
// MDI (e1000e_phy_force_speed_duplex_m88); the polarity is corrected; downshift is disabled before it is enabled.
Result<void> Bm::prepare(const GigabitCard& card, bool forced) const {
  constexpr unsigned kKnown = phy::bm::kAutoMdix | phy::bm::kKeepPolarity | phy::bm::kDownshift;
  const unsigned choice = forced ? 0U : phy::bm::kAutoMdix;
  auto done = modify_phy(card, phy::bm::kControl, kKnown, choice);
  if (done) done = commit(card);
  if (done) done = modify_phy(card, phy::bm::kControl, kKnown, choice | phy::bm::kDownshift);
  if (done) done = write_phy(card, phy::bm::kTuningIndex, phy::bm::kTuning);
  if (done) done = write_phy(card, phy::bm::kTuningValue, 0);
  return done ? commit(card) : done;
}

// Linux e1000e, phy.c, e1000e_get_phy_info_m88 and e1000e_get_cable_length_m88.
Result<CableReport> Bm::cable(const GigabitCard& card) const {
  const auto status = read_phy(card, phy::bm::kStatus);
  if (!status) return tl::unexpected<Error>(status.error());
  CableReport report{.mdix = (*status & phy::bm::kStatusMdix) != 0,
                     .polarity_reversed = (*status & phy::bm::kStatusPolarity) != 0,
                     .length = {}};
  const std::size_t range = (*status & phy::bm::kStatusLength) >> phy::bm::kStatusLengthShift;
  const bool gigabit = (*status & phy::kPortSpeedMask) == phy::bm::kStatus1000;
  if (!gigabit || range + 1 >= phy::bm::kLengths.size()) return report;
  report.length = CableLength{.min = phy::bm::kLengths[range], .max = phy::bm::kLengths[range + 1]};
  return report;
}

}  // namespace

// Linux e1000e, 82571.c, e1000_check_phy_82574.
Result<bool> phy_hangs(const GigabitCard& card) {
  if (card.family.phy.kind != phy::Kind::bm) return false;
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  const auto errors = read_phy(card, phy::bm::kReceiveErrors);
  if (!errors) return tl::unexpected<Error>(errors.error());
  if (*errors != phy::bm::kReceiveErrorsEnd) return false;
  const auto idle = read_phy(card, phy::kGigabitStatus);
  if (!idle) return tl::unexpected<Error>(idle.error());
  return (*idle & phy::bm::kIdleErrorsEnd) == phy::bm::kIdleErrorsEnd;
}

// [I-PHYID]
const PhyKind& phy_kind(const GigabitCard& card, std::uint32_t id) noexcept {
  static const GenericPhy generic{};
  static const KnownPhy known{};
  static const Bm bm{};
  if ((id & phy::kIdMask) != card.family.phy.id) return generic;
  if (card.family.phy.kind == phy::Kind::bm) return bm;
  return known;
}

}  // namespace pollux::drivers::gigabit
