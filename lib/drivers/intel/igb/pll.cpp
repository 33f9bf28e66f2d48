// SPDX-License-Identifier: BSD-3-Clause
#include "device/power_state.hpp"
#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/igb/bring_up.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr unsigned kPllAttempts = 5;

/// The word that the iNVM has, or else the card's own. Linux, e1000_i210.c, igb_read_invm_word_i210.
std::uint32_t pll_word(const IgbCard& card) {
  constexpr std::uint32_t kRegisterRecord = 1;  // further words of a record
  constexpr std::uint32_t kKeyRecord = 8;
  for (std::uint32_t i = 0; i < reg::INVM::kCount; ++i) {
    const auto record = card.regs.read<reg::INVM>(i);
    if (record.has(reg::INVM::END)) break;
    if (record.has(reg::INVM::WORD) && record.get(reg::INVM::WORD_ADDRESS) == reg::phy::kPllWord)
      return record.get(reg::INVM::DATA);
    i += record.has(reg::INVM::REGISTER) ? kRegisterRecord : record.has(reg::INVM::KEY) ? kKeyRecord : 0;
  }
  return reg::phy::kPllDefault;
}

// The detour over D3 makes the card load the word. Nobody else uses the registers meanwhile: the PLL can only be wrong
// after power-on, so this is within the first reset.
Result<void> configure_pll(const IgbCard& card) {
  const std::uint32_t word = pll_word(card);
  const auto load = [&](std::uint32_t data) {
    card.regs.write<reg::EEARBC_I210>(reg::EEARBC_I210::ADDR(reg::phy::kPllWord) | reg::EEARBC_I210::DATA(data));
    card.regs.flush();
  };
  modify<reg::CTRL>(card, reg::CTRL::PHY_RST);
  modify<reg::CTRL_EXT>(card, reg::CTRL_EXT::PHYPDEN | reg::CTRL_EXT::SDLPE);
  card.regs.write<reg::WUC>({});
  load(word | reg::phy::kPllAgain);
  if (auto off = card.device->set_bus_master(false); !off) return off;
  if (auto asleep = enter_d3hot(*card.device, card.clock(), false); !asleep) return asleep;
  if (auto awake = enter_d0(*card.device, card.clock()); !awake) return awake;
  load(word);
  return {};
}

}  // namespace

// [E-PLL] The steps of erratum 25 in the I210's specification update (revision 3.0). Linux, e1000_i210.c,
// igb_pll_workaround_i210. The PHY is the internal one anyway (MDICNFG).
Result<void> reset_card(const IgbCard& card) {
  for (unsigned attempt = 0;; ++attempt) {
    if (auto done = reset_units(card); !done) return done;
    const auto runs = gigabit::pll_runs(card);
    if (!runs) return tl::unexpected<Error>(runs.error());
    if (*runs) return {};
    if (attempt == kPllAttempts) break;
    card.log(LogLevel::info, "the PLL of its PHY is not configured: an erratum; repairing it");
    if (auto configured = configure_pll(card); !configured) return configured;
  }
  return fail(
      ErrorCode::device_fault,
      fmt::format("{}: the PLL of its PHY is not configured, and {} repairs did not help", card.name, kPllAttempts),
      "switch the machine off and on");
}

}  // namespace pollux::drivers::igb
