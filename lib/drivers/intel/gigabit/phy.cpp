// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/phy.hpp"

#include <algorithm>
#include <array>

#include "drivers/intel/gigabit/semaphore.hpp"
#include "hw/intel/gigabit/phy.hpp"

namespace pollux::drivers::gigabit {
namespace {

namespace phy = hw::gigabit::phy;

/// DPDK e1000, e1000_phy.c, e1000_read_phy_reg_mdic: 1,920 polls, 50 us apart.
constexpr Duration kAccessLimit = milliseconds(96);

// [I-PHYADDR] Linux, e1000_phy.c, igb_read_phy_reg_mdic and igb_write_phy_reg_mdic.
Result<reg::MDIC::Value> access(const GigabitCard& card, std::uint32_t address, std::uint32_t number,
                                reg::MDIC::Setting operation) {
  card.regs.write<reg::MDIC>(operation | reg::MDIC::REGADD(number) | reg::MDIC::PHYADD(address));
  reg::MDIC::Value answer;
  auto ready = wait_for(card, fmt::format("MDIC.READY for PHY register {}", number), kAccessLimit, [&] {
    answer = card.regs.read<reg::MDIC>();
    return answer.has(reg::MDIC::READY) && !answer.all_ones();
  });
  if (!ready) return pass_on(std::move(ready));
  if (answer.has(reg::MDIC::ERROR)) {
    return fail(ErrorCode::device_fault, fmt::format("{}: MDIC.ERROR on access to PHY register {}", card.name, number),
                "reset the card; if the error persists, the PHY is defective or missing");
  }
  // Firmware may have accessed another register in between (DPDK, e1000_read_phy_reg_mdic).
  if (answer.get(reg::MDIC::REGADD) != number) {
    return fail(ErrorCode::device_fault,
                fmt::format("{}: MDIC answers for PHY register {} instead of {}", card.name,
                            answer.get(reg::MDIC::REGADD), number),
                "another driver or firmware uses the PHY at the same time");
  }
  return answer;
}

// The registers from 16 on have pages. Linux igb, e1000_phy.c, igb_read_phy_reg_igp; e1000e, phy.c,
// e1000e_read_phy_reg_bm2.
Result<void> select_page(const GigabitCard& card, const MdioRegister& which) {
  const phy::Paging& paging = card.family.phy.paging;
  if (paging.select == 0 || which.number < paging.first || which.number == paging.select) return {};
  if (which.address != card.family.phy.address) return {};  // another PHY may have something else there
  const std::uint32_t number = which.number & ((1U << paging.shift) - 1);
  const std::uint32_t selection = which.page << paging.shift | number;
  auto selected = access(card, which.address, paging.select, reg::MDIC::WRITE | reg::MDIC::DATA(selection));
  if (!selected) return pass_on(std::move(selected));
  return {};
}

// Linux igb, e1000_82575.c, igb_get_phy_id_82575: MDICNFG has the address of an external PHY, and chooses it.
Result<void> expect_reachable(const GigabitCard& card, const MdioRegister& which) {
  const phy::PhyTraits& own = card.family.phy;
  if (own.addressed_by_mdic || which.address == own.address) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{}: the card reaches its own PHY alone, at address {}, not {}", card.name, own.address,
                          which.address),
              "leave the address out");
}

MdioRegister internal(const GigabitCard& card, std::uint32_t number) {
  return {.address = card.family.phy.address, .number = number};
}

}  // namespace

Result<std::uint16_t> read_mdio(const GigabitCard& card, const MdioRegister& which) {
  if (auto reachable = expect_reachable(card, which); !reachable) return pass_on(std::move(reachable));
  if (auto selected = select_page(card, which); !selected) return pass_on(std::move(selected));
  auto answer = access(card, which.address, which.number, reg::MDIC::READ);
  if (!answer) return pass_on(std::move(answer));
  return static_cast<std::uint16_t>(answer->get(reg::MDIC::DATA));
}

Result<void> write_mdio(const GigabitCard& card, const MdioRegister& which, std::uint16_t value) {
  if (auto reachable = expect_reachable(card, which); !reachable) return reachable;
  if (auto selected = select_page(card, which); !selected) return selected;
  auto answer = access(card, which.address, which.number, reg::MDIC::WRITE | reg::MDIC::DATA(value));
  if (!answer) return pass_on(std::move(answer));
  return {};
}

Result<std::uint16_t> read_phy(const GigabitCard& card, std::uint32_t number) {
  return read_mdio(card, internal(card, number));
}

Result<void> write_phy(const GigabitCard& card, std::uint32_t number, std::uint16_t value) {
  return write_mdio(card, internal(card, number), value);
}

Result<void> modify_phy(const GigabitCard& card, std::uint32_t number, unsigned clear, unsigned set) {
  auto value = read_phy(card, number);
  if (!value) return pass_on(std::move(value));
  return write_phy(card, number, static_cast<std::uint16_t>((*value & ~clear) | set));
}

namespace {

/// Linux, e1000_82575.c, igb_init_phy_params_82575 (reset_delay_us), and e1000_phy.c, igb_phy_hw_reset. After a reset
/// the PHY must not be accessed for 300 us (I210 datasheet, p. 90).
constexpr Duration kResetTime = microseconds(100);
constexpr Duration kResetRecovery = microseconds(300);
/// Linux, e1000_82575.c, igb_get_cfg_done_82575: PHY_CFG_TIMEOUT milliseconds.
constexpr Duration kConfigurationLimit = milliseconds(100);
/// Linux, e1000_phy.c, igb_copper_link_setup_igp: time for the MAC to configure the PHY from the NVM.
constexpr Duration kConfigurationTime = milliseconds(100);

reg::EEMNGCTL::Setting configured_bit(const GigabitCard& card) {
  static constexpr std::array<reg::EEMNGCTL::Setting, 4> kDone{reg::EEMNGCTL::CFG_DONE_0, reg::EEMNGCTL::CFG_DONE_1,
                                                               reg::EEMNGCTL::CFG_DONE_2, reg::EEMNGCTL::CFG_DONE_3};
  return kDone[card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID)];
}

void wait_for_configuration(const GigabitCard& card) {
  const auto done = configured_bit(card);
  const auto configured = wait_for(
      card, "EEMNGCTL.CFG_DONE after a reset of the PHY", kConfigurationLimit,
      [&] { return card.regs.read<reg::EEMNGCTL>().has(done); }, milliseconds(1));
  if (!configured) card.log(LogLevel::debug, "the card does not report that it has configured its PHY; continuing");
}

/// An identified PHY.
struct FoundPhy {
  const PhyKind* kind;
  std::uint32_t id;
};

Result<FoundPhy> find_phy(const GigabitCard& card) {
  auto high = read_phy(card, phy::kId1);
  if (!high) return pass_on(std::move(high));
  auto low = read_phy(card, phy::kId2);
  if (!low) return pass_on(std::move(low));
  const std::uint32_t id = std::uint32_t{*high} << 16 | *low;
  if (id == 0 || id == 0xFFFFFFFF) {
    return fail(ErrorCode::device_fault,
                fmt::format("{}: no PHY answers at address {}", card.name, card.family.phy.address),
                "only copper ports are supported; on a copper port, the PHY is defective");
  }
  return FoundPhy{&phy_kind(card, id), id};
}

unsigned advertisement(const LinkModes& modes) noexcept {
  unsigned bits = phy::kSelector8023;
  if (modes.contains(LinkMode::half_10)) bits |= phy::k10Half;
  if (modes.contains(LinkMode::full_10)) bits |= phy::k10Full;
  if (modes.contains(LinkMode::half_100)) bits |= phy::k100Half;
  if (modes.contains(LinkMode::full_100)) bits |= phy::k100Full;
  return bits;
}

// IEEE 802.3 clause 28, as in DPDK e1000, e1000_phy.c, e1000_phy_setup_autoneg.
Result<void> advertise(const GigabitCard& card, const LinkModes& modes, std::uint16_t pause) {
  auto advertised = write_phy(card, phy::kAdvertise, static_cast<std::uint16_t>(advertisement(modes) | pause));
  if (!advertised) return advertised;
  // The roles of master and slave are negotiated (Linux, e1000_phy.c, igb_copper_link_setup_igp).
  const unsigned gigabit = modes.contains(LinkMode::full_1000) ? unsigned{phy::kGigabitFull} : 0U;
  return modify_phy(card, phy::kGigabitControl, phy::kGigabitHalf | phy::kGigabitFull | phy::kGigabitManualRole,
                    gigabit);
}

constexpr unsigned kUnwanted =
    phy::kControlPowerDown | phy::kControlIsolate | phy::kControlLoopback | phy::kControlReset;
constexpr unsigned kMode = phy::kControlAutonegotiate | phy::kControlRestart | phy::kControlSpeedHigh |
                           phy::kControlSpeedLow | phy::kControlFullDuplex;

// [I-LINK] Linux, e1000_phy.c, igb_copper_link_autoneg and igb_power_up_phy_copper. QEMU's igb sets STATUS.LU 500 ms
// after this write (igb_core.c, igb_set_phy_ctrl). The mode, which negotiation ignores, is that after a reset.
Result<void> restart(const GigabitCard& card) {
  return modify_phy(
      card, phy::kControl, kUnwanted | kMode,
      phy::kControlAutonegotiate | phy::kControlRestart | phy::kControlSpeedHigh | phy::kControlFullDuplex);
}

// Linux, e1000_phy.c, igb_phy_force_speed_duplex_setup.
Result<void> force(const GigabitCard& card, LinkMode mode) {
  unsigned bits = speed_of(mode) == 100 ? unsigned{phy::kControlSpeedLow} : 0U;
  if (duplex_of(mode) == Duplex::full) bits |= phy::kControlFullDuplex;
  return modify_phy(card, phy::kControl, kUnwanted | kMode, bits);
}

LinkModes modes_of(std::uint16_t abilities, std::uint16_t gigabit) {
  LinkModes modes;
  if ((abilities & phy::k10Half) != 0) modes.insert(LinkMode::half_10);
  if ((abilities & phy::k10Full) != 0) modes.insert(LinkMode::full_10);
  if ((abilities & phy::k100Half) != 0) modes.insert(LinkMode::half_100);
  if ((abilities & phy::k100Full) != 0) modes.insert(LinkMode::full_100);
  if ((gigabit & phy::kGigabitPartnerHalf) != 0) modes.insert(LinkMode::half_1000);
  if ((gigabit & phy::kGigabitPartnerFull) != 0) modes.insert(LinkMode::full_1000);
  return modes;
}

// Registers 5, 6 and 10: IEEE 802.3, clause 22.
Result<PartnerAbilities> read_partner(const GigabitCard& card) {
  const auto abilities = read_phy(card, phy::kPartner);
  if (!abilities) return tl::unexpected<Error>(abilities.error());
  const auto expansion = read_phy(card, phy::kExpansion);
  if (!expansion) return tl::unexpected<Error>(expansion.error());
  const auto gigabit = read_phy(card, phy::kGigabitStatus);
  if (!gigabit) return tl::unexpected<Error>(gigabit.error());
  return PartnerAbilities{.negotiates = (*expansion & phy::kPartnerNegotiates) != 0,
                          .modes = modes_of(*abilities, *gigabit),
                          .pause = (*abilities & phy::kPause) != 0,
                          .asymmetric_pause = (*abilities & phy::kPauseAsymmetric) != 0};
}

}  // namespace

// [I-CFGDONE] Linux, e1000_phy.c, igb_phy_hw_reset, and e1000_82575.c, igb_get_cfg_done_82575, which only logs a
// timeout. The firmware may need the PHY meanwhile, so Shared::phy is held during the reset only.
Result<void> reset_phy(const GigabitCard& card) {
  {
    auto acquired = SharedResource::acquire(card, Shared::phy);
    if (!acquired) return pass_on(std::move(acquired));
    // Linux igb, e1000_82575.c, igb_setup_copper_link_82575 and igb_set_d0_lplu_state_82580.
    if (card.family.phy.low_power == phy::LowPower::phpm) {
      clear<reg::PHPM>(card, reg::PHPM::GO_LINKD | reg::PHPM::D0_LPLU);
    }
    modify<reg::CTRL>(card, reg::CTRL::PHY_RST);
    card.regs.flush();
    card.clock().sleep_for(kResetTime);
    clear<reg::CTRL>(card, reg::CTRL::PHY_RST);
    card.regs.flush();
    card.clock().sleep_for(kResetRecovery);
  }
  if (card.family.phy.reports_configuration) wait_for_configuration(card);
  if (card.regs.removed()) return fail_removed(card.name);
  card.clock().sleep_for(kConfigurationTime);
  return {};
}

Result<void> loop_phy(const GigabitCard& card) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  if (auto found = find_phy(card); !found) return pass_on(std::move(found));
  const phy::PhyTraits& own = card.family.phy;
  if (own.loopback_number != 0) {
    if (auto set = write_phy(card, own.loopback_number, own.loopback_value); !set) return set;
  }
  return write_phy(card, phy::kControl, phy::kControlLoopback | phy::kControlFullDuplex | phy::kControlSpeedHigh);
}

Result<bool> pll_runs(const GigabitCard& card) {
  if (!card.family.phy.pll_may_fail) return true;
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  const auto frequency =
      read_mdio(card, {.address = card.family.phy.address, .page = phy::kPllPage, .number = phy::kPllFrequency});
  if (!frequency) return tl::unexpected<Error>(frequency.error());
  return (*frequency & phy::kPllUnset) != phy::kPllUnset;
}

Result<void> set_up_phy(const GigabitCard& card, const LinkConfig& config, std::uint16_t pause) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  auto found = find_phy(card);
  if (!found) return pass_on(std::move(found));
  if (!found->kind->is_known()) {
    card.log(LogLevel::info, fmt::format("unknown PHY {:#010x}; using only standard registers", found->id));
  }
  if (auto prepared = found->kind->prepare(card, config.forced.has_value()); !prepared) return prepared;
  if (config.forced) return force(card, *config.forced);
  if (auto advertised = advertise(card, config.advertised, pause); !advertised) return advertised;
  return restart(card);
}

// Linux, e1000_phy.c, igb_power_down_phy_copper.
Result<void> stop_phy(const GigabitCard& card) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return modify_phy(card, phy::kControl, phy::kControlRestart | phy::kControlReset, phy::kControlPowerDown);
}

Result<std::uint16_t> partner_abilities(const GigabitCard& card) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return read_phy(card, phy::kPartner);
}

Result<PhyReport> report_phy(const GigabitCard& card, bool link_up) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  auto found = find_phy(card);
  if (!found) return pass_on(std::move(found));
  PhyReport report{.kind = found->kind, .id = found->id, .partner = {}, .cable = {}};
  if (!link_up) return report;
  auto partner = read_partner(card);
  if (!partner) return pass_on(std::move(partner));
  auto cable = found->kind->cable(card);
  if (!cable) return pass_on(std::move(cable));
  report.partner = *partner;
  report.cable = *cable;
  return report;
}

}  // namespace pollux::drivers::gigabit
