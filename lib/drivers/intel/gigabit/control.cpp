// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/gigabit/control.hpp"

namespace pollux::drivers::gigabit {
namespace {

constexpr Duration kAutoReadLimit = milliseconds(20);
constexpr Duration kStopDelay = milliseconds(10);
constexpr Duration kMasterLimit = milliseconds(80);
constexpr Duration kResetLimit = milliseconds(20);

}  // namespace

// [I-RESET] Linux, e1000_mac.c, igb_get_auto_rd_done, polls ten times and sleeps 1 to 2 ms between. igb_reset_hw_82575
// ignores a timeout. QEMU's igb never sets the bit (hw/net/igb_core.c). What the card does with its PHY after that is a
// wait of its own (reset_phy).
void wait_for_auto_read(const GigabitCard& card) {
  const auto read = wait_for(
      card, "EECD.AUTO_RD after reset", kAutoReadLimit,
      [&] { return card.regs.read<reg::EECD>().has(reg::EECD::AUTO_RD); }, milliseconds(1));
  if (!read) card.log(LogLevel::debug, "the card does not report that it has read its NVM; continuing");
}

// [I-GIOMASTER] Linux, e1000_mac.c, igb_disable_pcie_master: 800 polls, 100 us apart.
Result<void> disable_master(const GigabitCard& card) {
  modify<reg::CTRL>(card, reg::CTRL::GIO_MASTER_DISABLE);
  return wait_for(
      card, "the clearing of STATUS.GIO_MASTER_ENABLE", kMasterLimit,
      [&] { return !card.regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE); }, microseconds(100));
}

// [I-GIOMASTER] Without bus mastering a function issues no memory requests (PCI Local Bus 3.0, 6.2.2), and an I210 then
// resets the function itself (I210 datasheet, p. 160). The function level reset discards what is still outstanding.
Result<void> force_off_bus(const GigabitCard& card) {
  if (auto off = card.device->set_bus_master(false); !off) return off;
  return card.device->reset();
}

// Erratum E-MASTER: the bus may hang if the MAC is reset while a request is outstanding (Linux igb, e1000_82575.c,
// igb_reset_hw_82575; e1000e, 82571.c, e1000_reset_hw_82571). A card that does not stop mastering is taken off the bus.
// Where that is not possible, it is reset all the same, as in Linux, since the reset ends mastering.
Result<void> leave_bus(const GigabitCard& card) {
  if (auto disabled = disable_master(card); !disabled) {
    if (disabled.error().code == ErrorCode::device_removed) return disabled;
    const auto off = force_off_bus(card);
    card.log(LogLevel::warning,
             fmt::format("{}; {}", disabled.error().what,
                         off ? "it was taken off the bus" : off.error().what + "; resetting the card all the same"));
  }
  return {};
}

// Linux igb, e1000_82575.c, igb_reset_hw_82575; e1000e, 82571.c, e1000_reset_hw_82571.
void stop_units(const GigabitCard& card) {
  card.regs.write<reg::RCTL>({});
  card.regs.write<reg::TCTL>(reg::TCTL::PSP);
  card.regs.flush();
  card.clock().sleep_for(kStopDelay);
}

Result<void> reset_mac(const GigabitCard& card) {
  modify<reg::CTRL>(card, reg::CTRL::RST);
  card.regs.bar().flush();
  // Linux, tools/testing/selftests/vfio/lib/drivers/igb/igb.c, igb_reset, waits 1 ms before the first read.
  card.clock().sleep_for(milliseconds(1));
  // CTRL.GIO_MASTER_DISABLE reads 0 after a reset. So if it is 0, the reset has really happened.
  return wait_for(card, "CTRL.RST taking effect and clearing", kResetLimit,
                  [&] { return !card.regs.read<reg::CTRL>().has_any(reg::CTRL::RST | reg::CTRL::GIO_MASTER_DISABLE); });
}

}  // namespace pollux::drivers::gigabit
