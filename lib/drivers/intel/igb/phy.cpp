// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/phy.hpp"

#include <array>

#include "drivers/intel/igb/semaphore.hpp"
#include "hw/intel/igb/phy.hpp"

namespace pollux::drivers::igb {
namespace {

namespace phy = hw::igb::phy;

/// DPDK e1000, e1000_phy.c, e1000_read_phy_reg_mdic: 1,920 polls, 50 us apart.
constexpr Duration kAccessLimit = milliseconds(96);
/// Linux, e1000_82575.c, igb_init_phy_params_82575 (reset_delay_us), and e1000_phy.c, igb_phy_hw_reset. After a reset
/// the PHY must not be accessed for 300 us (I210 datasheet, p. 90).
constexpr Duration kResetTime = microseconds(100);
constexpr Duration kResetRecovery = microseconds(300);
/// Linux, e1000_82575.c, igb_get_cfg_done_82575: PHY_CFG_TIMEOUT milliseconds.
constexpr Duration kConfigurationLimit = milliseconds(100);
/// Linux, e1000_phy.c, igb_copper_link_setup_igp: time for the MAC to configure the PHY from the NVM.
constexpr Duration kConfigurationTime = milliseconds(100);

// [I-PHYADDR] Linux, e1000_phy.c, igb_read_phy_reg_mdic and igb_write_phy_reg_mdic.
Result<reg::MDIC::Value> access(const Card& card, std::uint32_t number, reg::MDIC::Setting operation) {
  card.regs.write<reg::MDIC>(operation | reg::MDIC::REGADD(number) | reg::MDIC::PHYADD(card.traits->phy.address));
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

// The registers from 16 on have pages. Register 31 selects one (Linux, e1000_phy.c, igb_read_phy_reg_igp).
Result<void> select_page(const Card& card, std::uint32_t number) {
  if (number < phy::kFirstPaged || number == phy::kPageSelect) return {};
  auto selected = access(card, phy::kPageSelect, reg::MDIC::WRITE | reg::MDIC::DATA(number));
  if (!selected) return pass_on(std::move(selected));
  return {};
}

/// Changes bits of a PHY register.
Result<void> modify_phy(const Card& card, std::uint32_t number, unsigned clear, unsigned set) {
  auto value = read_phy(card, number);
  if (!value) return pass_on(std::move(value));
  return write_phy(card, number, static_cast<std::uint16_t>((*value & ~clear) | set));
}

reg::EEMNGCTL::Setting configured_bit(const Card& card) {
  static constexpr std::array<reg::EEMNGCTL::Setting, 4> kDone{reg::EEMNGCTL::CFG_DONE_0, reg::EEMNGCTL::CFG_DONE_1,
                                                               reg::EEMNGCTL::CFG_DONE_2, reg::EEMNGCTL::CFG_DONE_3};
  return kDone[card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID)];
}

// [I-PHYID]
Result<void> check_phy_present(const Card& card) {
  auto high = read_phy(card, phy::kId1);
  if (!high) return pass_on(std::move(high));
  auto low = read_phy(card, phy::kId2);
  if (!low) return pass_on(std::move(low));
  const std::uint32_t id = std::uint32_t{*high} << 16 | *low;
  if (id == 0 || id == 0xFFFFFFFF) {
    return fail(ErrorCode::device_fault,
                fmt::format("{}: no PHY answers at address {}", card.name, card.traits->phy.address),
                "only copper ports are supported; on a copper port, the PHY is defective");
  }
  if ((id & phy::kIdMask) != card.traits->phy.id) {
    card.log(LogLevel::info, fmt::format("unknown PHY {:#010x}; using only standard registers", id));
  }
  return {};
}

// IEEE 802.3 clause 28, as in DPDK e1000, e1000_phy.c, e1000_phy_setup_autoneg.
Result<void> advertise(const Card& card, std::uint16_t pause) {
  constexpr unsigned kModes = phy::k10Half | phy::k10Full | phy::k100Half | phy::k100Full;
  auto advertised = write_phy(card, phy::kAdvertise, static_cast<std::uint16_t>(phy::kSelector8023 | kModes | pause));
  if (!advertised) return advertised;
  // The roles of master and slave are negotiated (Linux, e1000_phy.c, igb_copper_link_setup_igp).
  return modify_phy(card, phy::kGigabitControl, phy::kGigabitHalf | phy::kGigabitManualRole, phy::kGigabitFull);
}

// Linux, e1000_phy.c, igb_copper_link_setup_igp, and DPDK, e1000_phy.c, e1000_copper_link_setup_igp: without low-power
// link-up in D0, which would advertise 10 Mb/s only; MDI or MDI-X is selected automatically.
Result<void> set_up_port(const Card& card) {
  if (auto full_power = modify_phy(card, phy::kPowerManagement, phy::kLowPowerD0, 0); !full_power) return full_power;
  return modify_phy(card, phy::kPortControl, phy::kPortControlMdix, phy::kPortControlAutoMdix);
}

// [I-LINK] Linux, e1000_phy.c, igb_copper_link_autoneg and igb_power_up_phy_copper. QEMU's igb sets STATUS.LU 500 ms
// after this write (igb_core.c, igb_set_phy_ctrl).
Result<void> restart(const Card& card) {
  constexpr unsigned kUnwanted =
      phy::kControlPowerDown | phy::kControlIsolate | phy::kControlLoopback | phy::kControlReset;
  return modify_phy(card, phy::kControl, kUnwanted, phy::kControlAutonegotiate | phy::kControlRestart);
}

}  // namespace

Result<std::uint16_t> read_phy(const Card& card, std::uint32_t number) {
  if (auto selected = select_page(card, number); !selected) return pass_on(std::move(selected));
  auto answer = access(card, number, reg::MDIC::READ);
  if (!answer) return pass_on(std::move(answer));
  return static_cast<std::uint16_t>(answer->get(reg::MDIC::DATA));
}

Result<void> write_phy(const Card& card, std::uint32_t number, std::uint16_t value) {
  if (auto selected = select_page(card, number); !selected) return selected;
  auto answer = access(card, number, reg::MDIC::WRITE | reg::MDIC::DATA(value));
  if (!answer) return pass_on(std::move(answer));
  return {};
}

// [I-CFGDONE] Linux, e1000_phy.c, igb_phy_hw_reset, and e1000_82575.c, igb_get_cfg_done_82575, which only logs a
// timeout. The firmware may need the PHY meanwhile, so Shared::phy is held during the reset only.
Result<void> reset_phy(const Card& card) {
  {
    auto acquired = SharedResource::acquire(card, Shared::phy);
    if (!acquired) return pass_on(std::move(acquired));
    modify<reg::CTRL>(card, reg::CTRL::PHY_RST);
    card.regs.flush();
    card.clock().sleep_for(kResetTime);
    clear<reg::CTRL>(card, reg::CTRL::PHY_RST);
    card.regs.flush();
    card.clock().sleep_for(kResetRecovery);
  }
  const auto done = configured_bit(card);
  const auto configured = wait_for(
      card, "EEMNGCTL.CFG_DONE after a reset of the PHY", kConfigurationLimit,
      [&] { return card.regs.read<reg::EEMNGCTL>().has(done); }, milliseconds(1));
  if (card.regs.removed()) return fail_removed(card.name);
  if (!configured) card.log(LogLevel::debug, "the card does not report that it has configured its PHY; continuing");
  card.clock().sleep_for(kConfigurationTime);
  return {};
}

Result<void> loop_phy(const Card& card) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  if (auto present = check_phy_present(card); !present) return present;
  return write_phy(card, phy::kControl, phy::kControlLoopback | phy::kControlFullDuplex | phy::kControlSpeedHigh);
}

Result<void> start_autonegotiation(const Card& card, std::uint16_t pause) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  if (auto present = check_phy_present(card); !present) return present;
  if (auto port = set_up_port(card); !port) return port;
  if (auto advertised = advertise(card, pause); !advertised) return advertised;
  return restart(card);
}

Result<std::uint16_t> partner_abilities(const Card& card) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  return read_phy(card, phy::kPartner);
}

}  // namespace pollux::drivers::igb
