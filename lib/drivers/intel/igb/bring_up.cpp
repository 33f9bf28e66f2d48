// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/bring_up.hpp"

#include "device/capability_list.hpp"
#include "drivers/intel/common/ring_setup.hpp"

namespace pollux::drivers::igb {
namespace {

// PCI Express Base 2.0, 7.8: names and values as in Linux, include/uapi/linux/pci_regs.h.
constexpr std::uint8_t kExpress = 0x10;
constexpr std::uint32_t kExpressVersion = 0x0F;
constexpr std::uint32_t kDeviceControl2 = 0x28;  // from capability version 2 on
constexpr std::uint32_t kCompletionTimeout = 0x0F;
constexpr std::uint32_t k16To55Milliseconds = 0x05;

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
Result<void> reset_units(const IgbCard& card) {
  if (auto left = leave_bus(card); !left) return left;
  mask_interrupts(card);
  stop_units(card);
  if (auto done = reset_mac(card); !done) return done;
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
