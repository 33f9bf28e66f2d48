// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/quiesce.hpp"

#include "drivers/intel/common/ring_setup.hpp"

namespace pollux::drivers::igb {
namespace {

constexpr Duration kMasterLimit = milliseconds(80);

}  // namespace

// [I-GIOMASTER] Linux, e1000_mac.c, igb_disable_pcie_master: 800 polls, 100 us apart.
Result<void> disable_master(const Card& card) {
  modify<reg::CTRL>(card, reg::CTRL::GIO_MASTER_DISABLE);
  return wait_for(
      card, "the clearing of STATUS.GIO_MASTER_ENABLE", kMasterLimit,
      [&] { return !card.regs.read<reg::STATUS>().has(reg::STATUS::GIO_MASTER_ENABLE); }, microseconds(100));
}

// [I-GIOMASTER] Without bus mastering a function issues no memory requests (PCI Local Bus 3.0, 6.2.2), and an I210 then
// resets the function itself (I210 datasheet, p. 160). The function level reset discards what is still outstanding.
Result<void> force_off_bus(const Card& card) {
  if (auto off = card.device->set_bus_master(false); !off) return off;
  return card.device->reset();
}

// Linux, igb_main.c, igb_down, also disables receive before transmit.
Result<void> quiesce(const Card& card, std::uint32_t rx_queues, std::uint32_t tx_queues,
                     const std::function<bool()>& transmit_finished) {
  if (card.regs.removed()) return fail_removed(card.name);
  clear<reg::RCTL>(card, reg::RCTL::RXEN);
  if (card.regs.read<reg::STATUS>().has(reg::STATUS::LU)) wait_for_transmit(card, transmit_finished);
  clear<reg::TCTL>(card, reg::TCTL::EN);
  disable_queues(card, rx_queues, tx_queues);
  return disable_master(card);
}

}  // namespace pollux::drivers::igb
