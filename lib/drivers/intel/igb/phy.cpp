// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/phy.hpp"

#include "drivers/intel/igb/semaphore.hpp"
#include "hw/intel/igb/phy.hpp"

namespace pollux::drivers::igb {
namespace {

namespace phy = hw::igb::phy;

/// DPDK e1000, e1000_phy.c, e1000_read_phy_reg_mdic: 1,920 polls, 50 us apart.
constexpr Duration kAccessLimit = milliseconds(96);

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

// IEEE 802.3 clause 28, as in DPDK e1000, e1000_phy.c, e1000_phy_setup_autoneg with e1000_fc_none.
Result<void> advertise(const Card& card) {
  auto advertised = write_phy(card, phy::kAdvertise,
                              phy::kSelector8023 | phy::k10Half | phy::k10Full | phy::k100Half | phy::k100Full);
  if (!advertised) return advertised;
  auto gigabit = read_phy(card, phy::kGigabitControl);
  if (!gigabit) return pass_on(std::move(gigabit));
  const auto full_only = static_cast<std::uint16_t>((*gigabit & ~phy::kGigabitHalf) | phy::kGigabitFull);
  return write_phy(card, phy::kGigabitControl, full_only);
}

// [I-LINK] Linux, e1000_phy.c, igb_copper_link_autoneg and igb_power_up_phy_copper. QEMU's igb sets STATUS.LU 500 ms
// after this write (igb_core.c, igb_set_phy_ctrl).
Result<void> restart(const Card& card) {
  auto control = read_phy(card, phy::kControl);
  if (!control) return pass_on(std::move(control));
  constexpr unsigned kUnwanted =
      phy::kControlPowerDown | phy::kControlIsolate | phy::kControlLoopback | phy::kControlReset;
  return write_phy(
      card, phy::kControl,
      static_cast<std::uint16_t>((*control & ~kUnwanted) | phy::kControlAutonegotiate | phy::kControlRestart));
}

}  // namespace

Result<std::uint16_t> read_phy(const Card& card, std::uint32_t number) {
  auto answer = access(card, number, reg::MDIC::READ);
  if (!answer) return pass_on(std::move(answer));
  return static_cast<std::uint16_t>(answer->get(reg::MDIC::DATA));
}

Result<void> write_phy(const Card& card, std::uint32_t number, std::uint16_t value) {
  auto answer = access(card, number, reg::MDIC::WRITE | reg::MDIC::DATA(value));
  if (!answer) return pass_on(std::move(answer));
  return {};
}

Result<void> start_autonegotiation(const Card& card) {
  auto acquired = SharedResource::acquire(card, Shared::phy);
  if (!acquired) return pass_on(std::move(acquired));
  if (auto present = check_phy_present(card); !present) return present;
  if (auto advertised = advertise(card); !advertised) return advertised;
  return restart(card);
}

}  // namespace pollux::drivers::igb
