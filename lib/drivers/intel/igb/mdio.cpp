// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/mdio.hpp"

#include "hw/intel/igb/phy.hpp"

namespace pollux::drivers::igb {
namespace {

namespace phy = hw::igb::phy;

/// DPDK e1000, e1000_phy.c, e1000_read_phy_reg_mdic: 1,920 polls, 50 us apart.
constexpr Duration kAccessLimit = milliseconds(96);

// [I-PHYADDR] Linux, e1000_phy.c, igb_read_phy_reg_mdic and igb_write_phy_reg_mdic.
Result<reg::MDIC::Value> access(const Card& card, std::uint32_t address, std::uint32_t number,
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

// The registers from 16 on have pages. Register 31 selects one (Linux, e1000_phy.c, igb_read_phy_reg_igp).
Result<void> select_page(const Card& card, const MdioRegister& which) {
  if (which.number < phy::kFirstPaged || which.number == phy::kPageSelect) return {};
  if (which.address != card.traits->phy.address) return {};  // another PHY may have something else in register 31
  const std::uint32_t selection = which.page << phy::kPageShift | which.number;
  auto selected = access(card, which.address, phy::kPageSelect, reg::MDIC::WRITE | reg::MDIC::DATA(selection));
  if (!selected) return pass_on(std::move(selected));
  return {};
}

MdioRegister internal(const Card& card, std::uint32_t number) {
  return {.address = card.traits->phy.address, .number = number};
}

}  // namespace

Result<std::uint16_t> read_mdio(const Card& card, const MdioRegister& which) {
  if (auto selected = select_page(card, which); !selected) return pass_on(std::move(selected));
  auto answer = access(card, which.address, which.number, reg::MDIC::READ);
  if (!answer) return pass_on(std::move(answer));
  return static_cast<std::uint16_t>(answer->get(reg::MDIC::DATA));
}

Result<void> write_mdio(const Card& card, const MdioRegister& which, std::uint16_t value) {
  if (auto selected = select_page(card, which); !selected) return selected;
  auto answer = access(card, which.address, which.number, reg::MDIC::WRITE | reg::MDIC::DATA(value));
  if (!answer) return pass_on(std::move(answer));
  return {};
}

Result<std::uint16_t> read_phy(const Card& card, std::uint32_t number) {
  return read_mdio(card, internal(card, number));
}

Result<void> write_phy(const Card& card, std::uint32_t number, std::uint16_t value) {
  return write_mdio(card, internal(card, number), value);
}

Result<void> modify_phy(const Card& card, std::uint32_t number, unsigned clear, unsigned set) {
  auto value = read_phy(card, number);
  if (!value) return pass_on(std::move(value));
  return write_phy(card, number, static_cast<std::uint16_t>((*value & ~clear) | set));
}

}  // namespace pollux::drivers::igb
