// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/bring_up.hpp"

#include "drivers/intel/igb/quiesce.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr Duration kStopDelay = milliseconds(10);
constexpr Duration kResetLimit = milliseconds(20);
constexpr Duration kAutoReadLimit = milliseconds(10);

// [I-RESET] [I-CFGDONE] Linux, e1000_mac.c, igb_get_auto_rd_done, waits at most this long. igb_reset_hw_82575 ignores a
// timeout, since a card without an NVM never sets the bit. QEMU's igb sets neither bit (hw/net/igb_core.c).
void wait_for_configuration(const Card& card) {
  const bool second = card.regs.read<reg::STATUS>().get(reg::STATUS::LAN_ID) == 1;
  const auto configured = second ? reg::EEMNGCTL::CFG_DONE_1 : reg::EEMNGCTL::CFG_DONE_0;
  const auto read = wait_for(
      card, "EECD.AUTO_RD and EEMNGCTL.CFG_DONE after reset", kAutoReadLimit,
      [&] {
        return card.regs.read<reg::EECD>().has(reg::EECD::AUTO_RD) && card.regs.read<reg::EEMNGCTL>().has(configured);
      },
      milliseconds(1));
  if (!read) card.log(LogLevel::debug, "the card does not report that it has read its NVM; continuing");
}

}  // namespace

// Linux, e1000_82575.c, igb_reset_hw_82575, writes all ones to IMC before and after the reset, then reads ICR.
// igb_irq_disable (igb_main.c) masks the extended causes in the same way.
void mask_interrupts(const Card& card) {
  card.regs.write<reg::IMC>(reg::IMC::Value(~0u));
  card.regs.write<reg::EIMC>(reg::EIMC::Value(~0u));
  card.regs.read_and_clear<reg::ICR>();
}

// The order follows Linux, e1000_82575.c, igb_reset_hw_82575.
Result<void> reset_card(const Card& card) {
  // Erratum E-MASTER: the bus may hang if the MAC is reset while a request is outstanding (igb_reset_hw_82575). A card
  // that does not stop mastering is reset all the same, as in Linux, since the reset ends mastering.
  if (auto disabled = disable_master(card); !disabled) {
    if (disabled.error().code == ErrorCode::device_removed) return disabled;
    card.log(LogLevel::warning, disabled.error().what + "; resetting the card all the same");
  }
  mask_interrupts(card);
  card.regs.write<reg::RCTL>({});
  card.regs.write<reg::TCTL>(reg::TCTL::PSP);
  card.regs.flush();
  card.clock().sleep_for(kStopDelay);

  modify<reg::CTRL>(card, reg::CTRL::RST);
  card.regs.bar().flush();
  // Linux, tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_reset, waits 1 ms before the first read.
  card.clock().sleep_for(milliseconds(1));
  // CTRL.GIO_MASTER_DISABLE reads 0 after a reset. So if it is 0, the reset has really happened.
  auto done = wait_for(card, "CTRL.RST taking effect and clearing", kResetLimit, [&] {
    return !card.regs.read<reg::CTRL>().has_any(reg::CTRL::RST | reg::CTRL::GIO_MASTER_DISABLE);
  });
  if (!done) return done;
  wait_for_configuration(card);
  mask_interrupts(card);

  // [I-QUEUE0] Receive queue 0 and transmit queue 0 are enabled after a reset (QEMU, igb_core.c, igb_mac_reg_init).
  // Linux, igb_main.c, igb_setup_tctl, also disables the transmit queue for this reason.
  card.regs.write<reg::RXDCTL>(0, {});
  card.regs.write<reg::TXDCTL>(0, {});
  // Erratum E-COMPLETION: a request without a completion must end as an error, not be repeated for ever. Linux,
  // e1000_82575.c, igb_set_pcie_completion_timeout.
  clear<reg::GCR>(card, reg::GCR::COMPLETION_TIMEOUT_RESEND);
  card.regs.flush();
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

// Linux, igb_main.c, igb_get_hw_control and igb_release_hw_control.
void announce_driver(const Card& card, bool loaded) {
  if (loaded) {
    modify<reg::CTRL_EXT>(card, reg::CTRL_EXT::DRV_LOAD);
  } else {
    clear<reg::CTRL_EXT>(card, reg::CTRL_EXT::DRV_LOAD);
  }
}

}  // namespace pollux::drivers::igb
