// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/e1000e/bring_up.hpp"

#include "drivers/intel/common/ring_setup.hpp"
#include "drivers/intel/gigabit/semaphore.hpp"

namespace pollux::drivers::e1000e {
namespace {

constexpr Duration kStopDelay = milliseconds(10);
/// Linux, 82571.c, e1000_reset_hw_82571: for the PHY's configuration, before the NVM and the PHY are accessed.
constexpr Duration kPhyDelay = milliseconds(25);

constexpr std::uint32_t kVlanType = 0x8100;

/// Of the packet buffer's 40 KiB; the rest is for sending, where two of the longest frames have to fit (Linux,
/// netdev.c, e1000e_reset). FreeBSD, if_em.c, em_reset.
constexpr std::uint32_t kReceiveKilobytes = 20;

/// In EECD. Linux, 82571.c, e1000_init_nvm_params_82571; defines.h, E1000_EECD_AUPDEN.
constexpr std::uint32_t kNvmIsFlash = 3U << 15;
constexpr std::uint32_t kAutonomousUpdate = 1U << 20;

/// Sets and clears bits that have no names in public.
template <class R>
void change_bits(const E1000eCard& card, std::uint32_t clear, std::uint32_t set, std::uint32_t index = 0) {
  const auto value = read_with_retry<R>(card, index);
  if (!value.all_ones()) write_register<R>(card, index, typename R::Value((value.raw() & ~clear) | set));
}

// Linux, 82571.c, e1000_initialize_hw_bits_82571. The bits of GCR and GCR2 are for an erratum: PCI Express completions
// that fail, with ASPM above all, until a queue hangs. GCR's last bit lets the link sleep in L1 without L0s (Linux,
// 82571.c, e1000_init_hw_82571). CTRL_EXT has no mode of the link on this card.
void write_reserved_bits(const E1000eCard& card) {
  for (const std::uint32_t queue : {0U, 1U}) {
    change_bits<reg::TXDCTL>(card, 0, reg::TXDCTL::COUNT_DESC.mask(), queue);
  }
  change_bits<reg::TARC>(card, reg::TARC::RESERVED.mask(), reg::TARC::PREFETCH.mask());
  change_bits<reg::CTRL>(card, 1U << 29, 0);
  change_bits<reg::CTRL_EXT>(card, 1U << 23, 1U << 22);
  change_bits<reg::GCR>(card, 0, 1U << 22 | 1U << 27);
  change_bits<reg::GCR2>(card, 0, reg::GCR2::COMPLETIONS.mask());
}

// A card with a flash reads it after a reset only if it is told to, and must not write it by itself. Linux, 82571.c,
// e1000_init_nvm_params_82571 ("Flash update issue") and e1000_reset_hw_82571.
void reload_flash(const E1000eCard& card) {
  if (!nvm_is_flash(card)) return;
  change_bits<reg::EECD>(card, kAutonomousUpdate, 0);
  card.clock().sleep_for(microseconds(10));
  modify<reg::CTRL_EXT>(card, reg::CTRL_EXT::EE_RST);
  card.regs.flush();
}

}  // namespace

bool nvm_is_flash(const E1000eCard& card) {
  const auto control = read_with_retry<reg::EECD>(card);
  return !control.all_ones() && (control.raw() & kNvmIsFlash) == kNvmIsFlash;
}

void mask_interrupts(const E1000eCard& card) {
  card.regs.write<reg::IMC>(reg::IMC::Value(~0u));
  card.regs.read_and_clear<reg::ICR>();
}

// The order follows Linux, 82571.c, e1000_reset_hw_82571, which resets a card whose PHY it could not get all the same.
// PBA is left as the last driver wrote it, and takes effect with a reset (FreeBSD, if_em.c, em_reset).
Result<void> reset_card(const E1000eCard& card) {
  if (auto left = leave_bus(card); !left) return left;
  mask_interrupts(card);
  stop_units(card);
  card.regs.write<reg::PBA>(reg::PBA::RX(kReceiveKilobytes));
  {
    const auto owned = gigabit::SharedResource::acquire(card, gigabit::Shared::phy);
    if (card.regs.removed()) return fail_removed(card.name);
    if (!owned) card.log(LogLevel::warning, owned.error().what + "; resetting the card all the same");
    if (auto done = reset_mac(card); !done) return done;
  }
  reload_flash(card);
  wait_for_auto_read(card);
  card.clock().sleep_for(kPhyDelay);
  mask_interrupts(card);
  card.regs.write<reg::WUC>({});
  card.regs.write<reg::VET>(reg::VET::TYPE(kVlanType));  // Linux, netdev.c, e1000e_reset
  write_reserved_bits(card);
  card.regs.flush();
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

// Linux, netdev.c, e1000e_get_hw_control and e1000e_release_hw_control (FLAG_HAS_CTRLEXT_ON_LOAD).
void announce_driver(const E1000eCard& card, bool loaded) {
  if (loaded) {
    modify<reg::CTRL_EXT>(card, reg::CTRL_EXT::DRV_LOAD);
  } else {
    clear<reg::CTRL_EXT>(card, reg::CTRL_EXT::DRV_LOAD);
  }
}

// Linux, netdev.c, e1000e_down. A queue has no bit that disables it. RCTL.EN of this card must not be cleared once it
// was set (FLAG2_NO_DISABLE_RX; FreeBSD, if_em.c, em_initialize_receive_unit): receiving ends with mastering, and the
// unit with a reset.
Result<void> quiesce(const E1000eCard& card, const std::function<bool()>& transmit_finished) {
  if (card.regs.removed()) return fail_removed(card.name);
  if (card.regs.read<reg::STATUS>().has(reg::STATUS::LU)) wait_for_transmit(card, transmit_finished);
  clear<reg::TCTL>(card, reg::TCTL::EN);
  card.regs.flush();
  card.clock().sleep_for(kStopDelay);
  return disable_master(card);
}

}  // namespace pollux::drivers::e1000e
