// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/bring_up.hpp"

#include "device/capability_list.hpp"
#include "drivers/intel/common/ring_setup.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr Duration kStopDelay = milliseconds(10);
constexpr Duration kResetLimit = milliseconds(20);
constexpr Duration kAutoReadLimit = milliseconds(20);

// PCI Express Base 2.0, 7.8: names and values as in Linux, include/uapi/linux/pci_regs.h.
constexpr std::uint8_t kExpress = 0x10;
constexpr std::uint32_t kExpressVersion = 0x0F;
constexpr std::uint32_t kDeviceControl2 = 0x28;  // from capability version 2 on
constexpr std::uint32_t kCompletionTimeout = 0x0F;
constexpr std::uint32_t k16To55Milliseconds = 0x05;

// [I-RESET] Linux, e1000_mac.c, igb_get_auto_rd_done, polls ten times and sleeps 1 to 2 ms between. igb_reset_hw_82575
// ignores a timeout. QEMU's igb never sets the bit (hw/net/igb_core.c). What the card does with its PHY after that is a
// wait of its own (reset_phy).
void wait_for_auto_read(const IgbCard& card) {
  const auto read = wait_for(
      card, "EECD.AUTO_RD after reset", kAutoReadLimit,
      [&] { return card.regs.read<reg::EECD>().has(reg::EECD::AUTO_RD); }, milliseconds(1));
  if (!read) card.log(LogLevel::debug, "the card does not report that it has read its NVM; continuing");
}

/// Sets the completion timeout in the device's Device Control 2 register to 16 to 55 ms if it is at its default. Does
/// nothing on a device without that register.
Result<void> raise_completion_timeout(Device& device) {
  auto express = find_capability(
      kExpress, [&device](std::uint32_t offset, unsigned width) { return device.read_config(offset, width); });
  if (!express) return pass_on(std::move(express));
  if (!*express || **express + kDeviceControl2 + 2 > 0x100) return {};
  const std::uint32_t at = **express;
  const auto flags = device.read_config(at + 2, 2);
  if (!flags) return tl::unexpected<Error>(flags.error());
  if ((*flags & kExpressVersion) < 2 || *flags == 0xFFFF) return {};
  const auto control = device.read_config(at + kDeviceControl2, 2);
  if (!control) return tl::unexpected<Error>(control.error());
  if ((*control & kCompletionTimeout) != 0) return {};
  return device.write_config(at + kDeviceControl2, 2, *control | k16To55Milliseconds);
}

// Erratum E-COMPLETION: the default of 500 us to 1 ms is shorter than a completion may take. Raises it only if it is at
// its default: by GCR on a card with version 1 of the PCI Express capability, otherwise by Device Control 2. A request
// without a completion must end as an error, not be repeated for ever. 82576EB Specification Update, p. 14; Linux,
// e1000_82575.c, igb_set_pcie_completion_timeout; DPDK, e1000_82575.c, e1000_set_pcie_completion_timeout.
// A device whose configuration space cannot be used keeps its timeout, as in Linux.
void set_completion_timeout(const IgbCard& card) {
  const auto control = read_with_retry<reg::GCR>(card);
  if (control.all_ones()) return;
  const bool is_default = control.get(reg::GCR::COMPLETION_TIMEOUT) == 0;
  const bool version2 = control.has(reg::GCR::CAP_VER2);
  const auto once = control.without(reg::GCR::COMPLETION_TIMEOUT_RESEND);
  card.regs.write<reg::GCR>(is_default && !version2 ? once.with(reg::GCR::COMPLETION_TIMEOUT_10MS) : once);
  if (!is_default || !version2) return;
  if (auto raised = raise_completion_timeout(*card.device); !raised) {
    card.log(LogLevel::warning, raised.error().what + "; the card's completion timeout stays as it is");
  }
}

}  // namespace

// Linux, e1000_82575.c, igb_reset_hw_82575, writes all ones to IMC before and after the reset, then reads ICR.
// igb_irq_disable (igb_main.c) masks the extended causes in the same way.
void mask_interrupts(const IgbCard& card) {
  card.regs.write<reg::IMC>(reg::IMC::Value(~0u));
  card.regs.write<reg::EIMC>(reg::EIMC::Value(~0u));
  card.regs.read_and_clear<reg::ICR>();
}

// The order follows Linux, e1000_82575.c, igb_reset_hw_82575.
Result<void> reset_card(const IgbCard& card) {
  // Erratum E-MASTER: the bus may hang if the MAC is reset while a request is outstanding (igb_reset_hw_82575). A card
  // that does not stop mastering is taken off the bus first. Where that is not possible, it is reset all the same, as
  // in Linux, since the reset ends mastering.
  if (auto disabled = disable_master(card); !disabled) {
    if (disabled.error().code == ErrorCode::device_removed) return disabled;
    const auto off = force_off_bus(card);
    card.log(LogLevel::warning,
             fmt::format("{}; {}", disabled.error().what,
                         off ? "it was taken off the bus" : off.error().what + "; resetting the card all the same"));
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
  wait_for_auto_read(card);
  mask_interrupts(card);

  // [I-QUEUE0] Receive queue 0 and transmit queue 0 are enabled after a reset (QEMU, igb_core.c, igb_mac_reg_init).
  // Linux, igb_main.c, igb_setup_tctl, also disables the transmit queue for this reason.
  card.regs.write<reg::RXDCTL>(0, {});
  card.regs.write<reg::TXDCTL>(0, {});
  // Linux, igb_main.c, igb_reset: WUC keeps its value through a reset, and PME_EN in it would let frames raise PME#.
  card.regs.write<reg::WUC>({});
  set_completion_timeout(card);
  card.regs.flush();
  if (card.regs.removed()) return fail_removed(card.name);
  return {};
}

// Linux, igb_main.c, igb_get_hw_control and igb_release_hw_control.
void announce_driver(const IgbCard& card, bool loaded) {
  if (loaded) {
    // The NVM may set EXT_VLAN (I210 datasheet, 7.4.5); here only write_outer_vlan_type does.
    const auto control = read_with_retry<reg::CTRL_EXT>(card);
    if (control.all_ones()) return;
    card.regs.write<reg::CTRL_EXT>(control.without(reg::CTRL_EXT::EXT_VLAN).with(reg::CTRL_EXT::DRV_LOAD));
  } else {
    clear<reg::CTRL_EXT>(card, reg::CTRL_EXT::DRV_LOAD);
  }
}

namespace {

constexpr Duration kMasterLimit = milliseconds(80);

}  // namespace

// [I-GIOMASTER] Linux, e1000_mac.c, igb_disable_pcie_master: 800 polls, 100 us apart.
Result<void> disable_master(const IgbCard& card) {
  modify<reg::CTRL>(card, reg::CTRL::GIO_MASTER_DISABLE);
  return wait_for(
      card, "the clearing of STATUS.GIO_MASTER_ENABLE", kMasterLimit,
      [&] { return !card.regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE); }, microseconds(100));
}

// [I-GIOMASTER] Without bus mastering a function issues no memory requests (PCI Local Bus 3.0, 6.2.2), and an I210 then
// resets the function itself (I210 datasheet, p. 160). The function level reset discards what is still outstanding.
Result<void> force_off_bus(const IgbCard& card) {
  if (auto off = card.device->set_bus_master(false); !off) return off;
  return card.device->reset();
}

// Linux, igb_main.c, igb_down, also disables receive before transmit.
Result<void> quiesce(const IgbCard& card, std::uint32_t rx_queues, std::uint32_t tx_queues,
                     const std::function<bool()>& transmit_finished) {
  if (card.regs.removed()) return fail_removed(card.name);
  clear<reg::RCTL>(card, reg::RCTL::RXEN);
  if (card.regs.read<reg::STATUS>().has(reg::STATUS::LU)) wait_for_transmit(card, transmit_finished);
  clear<reg::TCTL>(card, reg::TCTL::EN);
  disable_queues(card, rx_queues, tx_queues);
  return disable_master(card);
}

}  // namespace pollux::drivers::igb
